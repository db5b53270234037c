"""A 1x1 convolution, which channels last is a matrix product: ``out = x @ w`` at each position."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.machinery.blocks import (
    BLOCK,
    FEW_POSITIONS,
    FEWEST,
    Block,
    Pair,
    blocks,
    ranges,
)
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.matmul import product
from minires.kernels.machinery.padding import zero_extended
from minires.kernels.machinery.partial_sums import MOST_POSITIONS, sum_over_blocks
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import empty, scratch

SLICE = 128
"""How many channels one thread works on in the gradient of large weights."""

FEWEST_POSITIONS = 128
"""How many positions a block should have at least; adding up weight gradients costs as many."""


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with `x` at the windows' places times `w`; see `im2col.correlate`."""
    xp = xp_of(x, w)
    N, Ho, Wo, O = out.shape
    taps = w[0, 0]
    seen = _seen(x, xp, Ho, Wo, geometry)
    few = N * Ho * Wo <= FEW_POSITIONS and xp is np
    if (few or seen.flags.c_contiguous) and out.flags.c_contiguous:
        product(xp, _dense(seen, xp), taps, out.reshape(-1, O), epilogue)
        return

    def run(block: Block) -> None:
        source, target = block.of(seen), block.of(out)
        result = target
        if not target.flags.c_contiguous:
            result = scratch(xp, "product", target.shape, out.dtype)
        xp.matmul(_dense(source, xp), taps, out=result.reshape(-1, O))
        if result is not target:
            target[...] = result
        epilogue(block.positions(out))

    parallel(run, blocks(xp, N, Ho, Wo * (x.shape[3] + O)))


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of x times gradient; see `im2col.weight_gradient`."""
    xp = xp_of(x, g)
    N, Ho, Wo, O = g.shape
    C = x.shape[3]
    seen = _seen(x, xp, Ho, Wo, geometry)
    fewest = min(FEWEST, max(1, N * Ho * Wo // FEWEST_POSITIONS))
    pieces = blocks(xp, N, Ho, Wo * (C + O), min(BLOCK, MOST_POSITIONS * (C + O)), fewest)
    if xp is np and C >= 2 * SLICE and seen.flags.c_contiguous and g.flags.c_contiguous:
        dw = empty(xp, (C, O), g.dtype)

        def run(channels: Pair) -> None:
            some = slice(*channels)
            xp.matmul(seen.reshape(-1, C)[:, some].T, g.reshape(-1, O), out=dw[some])

        parallel(run, ranges(C, C // SLICE))
    else:

        def add(total: Array, block: Block) -> None:
            total += xp.matmul(_dense(block.of(seen), xp).T, block.of(g).reshape(-1, O))

        dw = sum_over_blocks(xp, add, pieces, (C, O), g.dtype)
    result: Array = dw.reshape(1, 1, C, O)
    return result


def _seen(x: Array, xp: ModuleType, Ho: int, Wo: int, geometry: ConvGeometry) -> Array:
    """The cells of `x` under the windows, a view where there is no padding: (N, Ho, Wo, C)."""
    rows, columns = geometry.rows(0, Ho, 1), geometry.columns(Wo, 1)
    piece = zero_extended(x, xp, slice(None), rows, columns)
    return piece[:, :: geometry.stride[0], :: geometry.stride[1]]


def _dense(source: Array, xp: ModuleType) -> Array:
    """(n, rows, Wo, C) as a (n*rows*Wo, C) matrix, copied to scratch memory if need be."""
    if not source.flags.c_contiguous:
        dense = scratch(xp, "columns", source.shape, source.dtype)
        dense[...] = source
        source = dense
    matrix: Array = source.reshape(-1, source.shape[-1])
    return matrix


def why_not(kernel: Pair, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if kernel != (1, 1):
        return f"it needs a 1x1 kernel, not {kernel[0]}x{kernel[1]}"
    if geometry.groups != 1:
        return f"it needs one group, not {geometry.groups}"
    return None
