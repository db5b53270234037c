"""Sums over axes that lose no digits. Those of float16 are float32: 2048 + 1 is 2048 there."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.half_precision import computed_in_float32

FEW = 256
"""How many float32 numbers are added up one after the other at most."""


def total(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """`x.sum(axis)` in x's dtype, added up in float32 if that is float16."""
    if x.dtype == np.float16:
        return total(x.astype(np.float32), axis, keepdims).astype(np.float16)
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    reduced = [a % max(x.ndim, 1) for a in axes]
    kept = [a for a in range(x.ndim) if a not in reduced]
    many = bool(kept) and x.size > 0 and prod(x.shape[a] for a in reduced) > FEW
    if many and x.dtype == np.float32 and xp_of(x) is np:
        shape = [1 if a in reduced else n for a, n in enumerate(x.shape)]
        rows = x.transpose(*reduced, *kept).reshape(-1, prod(x.shape[a] for a in kept))
        return _of_rows(rows).reshape(shape if keepdims else [x.shape[a] for a in kept])
    found: Array = x.sum(axis=axis, keepdims=keepdims)
    return found


def _of_rows(rows: Array) -> Array:
    """The sum of float32 rows (M, C). NumPy adds one row after the other: 0.1 ten million times.

    Some rows next to each other are one wide row, of which there are `FEW`; their sum is folded
    in float64.
    """
    M, C = rows.shape
    together = M // FEW
    whole = M // together * together if together else 0
    rest = rows[whole:].sum(axis=0, dtype=np.float64)
    if whole:
        wide = rows[:whole].reshape(-1, together * C).sum(axis=0)
        rest += wide.reshape(together, C).sum(axis=0, dtype=np.float64)
    found: Array = rest.astype(np.float32)
    return found


@computed_in_float32(on="cpu and gpu")
def mean(x: Array, *, axis: Any, keepdims: bool) -> Array:
    """The sum over `axis` divided by the count."""
    if xp_of(x) is not np:  # in one launch
        by_library: Array = x.mean(axis=axis, keepdims=keepdims)
        return by_library
    found: Array = total(x, axis, keepdims) / prod(x.shape[a] for a in axis)
    return found


@computed_in_float32(on="cpu and gpu")
def variance(x: Array, *, axis: Any, ddof: int, keepdims: bool) -> Array:
    """The mean square distance from the mean over `axis`, divided by the count less `ddof`."""
    distance = x - mean(x, axis=axis, keepdims=True)
    found: Array = total(distance * distance, axis, keepdims)
    return found / (prod(x.shape[a] for a in axis) - ddof)


@computed_in_float32(on="cpu and gpu")
def deviation(x: Array, *, axis: Any, ddof: int, keepdims: bool) -> Array:
    """The standard deviation: the root of the variance, before that is rounded."""
    return variance(x, axis=axis, ddof=ddof, keepdims=keepdims) ** 0.5
