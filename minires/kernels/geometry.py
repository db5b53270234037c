"""Zero-extended pieces of a batch, windows as views, and the blocks that a batch is cut into."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple, TypeAlias

import numpy as np

from minires.backend import Array
from minires.kernels.placement import Pair, Placement
from minires.kernels.workspace import scratch

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


def output_size(
    size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> Pair:
    """How many windows fit into an image of (H, W) with `padding` zeros at either end.

    Dumoulin and Visin 2016, arXiv:1603.07285, section 4.
    """
    h, w = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return h, w


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


Done: TypeAlias = Callable[[slice], None]
"""What an algorithm calls with each range of positions, rows of ``out.reshape(-1, O)``, once it is
written: on the thread that wrote it, in whose cache it is."""


def nothing(positions: slice) -> None:
    """The `Done` of an output to which nothing is to be done."""


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


def zero_extended(x: Array, xp: ModuleType, images: slice, rows: Pair, columns: Pair) -> Array:
    """A piece of `x` as if zeros went on for ever around each image.

    Parameters
    ----------
    x : (N, H, W, C) array
    xp : module
    images : slice
    rows, columns : (first, last)
        Half-open ranges, which may begin before 0 and end after H or W.

    Returns
    -------
    (n, last row - first row, last column - first column, C) array
        A view of `x` where the piece lies inside it, else in scratch memory named `"extended"`.
    """
    (top, bottom), (left, right) = rows, columns
    inside = x[images, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    shape = (inside.shape[0], bottom - top, right - left, x.shape[3])
    if inside.shape == shape:
        return inside
    piece = scratch(xp, "extended", shape, x.dtype)
    above, below = outside(top, bottom, x.shape[1])
    before, after = outside(left, right, x.shape[2])
    body = piece[:, above : shape[1] - below]
    piece[:, :above] = 0
    piece[:, shape[1] - below :] = 0
    body[:, :, :before] = 0
    body[:, :, shape[2] - after :] = 0
    body[:, :, before : shape[2] - after] = inside
    return piece


def outside(first: int, last: int, size: int) -> Pair:
    """How many of the positions `first:last` lie before 0, and how many after `size`."""
    length = last - first
    before = min(max(-first, 0), length)
    return before, min(max(last - size, 0), length - before)


def windows(x: Array, xp: ModuleType, kernel: Pair, size: Pair, place: Placement) -> Array:
    """The windows of `x`, the first at its corner, as a view that must not be written to.

    (N, H, W, C) -> (N, Ho, Wo, KH, KW, C), with ``kernel = (KH, KW)`` and ``size = (Ho, Wo)``.
    """
    (sn, sh, sw, sc), stride, dilation = x.strides, place.stride, place.dilation
    strides = (sn, sh * stride[0], sw * stride[1], sh * dilation[0], sw * dilation[1], sc)
    view: Array = xp.lib.stride_tricks.as_strided(
        x, (x.shape[0], *size, *kernel, x.shape[3]), strides
    )
    return view


def block_windows(
    x: Array, xp: ModuleType, block: Block, kernel: Pair, width: int, place: Placement
) -> Array:
    """The windows of a block of output rows `width` long: (n, rows, width, KH, KW, C)."""
    n0, n1, h0, h1 = block
    rows, columns = place.rows(h0, h1, kernel[0]), place.columns(width, kernel[1])
    piece = zero_extended(x, xp, slice(n0, n1), rows, columns)
    return windows(piece, xp, kernel, (h1 - h0, width), place)


def overlap(
    first: int, last: int, offset: int, stride: int, size: int
) -> tuple[slice, slice] | None:
    """Where one place of the windows `first:last` is inside an axis of `size` cells.

    Returns
    -------
    (outputs, inputs) or None
        The windows i with ``0 <= i*stride + offset < size``, counted from `first`, and those cells;
        None if there are none.
    """
    low = max(first, -(offset // stride))
    high = min(last, (size - 1 - offset) // stride + 1)
    if low >= high:
        return None
    begin = low * stride + offset
    inputs = slice(begin, begin + (high - low - 1) * stride + 1, stride)
    return slice(low - first, high - first), inputs
