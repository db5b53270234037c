"""Launches `pooling.cu`: max pooling, where the maxima stand, and gradients sent there."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.cuda import BLOCKS, blocks_for, launch
from minires.kernels.machinery.blocks import Pair

SOURCE, THREADS = "pooling.cu", 256

FIELDS = "N H W C Ho Wo KH KW sh sw ph pw"
POOL = np.dtype([(name, np.int32) for name in FIELDS.split()])
"""`Pool` of pooling.cu."""


def max_pool(
    x: Array, out: Array | None, places: Array | None, kernel: Pair, stride: Pair, padding: Pair
) -> None:
    """Fill the maxima and their places, contiguous and of unsigned bytes, where they are given."""
    size = next(a for a in (out, places) if a is not None)
    pool = _pool(x.shape, size.shape, kernel, stride, padding)
    x = xp_of(x).ascontiguousarray(x)
    launch(SOURCE, "max_pool", _grid(size), THREADS, x, out, places, pool)


def scatter(g: Array, places: Array, dx: Array, kernel: Pair, stride: Pair, padding: Pair) -> None:
    """Fill `dx`, contiguous, with what each pixel won."""
    g, places = (xp_of(g).ascontiguousarray(a) for a in (g, places))
    pool = _pool(dx.shape, g.shape, kernel, stride, padding)
    launch(SOURCE, "max_pool_scatter", _grid(dx), THREADS, g, places, dx, pool)


def _grid(result: Array) -> tuple[int]:
    return (min(blocks_for(result.size, THREADS), 4 * BLOCKS),)


def _pool(x: Any, out: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    return np.array((*x, *out[1:3], *kernel, *stride, *padding), POOL)[()]
