"""A wrong gradient put together of arrays at hand: inputs, outputs, the upstream gradient."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import numpy as np  # host arithmetic in float64

from minires.gradcheck.alike import CLOSE, Alike, HostArray, number

Known = Mapping[str, HostArray]
Candidates = Iterator[tuple[str, HostArray]]

POWERS = {1: "{}", -1: "1 / {}", 2: "{}**2", -2: "1 / {}**2", 0.5: "sqrt({})", -0.5: "1 / sqrt({})"}


def exchanged(a: HostArray, others: Known, alike: Alike) -> str | None:
    """What belongs to another input."""
    for name, numeric in others.items():
        if numeric.shape == a.shape and numeric.any() and alike(a, numeric):
            return f"it is what the numeric gradient with respect to {name} is: exchanged?"
    return None


def exchanged_sums(a: HostArray, others: Known) -> str | None:
    """What belongs to another input that is broadcast along other axes."""
    for name, numeric in others.items():
        mine, its = _added_up(a, numeric.shape), _added_up(numeric, a.shape)
        size = abs(its).max(initial=0)
        if mine.shape == its.shape and size and abs(mine - its).max() <= 1e-6 * size:
            return (
                "it adds up, over broadcast axes, to what the numeric gradient with respect to "
                f"{name} does: exchanged?"
            )
    return None


def _added_up(array: HostArray, other: tuple[int, ...]) -> HostArray:
    """Along the axes where an array of the other shape is broadcast against this one."""
    count = max(array.ndim, len(other))
    array = array.reshape((1,) * (count - array.ndim) + array.shape)
    lengths = (1,) * (count - len(other)) + other
    axes = tuple(i for i, length in enumerate(lengths) if length == 1)
    return np.asarray(array.sum(axes, keepdims=True))


def unchanged(a: HostArray, upstream: HostArray | None, alike: Alike) -> str | None:
    """The upstream gradient itself."""
    if upstream is None or upstream.shape != a.shape or not alike(a, upstream):
        return None
    return "it is the upstream gradient, passed on unchanged: the derivative forgotten?"


def power(a: HostArray, n: HostArray, known: Known, alike: Alike) -> str | None:
    """`analytic = c * numeric * x`: a power of one array too many or too few."""
    return _multiple(a, n, _powers(known, a.shape), alike)


def quotient(a: HostArray, n: HostArray, known: Known, alike: Alike) -> str | None:
    """`analytic = c * numeric * x / y`: one array for another."""
    return _multiple(a, n, _pairs(known, a.shape), alike)


def _multiple(a: HostArray, n: HostArray, candidates: Candidates, alike: Alike) -> str | None:
    for text, values in candidates:
        factor = _factor(a, n * values, values[abs(n) > alike.tolerance], alike)
        if factor is not None:
            joined = f"numeric {text[2:]}" if text.startswith("1 / ") else f"numeric * {text}"
            return (
                f"analytic = {_times(factor)}{joined}{_legend(text)}: a factor forgotten, or one "
                "too many?"
            )
    return None


def term(a: HostArray, n: HostArray, known: Known, alike: Alike) -> str | None:
    """`analytic - numeric = c * ...`: a term left out, or counted twice."""
    error = a - n
    for text, values in itertools.chain(_powers(known, a.shape), _pairs(known, a.shape)):
        factor = _factor(error, values, values, alike)
        if factor is not None:
            cause = ", as of a shortcut, x + f(x)" if text == "g" else ""
            return (
                f"analytic - numeric = {_times(factor)}{text}{_legend(text)}: a term forgotten, or "
                f"too much{cause}?"
            )
    return None


def _times(factor: float) -> str:
    shown = number(factor)
    return {"1": "", "-1": "-"}.get(shown, f"{shown} * ")


def _legend(text: str) -> str:
    words = re.findall(r"\w+", text)
    named = {"g": "g is the upstream gradient", "out": "out is the output"}
    told = [meaning for name, meaning in named.items() if name in words]
    return f" ({', '.join(told)})" if told else ""


def _factor(a: HostArray, b: HostArray, varying: HostArray, alike: Alike) -> float | None:
    """The factor of `a = factor * b`, where what varies takes three values: two fit too easily."""
    if not np.isfinite(b).all() or len(np.unique(varying.round(9))) < 3 or not b.any():
        return None
    factor = float((a * b).sum() / (b * b).sum())
    close = abs(a - factor * b).max() <= min(alike.tolerance, CLOSE * abs(a).max())
    return factor if factor and close else None


def _powers(known: Known, shape: tuple[int, ...]) -> Candidates:
    """Powers of one array, broadcast to a shape."""
    with np.errstate(all="ignore"):
        for power, text in POWERS.items():
            for name, array in _fitting(known, shape).items():
                yield text.format(name), array**power


def _pairs(known: Known, shape: tuple[int, ...]) -> Candidates:
    """Products and quotients of two arrays, broadcast to a shape."""
    with np.errstate(all="ignore"):
        for (name, x), (other, y) in itertools.permutations(_fitting(known, shape).items(), 2):
            if name < other:
                yield f"{name} * {other}", x * y
                yield f"1 / ({name} * {other})", 1 / (x * y)
            yield f"{name} / {other}", x / y


def _fitting(known: Known, shape: tuple[int, ...]) -> Known:
    """Those that vary and can be broadcast to a shape."""
    return {
        name: np.broadcast_to(array, shape)
        for name, array in known.items()
        if _fits(array.shape, shape) and np.ptp(array)
    }


def _fits(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape
    except ValueError:
        return False
