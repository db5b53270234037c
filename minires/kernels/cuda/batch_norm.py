"""Launches `batch_norm.cu`: batch norm's sums over a batch, which fill the GPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minires.backend import Array, stream_of, xp_of
from minires.kernels.cuda import BLOCKS, blocks_for, launch

SOURCE, THREADS = "batch_norm.cu", 256  # as many as there


def statistics(
    x: Array, eps: float, running_mean: Array | None, running_var: Array | None, momentum: float
) -> Array:
    """Mean, biased variance and ``1 / sqrt(var + eps)`` of each channel, (3, C).

    The running statistics, which may be None, move along.
    """
    xp = xp_of(x)
    x = xp.ascontiguousarray(x)
    grid, *shares = _shares(x)
    found: Array = xp.empty((3, x.shape[-1]), np.float32)
    running = running_mean, running_var, np.float32(momentum)
    arguments = x, *shares, found, np.float64(eps), *running
    launch(SOURCE, "norm_statistics", grid, THREADS, *arguments)
    return found


def gradient_sums(g: Array, x: Array, mean: Array, inv_std: Array) -> Array:
    """As `kernels.gradient_sums`, (2, C)."""
    xp = xp_of(g, x)
    g, x = xp.ascontiguousarray(g), xp.ascontiguousarray(x)
    mean, inv_std = xp.ascontiguousarray(mean), xp.ascontiguousarray(inv_std)
    grid, *shares = _shares(x)
    sums: Array = xp.empty((2, x.shape[-1]), np.float32)
    launch(SOURCE, "norm_gradient_sums", grid, THREADS, g, x, mean, inv_std, *shares, sums)
    return sums


def _shares(x: Array) -> tuple[Any, ...]:
    """The grid for rows of channels, their numbers, and the memory that the blocks share."""
    xp, C = xp_of(x), x.shape[-1]
    rows = x.size // C
    lanes = 1 << min((C - 1).bit_length(), 5)
    tiles = blocks_for(C, lanes)
    each = THREADS // lanes
    blocks = min(blocks_for(rows, 4 * each), blocks_for(BLOCKS, tiles))
    partial = xp.empty((blocks, 2, C), np.float64)
    sizes = np.int32(rows), np.int32(C), np.int32(lanes)
    return (blocks, tiles), *sizes, partial, _arrived(xp, stream_of(x), tiles)


@cache
def _arrived(xp: Any, stream: Any, tiles: int) -> Array:
    """Zeros that blocks count themselves in, and leave as zeros; of each stream its own."""
    return xp.zeros(tiles, np.uint32)
