"""Addition and ReLU of large arrays, shared between threads chunk by chunk."""

from __future__ import annotations

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.chunks import CHUNK, by_chunks
from minires.kernels.machinery.elementwise_kernel import fused
from minires.kernels.machinery.workspace import empty, scratch


def add(x: Array, y: Array, out: Array | None = None) -> Array:
    """`x + y`, broadcast as usual; into `out`, which may be one of them, if it is given."""
    if type(x) is not np.ndarray or x.size <= CHUNK or np.shape(y) != x.shape:
        if out is None:
            total: Array = x + y
            return total
        out += y if out is x else x
        return out
    result = empty(np, x.shape, np.result_type(x, y)) if out is None else out
    by_chunks(lambda x, y, out: np.add(x, y, out=out), x, y, result)
    return result


def relu(x: Array) -> Array:
    """`max(x, 0)` of an array of any shape."""
    xp = xp_of(x)
    out = empty(xp, x.shape, x.dtype)
    by_chunks(lambda x, out: xp.maximum(x, 0, out=out), x, out)
    return out


def relu_gradient(g: Array, out: Array) -> Array:
    """`g` where ReLU's output is not 0 (NaN is not), else 0, for two arrays of one shape."""
    xp = xp_of(g, out)
    if xp is not np and (kernel := fused(xp, "T g, T y", "T dx", "dx = y <= 0 ? T(0) : g")):
        result: Array = kernel(g, out)
        return result
    if xp is not np or g.dtype != out.dtype or out.dtype.itemsize > 8:
        chosen: Array = xp.where(out <= 0, g.dtype.type(0), g)
        return chosen
    dx, bits = empty(xp, out.shape, out.dtype), f"i{out.dtype.itemsize}"

    def run(g: Array, out: Array, dx: Array) -> None:
        """By the bits: none of them where `out` is 0, all elsewhere, be `g` infinite."""
        zero = scratch(xp, "zero", out.shape, bool)
        kept = dx.view(bits)
        xp.less_equal(out, 0, out=zero)
        kept[...] = zero
        xp.subtract(kept, 1, out=kept)  # 1 to no bit, 0 to -1, whose bits are all set
        xp.bitwise_and(kept, g.view(bits), out=kept)

    by_chunks(run, g, out, dx)
    return dx
