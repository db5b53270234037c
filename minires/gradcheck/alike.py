"""Whether arrays are the same pattern, and the numbers that lie between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np  # host arithmetic in float64

HostArray = np.ndarray[Any, Any]

CLOSE = 1e-4
"""How near, relative to the largest entry, two gradients must be to count as the same pattern."""


class Alike:
    """Whether two arrays are the same up to a tolerance."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance

    def __call__(self, a: HostArray, b: HostArray | float) -> bool:
        return bool((abs(a - b) <= self.tolerance).all())


def factor_of(a: HostArray, n: HostArray, alike: Alike) -> float | None:
    """The factor in `a = factor * n`, if there is one that is not 0."""
    square = float((n * n).sum())
    if not square:
        return None
    factor = float((a * n).sum()) / square
    residue = abs(a - factor * n).max()
    return factor if factor and residue <= alike.tolerance * min(abs(factor), 1) else None


def simple_ratio(factor: float) -> Fraction | None:
    """`factor` as N, 1 / N or a fraction of small numbers, if it is one."""
    candidates = [Fraction(factor).limit_denominator(12)]
    candidates += [Fraction(1, round(1 / factor))] if factor < 0.5 else []
    for ratio in candidates:
        if ratio not in (0, 1) and abs(ratio - factor) <= CLOSE / 10 * factor:
            return ratio
    return None


def number(factor: float) -> str:
    """As a fraction where it is one."""
    if abs(abs(factor) - 1) < CLOSE / 10:
        return "1" if factor > 0 else "-1"
    ratio = simple_ratio(abs(factor))
    return f"{factor:.9g}" if ratio is None else f"{'-' if factor < 0 else ''}{ratio}"


def subsets(axes: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """One axis, then two, and so on."""
    for count in range(1, min(len(axes), most) + 1):
        yield from itertools.combinations(axes, count)
