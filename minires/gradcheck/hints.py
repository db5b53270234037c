"""What a wrong gradient looks like: the mistakes that everybody makes, recognised."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np  # host arithmetic in float64

from minires.gradcheck.comparison import Comparison

HostArray = np.ndarray[Any, Any]
Shapes = Sequence[tuple[int, ...]]

CLOSE = 1e-4
"""How near, relative to the largest entry, two gradients must be to count as the same pattern."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a failed comparison beside its values.

    Attributes
    ----------
    numeric : array
        Its numeric gradient, with a one-sided slope at kinks.
    kinks : array of bool
        Entries where the one-sided slopes disagree.
    shapes : sequence of tuple
        Of all inputs and of the output: where a factor of N may come from.
    none : bool
        Whether the backward gave no gradient at all.
    deaf : bool
        Whether it gave the same gradient for different upstream gradients.
    noise : float
        How far off rounding of the function's values can put a numeric slope.
    """

    numeric: HostArray
    kinks: HostArray
    shapes: Shapes
    none: bool
    deaf: bool
    noise: float = 0.0


def find(comparison: Comparison, evidence: Evidence) -> str | None:
    """The mistake that a failed comparison looks like, None if like no mistake known here."""
    analytic, numeric = comparison.analytic, evidence.numeric
    wrong = comparison.wrong
    if not wrong.any():
        return None  # too many kinks, which the text says already
    if evidence.none:
        return "the backward gave no gradient (None, or the graph was cut), but there is one"
    if not np.isfinite(analytic).all():
        return "the analytic gradient has NaN or infinite entries"
    if not np.isfinite(numeric).all():
        return "the function itself is NaN or infinite next to this point"
    if evidence.kinks[wrong].all():
        return "it differs only at kinks, where it lies outside both one-sided slopes"
    if not analytic.any():
        return "the analytic gradient is zero everywhere, the numeric one is not"
    if evidence.deaf:
        return "the upstream gradient is ignored: another one gives the same analytic gradient"
    if comparison.error.max() <= evidence.noise:
        return (
            "not certain: the outputs are so large beside their slopes that rounding puts the "
            f"numeric ones off by up to {evidence.noise:.1g}; check without what is constant"
        )
    scale = abs(numeric).max() or 1.0
    alike = _Alike(min(CLOSE * scale, comparison.error.max() / 10))
    if not numeric.any():
        return "the gradient should be zero: the output does not depend on this input"
    if comparison.directional:  # entries have no places
        return _multiple(analytic, numeric, alike, evidence.shapes)
    for hint in (
        _multiple(analytic, numeric, alike, evidence.shapes),
        _moved(analytic, numeric, alike),
        _shifted(analytic, numeric, alike),
        _single_index(wrong, numeric),
        _border(wrong),
        _constant(analytic, numeric, alike),
    ):
        if hint:
            return hint
    return None


class _Alike:
    """Whether two arrays are the same up to a tolerance."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def __call__(self, a: HostArray, b: HostArray | float) -> bool:
        return bool((abs(a - b) <= self.tolerance).all())


def _multiple(a: HostArray, n: HostArray, alike: _Alike, shapes: Shapes) -> str | None:
    """`a = factor * n`: a sign, a mean in place of a sum, a forgotten constant."""
    factor = float((a * n).sum() / (n * n).sum())
    residue = abs(a - factor * n).max()
    if factor == 0 or residue > alike.tolerance * abs(factor):
        return None
    if abs(factor + 1) < CLOSE:
        return "the sign is wrong: analytic = -numeric"
    ratio = _simple_ratio(abs(factor))
    if ratio is None:
        return f"off by a factor: analytic = {factor:.9g} * numeric"
    sign = "-" if factor < 0 else ""
    text = f"off by a factor of {sign}{ratio}: analytic = {sign}{ratio} * numeric"
    size = max(ratio.numerator, ratio.denominator)
    meaning = _meaning(size, shapes) if 1 in (ratio.numerator, ratio.denominator) else None
    if meaning is None:
        return text
    mistake = "a mean where a sum belongs" if ratio < 1 else "a sum where a mean belongs"
    return f"{text}. {size} is {meaning}: {mistake}?"


