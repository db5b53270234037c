"""Addition, ReLU and padding of large arrays: shared between threads, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.fused import fused
from minires.kernels.geometry import even_shares, ranges
from minires.kernels.threads import parallel
from minires.kernels.workspace import empty, scratch

CHUNK = 1 << 18
"""How many numbers a chunk holds on the CPU: 1 MiB of float32."""


def add(x: Array, y: Array, out: Array | None = None) -> Array:
    """`x + y`, broadcast as usual; into `out`, which may be one of them, if it is given."""
    if type(x) is not np.ndarray or x.size <= CHUNK or np.shape(y) != x.shape:
        if out is None:
            total: Array = x + y
            return total
        out += y if out is x else x
        return out
    result = empty(np, x.shape, np.result_type(x, y)) if out is None else out
    _by_chunks(lambda x, y, out: np.add(x, y, out=out), x, y, result)
    return result


def relu(x: Array) -> Array:
    """`max(x, 0)` of an array of any shape."""
    xp = xp_of(x)
    out = empty(xp, x.shape, x.dtype)
    _by_chunks(lambda x, out: xp.maximum(x, 0, out=out), x, out)
    return out


def relu_gradient(g: Array, out: Array) -> Array:
    """`g` where ReLU's output was positive, else 0, for two arrays of one shape."""
    xp = xp_of(g, out)
    if xp is not np and (kernel := fused(xp, "T g, T y", "T dx", "dx = y > 0 ? g : T(0)")):
        result: Array = kernel(g, out)
        return result
    dx = empty(xp, out.shape, out.dtype)

    def run(g: Array, out: Array, dx: Array) -> None:
        positive = scratch(xp, "positive", out.shape, bool)
        xp.greater(out, 0, out=positive)
        dx[...] = positive  # as numbers: a product of numbers and truth values is slower
        xp.multiply(g, dx, out=dx)

    _by_chunks(run, g, out, dx)
    return dx


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
        pieces = ranges(shape[0], even_shares(-(-out.size // CHUNK)))
        parallel(lambda piece: run(x[slice(*piece)], out[slice(*piece)]), pieces)
    return out


def _by_chunks(run: Callable[..., object], *arrays: Array) -> None:
    """`run` on pieces of all arrays; the last is written, and C-contiguous."""
    count = even_shares(-(-arrays[-1].size // CHUNK))
    dense = all(a.flags.c_contiguous for a in arrays)
    if count < 2 or not dense or xp_of(*arrays) is not np:
        run(*arrays)
        return
    flat = [a.reshape(-1) for a in arrays]
    pieces = ranges(flat[0].size, count)
    parallel(lambda piece: run(*(a[piece[0] : piece[1]] for a in flat)), pieces)
