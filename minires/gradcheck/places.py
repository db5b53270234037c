"""A gradient that is right at some entries: where the others are, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np  # host arithmetic in float64

from minires.gradcheck.alike import Alike, HostArray, factor_of, number, subsets


@dataclass(frozen=True)
class Names:
    """What axes and entries are called.

    Attributes
    ----------
    axes : sequence of (str or None)
        None for one that has no meaning.
    entries : str
    """

    axes: Sequence[str | None]
    entries: str = "entries"


def names_of(array: HostArray) -> Names:
    """Of a gradient: axis 0, axis 1 and so on."""
    return Names([f"axis {i}" for i in range(array.ndim)])


def describe(
    a: HostArray, n: HostArray, wrong: HostArray, names: Names, alike: Alike
) -> str | None:
    """What analytic `a` and numeric `n` are where they differ; None if nothing simple.

    Only of arrays that are right somewhere, where there is something to be right about.
    """
    relevant = wrong | (abs(n) > alike.tolerance)
    if not wrong.any() or wrong[relevant].all():
        return None
    zero, should_be_zero = alike(a[wrong], 0), alike(n[wrong], 0)
    if zero and (used := _only_used(a, n, names, alike)):
        return f"right only at {used}, zero at the others: are they used?"
    place = _place(wrong, relevant, names)
    at = place or f"at {wrong.sum()} of {wrong.size} {names.entries}"
    if zero:
        return (
            f"zero {at}, where the numeric gradient is not; right at the others: is one left out?"
        )
    if should_be_zero:
        return (
            f"the numeric gradient is zero {at}, the analytic one is not; right at the others: a "
            "mask, a maximum or an index forgotten?"
        )
    if wrong.sum() > 1:
        factor = factor_of(a[wrong], n[wrong], alike)
        if factor is not None:
            return f"analytic = {number(factor)} * numeric {at}, right at the others"
        offset = float((a - n)[wrong].mean())
        if alike(a[wrong], n[wrong] + offset):
            return (
                f"analytic = numeric {'-' if offset < 0 else '+'} {abs(offset):.6g} {at}, right at "
                "the others: a term forgotten there, or too much?"
            )
    return None


def where(n: HostArray, wrong: HostArray, names: Names, alike: Alike) -> str | None:
    """Where it is wrong, if that is a place with a name; half of the entries there, at least."""
    relevant = wrong | (abs(n) > alike.tolerance)
    if not wrong.any() or wrong[relevant].all():
        return None
    if right := _only_right(wrong, relevant, names):
        return f"right only at {right}: are the others used?"
    if border := _border(wrong, relevant, names):
        return f"it differs {border}: padding or a remainder?"
    place = _place(wrong, relevant, names)
    return f"wrong {place}" if place else None


def _only_used(a: HostArray, n: HostArray, names: Names, alike: Alike) -> str | None:
    """The single indices outside of which `a` is zero and `n` is not."""
    found = []
    for axis, name in enumerate(names.axes):
        others = tuple(i for i in range(a.ndim) if i != axis)
        used = (abs(a) > alike.tolerance).any(axis=others)
        if name and used.sum() == 1 and (abs(n) > alike.tolerance).any(axis=others).sum() > 1:
            found.append(f"index {used.argmax()} of {name}")
    of_output = [text for text in found if text.endswith("of the output")]
    return " and ".join(of_output or found) or None


def _shares(wrong: HostArray, relevant: HostArray, axis: int) -> HostArray:
    """By index of an axis, the share of entries that are wrong, of those that are not 0 anyway."""
    others = tuple(i for i in range(wrong.ndim) if i != axis)
    counts = relevant.sum(axis=others)
    return np.asarray(np.where(counts, wrong.sum(axis=others) / np.maximum(counts, 1), np.nan))


def _only_right(wrong: HostArray, relevant: HostArray, names: Names) -> str | None:
    """The one index of an axis where all is right, if most is wrong at the others."""
    for axis, name in enumerate(names.axes):
        shares = _shares(wrong, relevant, axis)
        right = shares == 0
        if name and right.sum() == 1 and (shares >= 0.5).sum() == (~np.isnan(shares)).sum() - 1 > 1:
            return f"index {right.argmax()} of {name}"
    return None


def _place(wrong: HostArray, relevant: HostArray, names: Names) -> str | None:
    """One entry, one index of an axis, or the border."""
    if wrong.sum() == 1 and None not in names.axes:
        return f"only at {[int(i) for i in np.argwhere(wrong)[0]]}"
    for axis, name in enumerate(names.axes):
        shares = _shares(wrong, relevant, axis)
        if name and (shares > 0).sum() == 1 and np.nanmax(shares) >= 0.5 and len(shares) > 1:
            return f"only at index {(shares > 0).argmax()} of {name}"
    for axis, name in enumerate(names.axes):
        if name and wrong.shape[axis] > 1 and (wrong.sum(axis=axis) == 1).all():
            return f"at just one entry along {name} each"
    return _border(wrong, relevant, names)


def _border(wrong: HostArray, relevant: HostArray, names: Names) -> str | None:
    """Wrong only at both ends of some axes, at most of them, and right inside."""
    axes = [i for i in range(wrong.ndim) if wrong.shape[i] > 2 and names.axes[i]]
    for chosen in subsets(axes, most=2):
        inside = np.zeros(wrong.shape, bool)
        inside[tuple(slice(1, -1) if i in chosen else slice(None) for i in range(wrong.ndim))] = (
            True
        )
        ends = [_shares(wrong, relevant, i)[[0, -1]] for i in chosen]
        if (
            not (wrong & inside).any()
            and (relevant & inside).any()
            and wrong[relevant & ~inside].mean() >= 0.5
            and np.nan_to_num(ends).min() > 0
        ):
            return f"only at the border, the ends of axes {chosen}"
    return None
