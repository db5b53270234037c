"""What is done to a convolution's output, block by block, while it is in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minires.backend import Array, xp_of

Epilogue: TypeAlias = Callable[[slice], None]
"""What an algorithm calls with each range of positions, rows of ``out.reshape(-1, O)``, once it is
written: on the thread that wrote it, in whose cache it is."""


def no_epilogue(positions: slice) -> None:
    """The `Epilogue` of an output to which nothing is to be done."""


CHUNK = 1 << 16
"""Numbers that are taken through all three at a time."""

WIDE = 1 << 12
"""Numbers of a wide row: NumPy's loop over 64 channels takes as long to start as to run."""


class BiasResidualReLU:
    """``max(out + bias + residual, 0)`` in place, without what is None: an `Epilogue`.

    Parameters
    ----------
    out : (..., C) array
        Whose positions are in a row; a part of the channels is a part of another array.
    bias : (C,) array or None
    residual : array of the shape of out, or None
    relu : bool
    """

    def __init__(self, out: Array, bias: Array | None, residual: Array | None, relu: bool) -> None:
        C = out.shape[-1]
        self.out, self.bias, self.relu = out.reshape(-1, C), bias, relu
        self.residual = None if residual is None else residual.reshape(-1, C)
        self.idle = bias is None and residual is None and not relu
        dense = out.flags.c_contiguous and (residual is None or residual.flags.c_contiguous)
        wide = WIDE // C if dense and xp_of(out) is np else 0
        self.positions = max(wide, 1)  # in a wide row
        self.wide_bias = bias if bias is None or wide < 2 else np.tile(bias, wide)
        self.step = max(CHUNK // (C * self.positions), 1) * self.positions

    def __call__(self, positions: slice) -> None:
        if self.idle:
            return
        first, last, _ = positions.indices(len(self.out))
        if xp_of(self.out) is not np:
            self._finish(first, last, 1, self.bias)
            return
        for i in range(first, last, self.step):
            j = min(i + self.step, last)
            whole = i + (j - i) // self.positions * self.positions
            if i < whole:
                self._finish(i, whole, self.positions, self.wide_bias)
            if whole < j:
                self._finish(whole, j, 1, self.bias)

    def _finish(self, first: int, last: int, positions: int, bias: Array | None) -> None:
        out = self.out[first:last]
        if positions > 1:
            out = out.reshape(-1, positions * out.shape[1])
        xp = xp_of(out)
        if bias is not None:
            xp.add(out, bias, out=out)
        if self.residual is not None:
            xp.add(out, self.residual[first:last].reshape(out.shape), out=out)
        if self.relu:
            xp.maximum(out, 0, out=out)
