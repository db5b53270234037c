"""A wrong gradient put together of arrays at hand: inputs, outputs, the upstream gradient."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import numpy as np  # host arithmetic in float64

from minires.gradcheck.alike import CLOSE, Alike, HostArray, number

Known = Mapping[str, HostArray]

POWERS = {1: "{}", -1: "1 / {}", 2: "{}**2", -2: "1 / {}**2", 0.5: "sqrt({})", -0.5: "1 / sqrt({})"}


def exchanged(a: HostArray, others: Known, alike: Alike) -> str | None:
    """What belongs to another input."""
    for name, numeric in others.items():
        if numeric.shape == a.shape and numeric.any() and alike(a, numeric):
            return f"it is what the numeric gradient by {name} is: exchanged?"
    return None


def unchanged(a: HostArray, upstream: HostArray | None, alike: Alike) -> str | None:
    """The upstream gradient itself."""
    if upstream is None or upstream.shape != a.shape or not alike(a, upstream):
        return None
    return "it is the upstream gradient, passed on unchanged: the derivative forgotten?"


def product(a: HostArray, n: HostArray, known: Known, alike: Alike) -> str | None:
    """`analytic = c * numeric * ...`: a power too many or too few, one array for another."""
    for text, values in _products(known, a.shape):
        factor = _factor(a, n * values, values[abs(n) > alike.tolerance], alike)
        if factor is not None:
            c = "" if number(factor) == "1" else f"{number(factor)} * "
            joined = f"numeric {text[2:]}" if text.startswith("1 / ") else f"numeric * {text}"
            return f"analytic = {c}{joined}{_legend(text)}: a factor forgotten, or one too many?"
    return None


def term(a: HostArray, n: HostArray, known: Known, alike: Alike) -> str | None:
    """`analytic - numeric = c * ...`: a term left out, or counted twice."""
    error = a - n
    for text, values in _products(known, a.shape):
        factor = _factor(error, values, values, alike)
        if factor is not None:
            c = "" if number(factor) == "1" else f"{number(factor)} * "
            return f"analytic - numeric = {c}{text}{_legend(text)}: a term forgotten, or too much?"
    return None


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


def _products(known: Known, shape: tuple[int, ...]) -> Iterator[tuple[str, HostArray]]:
    """Powers of one array, then products and quotients of two, broadcast to a shape."""
    arrays = {
        name: np.broadcast_to(array, shape)
        for name, array in known.items()
        if _fits(array.shape, shape) and np.ptp(array)
    }
    with np.errstate(all="ignore"):
        for power, text in POWERS.items():
            for name, array in arrays.items():
                yield text.format(name), array**power
        for (name, array), (other, by) in itertools.permutations(arrays.items(), 2):
            if name < other:
                yield f"{name} * {other}", array * by
                yield f"1 / ({name} * {other})", 1 / (array * by)
            yield f"{name} / {other}", array / by


def _fits(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(small, shape) == shape
    except ValueError:
        return False