def _simple_ratio(factor: float) -> Fraction | None:
    """`factor` as N, 1 / N or a fraction of small numbers, if it is one."""
    candidates = [Fraction(factor).limit_denominator(12)]
    candidates += [Fraction(1, round(1 / factor))] if factor < 0.5 else []
    for ratio in candidates:
        if ratio not in (0, 1) and abs(ratio - factor) <= CLOSE / 10 * factor:
            return ratio
    return None


def _meaning(size: int, shapes: Shapes) -> str | None:
    """Where in the shapes a number occurs: as a length or a product of neighbouring lengths."""
    for shape in shapes:
        if size in shape:
            return f"the length of axis {shape.index(size)} of {shape}"
    for shape in shapes:
        for count in range(2, len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), count):
                if math.prod(shape[i] for i in axes) == size:
                    return f"the product of axes {', '.join(map(str, axes))} of {shape}"
    return None


def _moved(a: HostArray, n: HostArray, alike: _Alike) -> str | None:
    """The right numbers in the wrong places: transposed, or back to front."""
    for axes in itertools.permutations(range(a.ndim)):
        if axes == tuple(range(a.ndim)):
            continue
        if tuple(a.shape[i] for i in axes) == a.shape and alike(a, n.transpose(axes)):
            return f"transposed: analytic = numeric with the axes in the order {axes}"
    for count in range(1, a.ndim + 1):
        for flipped in itertools.combinations(range(a.ndim), count):
            if alike(a, np.flip(n, flipped)):
                return f"back to front along axes {flipped}: a kernel flipped, or not flipped?"
    return None


def _shifted(a: HostArray, n: HostArray, alike: _Alike) -> str | None:
    """`a[i] = n[i + k]` along one or two axes: padding cropped on the wrong side?"""
    for axes in _subsets([i for i in range(a.ndim) if a.shape[i] > 2], most=2):
        distances = [[k for k in (1, -1, 2, -2) if abs(k) < a.shape[i] - 1] for i in axes]
        for by in itertools.product(*distances):
            here, there = [slice(None)] * a.ndim, [slice(None)] * a.ndim
            for axis, k in zip(axes, by, strict=True):
                here[axis] = slice(max(-k, 0), a.shape[axis] - max(k, 0))
                there[axis] = slice(max(k, 0), a.shape[axis] - max(-k, 0))
            piece = n[tuple(there)]
            if abs(piece).max() > alike.tolerance and alike(a[tuple(here)], piece):
                if len(axes) == 1:
                    axis, k = axes[0], by[0]
                    sign = "+" if k > 0 else "-"
                    how = f"shifted by {abs(k)} along axis {axis}"
                    how += f": analytic[i] = numeric[i {sign} {abs(k)}]"
                else:
                    how = f"shifted by {by} along axes {axes}"
                return f"{how}; padding cropped on the wrong side?"
    return None


def _subsets(axes: list[int], most: int) -> Iterator[tuple[int, ...]]:
    for count in range(1, min(len(axes), most) + 1):
        yield from itertools.combinations(axes, count)


def _single_index(wrong: HostArray, numeric: HostArray) -> str | None:
    """Right at one index of one axis only: a loop that overwrites, one sample used."""
    for axis in range(wrong.ndim):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        share = wrong.mean(axis=others)
        right = (share == 0) & (abs(numeric).max(axis=others) > 0)
        if right.sum() == 1 and len(share) > 1 and share[~right].min() >= 0.5:
            return f"right only at index {right.argmax()} of axis {axis}: are the others used?"
    return None


def _border(wrong: HostArray) -> str | None:
    """Wrong only at the ends of some axes, at most of them, and right inside."""
    for axes in _subsets([i for i in range(wrong.ndim) if wrong.shape[i] > 2], most=2):
        inside = np.zeros(wrong.shape, bool)
        place = [slice(None)] * wrong.ndim
        for axis in axes:
            place[axis] = slice(1, -1)
        inside[tuple(place)] = True
        if not wrong[inside].any() and wrong[~inside].mean() >= 0.5:
            return (
                f"it differs only at the border, the ends of axes {axes}: padding or a remainder?"
            )
    return None


def _constant(a: HostArray, n: HostArray, alike: _Alike) -> str | None:
    """The same along an axis where the numeric gradient varies."""
    axes = [
        i
        for i in range(a.ndim)
        if a.shape[i] > 1 and alike(a, np.take(a, [0], i)) and not alike(n, np.take(n, [0], i))
    ]
    if not axes:
        return None
    return f"constant along axes {tuple(axes)}, where the numeric gradient varies: a sum too many?"
