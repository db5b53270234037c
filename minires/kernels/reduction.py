"""Sums over axes that lose no digits. Those of float16 are float32: 2048 + 1 is 2048 there."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt, prod
from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.half_precision import computed_in_float32

FEW = 256
"""How many float32 numbers are added up one after the other at most."""

LARGE = 1 << 19
"""Bytes from which a GPU adds up in two stages, where one would leave most of it idle."""

FILLING = 1 << 11
"""So many sums, 32 of neighbours to a thread block, are blocks enough for a GPU."""


def total(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """`x.sum(axis)` in x's dtype, added up in float32 if that is float16."""
    if x.dtype == np.float16:
        return total(x.astype(np.float32), axis, keepdims).astype(np.float16)
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    reduced = [a % max(x.ndim, 1) for a in axes]
    kept = [a for a in range(x.ndim) if a not in reduced]
    if xp_of(x) is not np:
        by_gpu = _on_gpu(x, reduced, kept)
        return _with_axes(by_gpu, x.shape, reduced) if keepdims else by_gpu
    many = bool(kept) and x.size > 0 and prod(x.shape[a] for a in reduced) > FEW
    if many and x.dtype == np.float32:
        rows = x.transpose(*reduced, *kept).reshape(-1, prod(x.shape[a] for a in kept))
        of_rows = _of_rows(rows).reshape([x.shape[a] for a in kept])
        return _with_axes(of_rows, x.shape, reduced) if keepdims else of_rows
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


def _with_axes(sums: Array, shape: tuple[int, ...], reduced: list[int]) -> Array:
    return sums.reshape([1 if a in reduced else n for a, n in enumerate(shape)])


def _on_gpu(x: Array, reduced: list[int], kept: list[int]) -> Array:
    """The sum over the axes `reduced`, in stages that each keep a GPU busy.

    CuPy gives 32 neighbouring sums to one thread block: over the rows of (M, 64) that is 2 blocks,
    however large M. So the rows are shared out, each share is summed, and then the shares' sums.
    """
    shape = [x.shape[a] for a in kept]
    count = prod(x.shape[a] for a in reduced)
    if x.nbytes <= LARGE or prod(shape) >= FILLING or count < 8:
        found: Array = x.sum(axis=tuple(reduced))
        return found
    each = _share(count, x.size // (2 * FILLING))
    whole = count // each * each
    if kept and reduced[0] > kept[-1]:  # rows of what is summed, as they lie
        rows = x.reshape(-1, count)
        parts = rows[:, :whole].reshape(len(rows), -1, each).sum(axis=2)
        if whole < count:
            rest = rows[:, whole:].sum(axis=1, keepdims=True)
            parts = xp_of(x).concatenate([parts, rest], axis=1)
        return _on_gpu(parts, [1], [0]).reshape(shape)
    rows = x.transpose(*reduced, *kept).reshape(count, -1)
    parts = rows[:whole].reshape(-1, each, rows.shape[1]).sum(axis=1)
    if whole < count:
        rest = rows[whole:].sum(axis=0, keepdims=True)
        parts = xp_of(x).concatenate([parts, rest])
    return _on_gpu(parts, [0], [1]).reshape(shape)


@lru_cache(maxsize=1024)
def _share(count: int, most: int) -> int:
    """How many of so many rows to sum at first: about the root, without a rest if that can be."""
    most = min(isqrt(count), max(most, 2))
    return next((n for n in range(most, most // 2, -1) if count % n == 0), most)


@computed_in_float32(on="cpu and gpu")
def mean(x: Array, *, axis: Any, keepdims: bool) -> Array:
    """The sum over `axis` divided by the count."""
    if xp_of(x) is not np and x.nbytes <= LARGE:  # in one launch
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
