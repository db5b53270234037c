"""How a whole gradient differs from the right one: a factor, other places, a missing term."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np  # host arithmetic in float64

from minires.gradcheck.alike import CLOSE, Alike, HostArray, factor_of, simple_ratio, subsets

Shapes = Sequence[tuple[int, ...]]

MOST_AXES = 6
"""Of arrays with more, not all orders of the axes are tried, which are too many."""


def multiple(a: HostArray, n: HostArray, alike: Alike, shapes: Shapes) -> str | None:
    """`a = factor * n`: a sign, a mean in place of a sum, a forgotten constant."""
    factor = factor_of(a, n, alike)
    if factor is None:
        return None
    if abs(factor + 1) < CLOSE:
        return "the sign is wrong: analytic = -numeric"
    ratio = simple_ratio(abs(factor))
    if ratio is None:
        if (abs(n) > alike.tolerance).sum() < 2 and abs(factor - 1) > 0.01:
            return None  # of one number every other one is a multiple
        return f"off by a factor: analytic = {factor:.9g} * numeric{_root(factor**2, shapes)}"
    sign = "-" if factor < 0 else ""
    text = f"off by a factor of {sign}{ratio}: analytic = {sign}{ratio} * numeric"
    size = max(ratio.numerator, ratio.denominator)
    if 1 not in (ratio.numerator, ratio.denominator):
        return text + _of_lengths(ratio, shapes)
    meaning = _meaning(size, shapes)
    if meaning is None:
        return text
    mistake = "a mean where a sum belongs" if ratio < 1 else "a sum where a mean belongs"
    if size == 2:
        mistake += ", or counted " + ("half" if ratio < 1 else "twice")
    return f"{text}. {size} is {meaning}: {mistake}?"


def _root(square: float, shapes: Shapes) -> str:
    """Whether a factor is the root of a length, with which attention and initial weights scale."""
    ratio = simple_ratio(square)
    if ratio is None or 1 not in (ratio.numerator, ratio.denominator):
        return ""
    size = max(ratio.numerator, ratio.denominator)
    shape = next((shape for shape in shapes if size in shape), None)
    if shape is None:
        return ""
    root = f"sqrt({size})" if square > 1 else f"1 / sqrt({size})"
    return (
        f", {root}. {size} is the length of axis {shape.index(size)} of {shape}: a scale forgotten?"
    )


def _of_lengths(ratio: Fraction, shapes: Shapes) -> str:
    """Two lengths of one shape whose quotient it is."""
    for shape in shapes:
        for i, k in itertools.permutations(range(len(shape)), 2):
            if shape[k] and Fraction(shape[i], shape[k]) == ratio:
                return (
                    f". So are the lengths of axes {i} and {k} of {shape}, {shape[i]} and "
                    f"{shape[k]}: divided by the wrong one?"
                )
    return ""


def _meaning(size: int, shapes: Shapes) -> str | None:
    """Where in the shapes a number occurs: as a length, or a product that a mean is over.

    The axes of a batch and of images are the first ones, so products of these before others.
    """
    for shape in shapes:
        if size in shape:
            return f"the length of axis {shape.index(size)} of {shape}"
    products = [
        (axes != tuple(range(len(axes))), len(axes), axes, shape)
        for shape in shapes
        for axes in subsets(range(len(shape)), len(shape))
        if len(axes) > 1 and math.prod(shape[i] for i in axes) == size
    ]
    if not products:
        return None
    _, _, axes, shape = min(products, key=lambda product: product[:2])
    return f"the product of axes {', '.join(map(str, axes))} of {shape}"


def moved(a: HostArray, n: HostArray, alike: Alike) -> str | None:
    """The right numbers in the wrong places: transposed, or back to front."""
    orders = itertools.permutations(range(a.ndim)) if a.ndim <= MOST_AXES else ()
    for axes in orders:
        if axes == tuple(range(a.ndim)):
            continue
        if tuple(a.shape[i] for i in axes) == a.shape and alike(a, n.transpose(axes)):
            return f"transposed: analytic = numeric with the axes in the order {axes}"
    for flipped in subsets(range(a.ndim), a.ndim):
        if alike(a, np.flip(n, flipped)):
            return f"back to front along axes {flipped}: a kernel flipped, or not flipped?"
    return None


def shifted(a: HostArray, n: HostArray, alike: Alike) -> str | None:
    """`a[i] = n[i + k]` along one or two axes: padding cropped on the wrong side?"""
    for axes in subsets([i for i in range(a.ndim) if a.shape[i] > 2], most=2):
        distances = [[k for k in (1, -1, 2, -2) if abs(k) < a.shape[i] - 1] for i in axes]
        for by in itertools.product(*distances):
            here, there = [slice(None)] * a.ndim, [slice(None)] * a.ndim
            for axis, k in zip(axes, by, strict=True):
                here[axis] = slice(max(-k, 0), a.shape[axis] - max(k, 0))
                there[axis] = slice(max(k, 0), a.shape[axis] - max(-k, 0))
            got, unmoved, piece = a[tuple(here)], n[tuple(here)], n[tuple(there)]
            count = (abs(piece) > alike.tolerance).sum()
            enough = count > 1 or count == (abs(n) > alike.tolerance).sum()
            if enough and alike(got, piece) and not alike(got, unmoved):
                if len(axes) == 1:
                    axis, k = axes[0], by[0]
                    sign = "+" if k > 0 else "-"
                    how = f"shifted by {abs(k)} along axis {axis}"
                    how += f": analytic[i] = numeric[i {sign} {abs(k)}]"
                else:
                    how = f"shifted by {by} along axes {axes}"
                return f"{how}; padding cropped on the wrong side?"
    return None


def factor_by_index(a: HostArray, n: HostArray, alike: Alike) -> str | None:
    """Another factor at each index of one axis, such as one per channel."""
    for axis in range(a.ndim):
        slices = [(np.take(a, k, axis), np.take(n, k, axis)) for k in range(a.shape[axis])]
        # of one number every other one is a multiple
        if len(slices) < 2 or min((abs(s) > alike.tolerance).sum() for _, s in slices) < 2:
            continue
        factors = [factor_of(*pair, alike) for pair in slices]
        if None not in factors:
            shown = ", ".join(f"{f:.4g}" for f in factors[:4]) + (", ..." if factors[4:] else "")
            return (
                f"off by another factor at each index of axis {axis}: analytic = ({shown}) * "
                "numeric; a factor per index forgotten or wrong (a scale, a standard deviation?)"
            )
    return None


def missing_term(
    a: HostArray, n: HostArray, x: HostArray | None, g: HostArray | None, alike: Alike
) -> str | None:
    """An error that is one number along axes, or that and multiples of x and g.

    So do gradients differ that miss, or have wrong, what goes through a mean, a variance or a norm.
    """
    error = a - n
    axes = tuple(
        i for i in range(a.ndim) if a.shape[i] > 1 and alike(error, error.mean(i, keepdims=True))
    )
    if axes:
        return (
            f"the error is the same all along axes {axes}: a term that goes through a sum or a "
            "mean along them is missing, wrong or too much"
        )
    terms = [(name, t) for name, t in (("x", x), ("g", g)) if t is not None and t.shape == a.shape]
    for count in range(1, len(terms) + 1):
        for axes in reversed(list(subsets(range(a.ndim), a.ndim))):
            if _is_sum(error, [t for _, t in terms[:count]], axes, alike):
                text = "c + d * x" + " + e * g" * (count == 2)
                legend = "x the input" + ", g the upstream gradient" * (count == 2)
                return (
                    f"along axes {axes} the error is {text} ({legend}): a term that goes "
                    "through a mean, a variance or a norm along them is missing or wrong"
                )
    return None


def _is_sum(
    error: HostArray, terms: Sequence[HostArray], axes: tuple[int, ...], alike: Alike
) -> bool:
    """Whether along axes an error is a constant and multiples of some terms.

    By least squares, with three numbers at least left to be explained by chance.
    """
    length = math.prod(error.shape[i] for i in axes)
    if length < len(terms) + 4:
        return False
    front = tuple(range(len(axes)))
    rows = [np.moveaxis(m, axes, front).reshape(length, -1) for m in (error, *terms)]
    for column in range(rows[0].shape[1]):
        matrix = np.stack([np.ones(length), *(row[:, column] for row in rows[1:])], axis=1)
        wanted = rows[0][:, column]
        if not alike(matrix @ np.linalg.lstsq(matrix, wanted)[0], wanted):
            return False
    return True


def unlike_sums(a: HostArray, n: HostArray) -> str | None:
    """Sums that are 0 in the numeric gradient only, as behind a softmax, or less a mean."""
    for axis in range(a.ndim):
        if a.shape[axis] < 2:
            continue
        size = abs(n).sum(axis).max()
        if abs(n.sum(axis)).max() < 1e-6 * size and abs(a.sum(axis)).max() > 1e-3 * size:
            return (
                f"the numeric gradient adds up to 0 along axis {axis}, the analytic one does not: "
                "a mean or a softmax along it forgotten, or along another axis?"
            )
    return None


def constant(a: HostArray, n: HostArray, alike: Alike) -> str | None:
    """The same along an axis where the numeric gradient varies."""
    axes = [
        i
        for i in range(a.ndim)
        if a.shape[i] > 1 and alike(a, np.take(a, [0], i)) and not alike(n, np.take(n, [0], i))
    ]
    if not axes:
        return None
    return f"constant along axes {tuple(axes)}, where the numeric gradient varies: a sum too many?"
