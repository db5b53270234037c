"""``x * scale + shift`` by channel, and what follows it in a residual block, in one pass.

It is what batch normalisation comes to, once the statistics are known. `ScaledInPlace` does it to
the output of a convolution, part by part, on the thread that has just written it: so in a network
that only predicts, the numbers between the two never leave the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.fused import fused
from minires.kernels.half import computed_in_float32
from minires.kernels.wide_rows import Chunk, Rows
from minires.kernels.workspace import empty

SMALL = 1 << 17
"""Arrays of so many numbers are scaled row by row: to widen the factors would take longer."""


def factors(gamma: Any, beta: Any, mean: Array, var: Array, eps: float) -> tuple[Any, Any]:
    """The scale and the shift, (C,) each, of batch norm with known statistics.

    ``gamma * (x - mean) / sqrt(var + eps) + beta``, with what does not depend on x taken together.
    `gamma` and `beta` may be Tensors: then the factors are.
    """
    scale = gamma * (1 / xp_of(var).sqrt(var + eps))
    return scale, beta - scale * mean


@computed_in_float32(on="cpu and gpu")
def scale_shift(
    x: Array, scale: Array, shift: Array, *, residual: Array | None = None, relu: bool = False
) -> Array:
    """``x * scale + shift``, for an (..., C) array and (C,) vectors.

    `residual`, an array of x's shape, is added to that, and `relu` takes the ReLU of it all.
    """
    xp = xp_of(x)
    if xp is not np or x.size <= SMALL:
        kernel = fused(xp, "T x, S scale, S shift", "T y", "y = x * scale + shift")
        if kernel is not None:
            out = kernel(x, scale, shift)
        else:
            out = x * scale.astype(x.dtype, copy=False)
            out += shift.astype(x.dtype, copy=False)
        return joined(out, residual, relu)
    out = empty(xp, x.shape, x.dtype)
    rows = Rows(xp, x)
    added = None if residual is None else rows.flat(residual)
    wide = rows.widen(scale), rows.widen(shift)
    values, flat = rows.flat(x), out.reshape(-1)
    rows.each(lambda chunk: scale_chunk(chunk, values, wide, added, relu, flat))
    return out


class ScaledInPlace:
    """`scale_shift` for the output of a convolution, in place: a `geometry.Done`.

    Parameters
    ----------
    out : (N, H, W, C) array
        In C order.
    scale, shift : (C,) arrays
    residual : (N, H, W, C) array, optional
    relu : bool
    """

    def __init__(
        self, out: Array, scale: Array, shift: Array, residual: Array | None, relu: bool
    ) -> None:
        rows = Rows(np, out)
        self.matrix = out.reshape(-1, rows.channels)
        self.wide = rows.widen(scale), rows.widen(shift)
        self.residual = None if residual is None else residual.reshape(self.matrix.shape)
        self.relu = relu

    def __call__(self, positions: slice) -> None:
        """Scale and shift ``out.reshape(-1, C)[positions]``."""
        some = self.matrix[positions]
        rows, flat = Rows(np, some), some.reshape(-1)
        added = None if self.residual is None else rows.flat(self.residual[positions])
        rows.each(lambda chunk: scale_chunk(chunk, flat, self.wide, added, self.relu, flat))


def scale_chunk(
    chunk: Chunk,
    x: Array,
    wide: tuple[Array, Array],
    residual: Array | None,
    relu: bool,
    out: Array,
) -> None:
    """One chunk of flat arrays; the factors are `wide` rows, `out` may be `x`."""
    scale, shift = wide
    result = chunk.of(out)
    np.multiply(chunk.of(x), scale[: chunk.width], out=result)
    np.add(result, shift[: chunk.width], out=result)
    if residual is not None:
        np.add(result, chunk.of(residual), out=result)
    if relu:
        np.maximum(result, 0, out=result)


def joined(out: Array, residual: Array | None, relu: bool) -> Array:
    """`out` with the residual added, and its ReLU taken, both in place."""
    if residual is not None:
        out += residual
    if relu:
        xp_of(out).maximum(out, 0, out=out)
    return out
