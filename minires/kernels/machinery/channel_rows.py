"""An (..., C) array as rows for NumPy: wide ones, in chunks that stay in cache.

NumPy's loop over a row of 16 channels takes as long to start as to run. So several rows are viewed
as one *wide* row, and a vector of C numbers is repeated as often; a sum over wide rows is folded
into one of C numbers at the end. Chunks of wide rows are shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple, TypeVar

import numpy as np

from minires.backend import Array
from minires.kernels.machinery.chunks import CHUNK, chunk_count
from minires.kernels.machinery.threads import one_blas_thread, parallel
from minires.kernels.machinery.workspace import scratch

Result = TypeVar("Result")

WIDE = 8192
"""How many numbers a wide row holds at least: with fewer than its buffer has, NumPy would copy."""


class Chunk(NamedTuple):
    """The numbers `first:last` of a flat array, as rows `width` long."""

    first: int
    last: int
    width: int

    def of(self, flat: Array) -> Array:
        """This chunk of a flat array: (rows, width)."""
        return flat[self.first : self.last].reshape(-1, self.width)

    def shifted(self, flat: Array, wide: Array | None) -> Array:
        """This chunk less a wide row, in scratch memory; itself if there is none."""
        some = self.of(flat)
        if wide is None:
            return some
        shifted = scratch(np, "shifted", some.shape, some.dtype)
        return np.subtract(some, wide[: self.width], out=shifted)


@lru_cache(maxsize=1024)
def _cut(size: int, channels: int) -> tuple[Chunk, ...]:
    """Cut `size` numbers, of `channels` to a row, into chunks; the last may have a short row."""
    rows = size // max(channels, 1)
    width = min(-(-WIDE // max(channels, 1)), max(rows, 1)) * channels
    wide_rows = size // max(width, 1)
    shares = chunk_count(size)
    step, whole = max(-(-wide_rows // shares), 1) * width, wide_rows * width
    chunks = [Chunk(i, min(i + step, whole), width) for i in range(0, whole, step or 1)]
    if whole < size:
        chunks.append(Chunk(whole, size, size - whole))
    return tuple(chunks) or (Chunk(0, 0, max(width, 1)),)  # sums have something to add


class Rows:
    """An (..., C) array as M rows of C channels, and its chunks.

    Parameters
    ----------
    xp : module
    like : (..., C) array
        One of the arrays; the others have its shape.
    """

    def __init__(self, xp: ModuleType, like: Array) -> None:
        self.xp = xp
        # Sums of half-precision numbers overflow.
        self.dtype = xp.result_type(like.dtype, xp.float32)
        self.channels: int = like.shape[-1]
        self.count: int = like.size // max(self.channels, 1)
        self.chunks = _cut(like.size, self.channels)

    def each(self, run: Callable[[Chunk], Result]) -> list[Result]:
        """`run` for every chunk, on several threads if there is work for them."""
        if self.count * self.channels <= CHUNK:
            with one_blas_thread():
                return [run(chunk) for chunk in self.chunks]
        return parallel(run, self.chunks)

    def flat(self, array: Array) -> Array:
        """All numbers of an array in a row, to compute with."""
        dense: Array = self.xp.ascontiguousarray(array, dtype=self.dtype).reshape(-1)
        return dense

    def widen(self, vector: Array) -> Array:
        """A (C,) vector as often as there are rows in a wide row."""
        width = self.chunks[0].width
        wide = self.xp.empty((width // max(self.channels, 1), self.channels), self.dtype)
        wide[...] = vector
        return wide.reshape(-1)

    def sums(self, a: Array, b: Array) -> Array:
        """The sums of `a` and of ``a * b``, wide rows both, by channel: (2, C), in float64."""
        wide = scratch(np, "wide", (2, a.shape[1]), self.dtype)
        np.matmul(np.ones(len(a), self.dtype), a, out=wide[0])  # BLAS reads four rows at a time
        np.einsum("rw,rw->w", a, b, out=wide[1])  # multiplies and adds in one pass
        by_row = wide.astype(np.float64).reshape(2, -1, self.channels)
        return np.ones(by_row.shape[1]) @ by_row
