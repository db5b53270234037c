"""``x * scale + shift`` by channel: batch normalisation whose statistics are known."""

from __future__ import annotations

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.fused import fused
from minires.kernels.half import computed_in_float32
from minires.kernels.wide_rows import Chunk, Rows
from minires.kernels.workspace import empty

SMALL = 1 << 17
"""Arrays of so many numbers are scaled row by row: to widen the factors would take longer."""


@computed_in_float32(on="cpu and gpu")
def scale_shift(x: Array, scale: Array, shift: Array) -> Array:
    """``x * scale + shift``, for an (..., C) array and (C,) vectors."""
    xp = xp_of(x)
    if xp is not np or x.size <= SMALL:
        kernel = fused(xp, "T x, S scale, S shift", "T y", "y = x * scale + shift")
        if kernel is not None:
            result: Array = kernel(x, scale, shift)
            return result
        out = x * scale.astype(x.dtype, copy=False)
        out += shift.astype(x.dtype, copy=False)
        return out
    out = empty(xp, x.shape, x.dtype)
    rows = Rows(xp, x)
    wide_scale, wide_shift = rows.widen(scale), rows.widen(shift)
    values, flat = rows.flat(x), out.reshape(-1)

    def run(chunk: Chunk) -> None:
        result = chunk.of(flat)
        np.multiply(chunk.of(values), wide_scale[: chunk.width], out=result)
        np.add(result, wide_shift[: chunk.width], out=result)

    rows.each(run)
    return out
