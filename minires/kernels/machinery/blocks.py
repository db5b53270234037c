"""The blocks that a batch of images is cut into: what one thread works on at a time."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import NamedTuple, TypeAlias

import numpy as np

from minires.backend import Array

Pair: TypeAlias = tuple[int, int]
"""One number for the height and one for the width, or the first of a range and what is after it."""

BLOCK = 1 << 19
"""How many numbers one block's buffers hold on the CPU: 2 MiB of float32. More would leave the
caches; less, and the interpreter, which one thread at a time may run, becomes the bottleneck."""

GPU_BLOCK = 1 << 28
"""The same on a GPU, which wants few large launches: all at once, unless that would take 1 GiB."""

FEWEST = 4
"""Into how many blocks work that is worth sharing is cut at least, so that threads have shares."""

FEW_POSITIONS = 2048
"""With so few rows, blocks of them would make BLAS pack the weights again and again."""

WORTH_SHARING = 1 << 14
"""What costs less than this in all stays in one block: waking a thread takes longer."""


class Block(NamedTuple):
    """Images `n0:n1` and rows `h0:h1` of each."""

    n0: int
    n1: int
    h0: int
    h1: int

    def of(self, images: Array) -> Array:
        """This block of (N, H, ...) images."""
        return images[self.n0 : self.n1, self.h0 : self.h1]

    def times(self, m: int, rows: int) -> Block:
        """The block of images of `rows` rows with m for each of these."""
        return Block(self.n0, self.n1, self.h0 * m, min(self.h1 * m, rows))

    def positions(self, images: Array) -> slice:
        """This block of (N, H, W, ...) images, all of whose pixels are in a row."""
        H, W = images.shape[1:3]
        return slice((self.n0 * H + self.h0) * W, ((self.n1 - 1) * H + self.h1) * W)


@lru_cache(maxsize=1024)
def blocks(
    xp: ModuleType,
    images: int,
    rows: int,
    row_cost: int,
    budget: int = BLOCK,
    fewest: int = FEWEST,
) -> tuple[Block, ...]:
    """Cut `images` of `rows` rows into blocks: whole images where they fit, else bands of one.

    Parameters
    ----------
    xp : module
        `numpy` or `cupy`.
    images, rows : int
    row_cost : int
        How many numbers one row puts into the block's buffers.
    budget : int
        How many of them a block may hold on the CPU.
    fewest : int
        Into how many blocks work that is worth sharing is cut at least.

    Returns
    -------
    tuple of Block
        In order, disjoint and covering all; empty if there is nothing to cover. It depends on these
        arguments alone, never on the number of threads.
    """
    if images < 1 or rows < 1:
        return ()
    total = images * rows * max(row_cost, 1)
    if xp is not np:
        count = -(-total // GPU_BLOCK)
    elif total < WORTH_SHARING:
        count = 1
    else:
        count = even_shares(max(-(-total // budget), fewest))
    if count <= images:
        return tuple(Block(n0, n1, 0, rows) for n0, n1 in ranges(images, count))
    bands = ranges(rows, min(rows, -(-count // images)))
    return tuple(Block(n, n + 1, h0, h1) for n in range(images) for h0, h1 in bands)


def even_shares(count: int) -> int:
    """At least `count` pieces, and one: as many as 2 or 4 threads can share without a rest."""
    return -(-count // 4) * 4 if count > 2 else max(count, 1)


def ranges(size: int, count: int) -> list[Pair]:
    """`count` half-open ranges of nearly equal length that cover `range(size)` in order."""
    return [(i * size // count, (i + 1) * size // count) for i in range(count)]
