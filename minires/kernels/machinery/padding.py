"""Arrays in a frame of zeros: images to convolve, and what `ops.pad` gives.

One algorithm puts zeros round its images itself while it transforms them: `winograd_1d`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.blocks import Pair, ranges
from minires.kernels.machinery.chunks import CHUNK, chunk_count
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import empty, scratch


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


def placed(x: Array, shape: tuple[int, ...], key: Any, value: float = 0) -> Array:
    """An array of `shape` full of `value`, but for `x`, stretched if need be, at ``[key]``.

    It is shared between threads where the key is of slices that leave the first axis whole.
    """
    xp = xp_of(x)
    out = empty(xp, shape, x.dtype)

    def run(some: Array, part: Array) -> None:
        part[...] = value
        part[key] = some

    slices = isinstance(key, tuple) and key and all(isinstance(part, slice) for part in key)
    whole = slices and key[0].indices(shape[0]) == (0, shape[0], 1)
    if not whole or x.shape != out[key].shape or xp is not np or out.size <= CHUNK:
        run(x, out)
    else:
        pieces = ranges(shape[0], chunk_count(out.size))
        parallel(lambda piece: run(x[slice(*piece)], out[slice(*piece)]), pieces)
    return out
