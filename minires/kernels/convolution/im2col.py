"""Convolution as a matrix product: lay every window out as a row of a matrix, and multiply.

    out[i, o] = sum_p columns[i, p] * w[p, o]        i a position, p a place in the window

It does any shape: strides, dilation, groups. A block of output rows is lowered at a time, so that
the matrix, KH*KW times as large as the input, never leaves the cache. Source: Chellapilla, Puri
and Simard 2006, "High performance convolutional neural networks for document processing".
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.convolution import grouped
from minires.kernels.convolution.geometry import ConvGeometry, block_windows
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
from minires.kernels.machinery.partial_sums import MOST_POSITIONS, sum_over_blocks
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import empty, scratch

FEWEST_POSITIONS = 128
"""How many positions a block should have at least; adding up weight gradients costs as many."""

SLICE = 64
"""How many channels one thread works on in the gradient of large weights."""


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with the windows of `x` times `w`.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (KH, KW, C/groups, O) array
    out : (N, Ho, Wo, O) array
        Written; it may be a strided view.
    geometry : ConvGeometry
        Where the windows lie.
    epilogue : Epilogue
        Called with each part of `out` once it is written.
    """
    xp = xp_of(x, w)
    together = grouped.how_many(w.shape[2], geometry.groups)
    if together > 1:
        w = grouped.merge(w, xp, geometry.groups, together)
        geometry = geometry._replace(groups=geometry.groups // together)
    N, Ho, Wo, O = out.shape
    KH, KW, Cg, _ = w.shape
    groups, taps = geometry.groups, KH * KW * Cg
    by_group = w.reshape(taps, groups, O // groups).transpose(1, 0, 2)  # (groups, taps, O/groups)
    fewest = min(FEWEST, max(2, N * Ho * Wo // FEWEST_POSITIONS))
    pieces = blocks(xp, N, Ho, Wo * (taps * groups + O), BLOCK, fewest)

    if groups == 1 and N * Ho * Wo <= FEW_POSITIONS and xp is np:
        columns = scratch(xp, "all columns", (N, Ho, Wo, taps), x.dtype)

        def lower(block: Block) -> None:
            view = block_windows(x, xp, block, (KH, KW), Wo, geometry)
            target = block.of(columns)
            target.reshape(view.shape)[...] = view

        parallel(lower, pieces)
        result = _matrix(out, xp)
        product(xp, columns.reshape(-1, taps), by_group[0], result, epilogue)
        if not out.flags.c_contiguous:
            out[...] = result.reshape(out.shape)
        return

    def run(block: Block) -> None:
        columns = _columns(x, xp, block, (KH, KW), Wo, geometry)
        target = block.of(out)
        if groups == 1:
            result = _matrix(target, xp)
            xp.matmul(columns[0], by_group[0], out=result)
        else:
            result = scratch(xp, "product", (groups, columns.shape[1], O // groups), out.dtype)
            xp.matmul(columns, by_group, out=result)
            result = result.transpose(1, 0, 2)
        if groups > 1 or not target.flags.c_contiguous:
            split = (*target.shape[:3], groups, O // groups)
            target[...] = result.reshape(split).reshape(target.shape)
        epilogue(block.positions(out))

    parallel(run, pieces)


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of window times gradient.

    Parameters
    ----------
    x : (N, H, W, C) array
    g : (N, Ho, Wo, O) array
    kernel_size : (KH, KW)
    geometry : ConvGeometry
        Where the windows lie.

    Returns
    -------
    (KH, KW, C/groups, O) array
    """
    xp = xp_of(x, g)
    KH, KW = kernel_size
    groups, C, O = geometry.groups, x.shape[3], g.shape[3]
    together = grouped.how_many(C // groups, groups)
    if together > 1:
        fewer = geometry._replace(groups=groups // together)
        dw = weight_gradient(x, g, kernel_size, fewer)
        return grouped.split(dw, xp, groups, together)
    if groups > 1 or xp is not np or C < 2 * SLICE:
        return _slice_gradient(x, g, kernel_size, geometry, FEWEST)
    # Large weights: each thread has channels of its own, and there is less to add up.
    dw = empty(xp, (KH, KW, C, O), g.dtype)
    fewest = -(-g[..., 0].size // MOST_POSITIONS)

    def run(channels: Pair) -> None:
        some = slice(*channels)
        dw[:, :, some] = _slice_gradient(x[..., some], g, kernel_size, geometry, fewest)

    parallel(run, ranges(C, C // SLICE))
    return dw


def _slice_gradient(
    x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry, fewest: int
) -> Array:
    """`weight_gradient` in at least `fewest` blocks, if there is work for them."""
    xp = xp_of(x, g)
    KH, KW = kernel_size
    N, Ho, Wo, O = g.shape
    groups = geometry.groups
    Cg, Og = x.shape[3] // groups, O // groups
    taps = KH * KW * Cg

    def add(total: Array, block: Block) -> None:
        columns = _columns(x, xp, block, kernel_size, Wo, geometry)
        piece = block.of(g).reshape(-1, groups, Og)
        partial = scratch(xp, "product", total.shape, total.dtype)
        xp.matmul(columns.transpose(0, 2, 1), piece.transpose(1, 0, 2), out=partial)
        total += partial

    per_position = taps * groups + O
    budget = max(BLOCK, FEWEST_POSITIONS * per_position)
    fewest = min(fewest, max(1, N * Ho * Wo // FEWEST_POSITIONS))
    pieces = blocks(xp, N, Ho, Wo * per_position, budget, fewest)
    total = sum_over_blocks(xp, add, pieces, (groups, taps, Og), g.dtype)
    dw: Array = total.transpose(1, 0, 2).reshape(KH, KW, Cg, O)
    return dw


def _matrix(target: Array, xp: ModuleType) -> Array:
    """Where a product goes that `target` is to hold: itself as a matrix, or scratch memory."""
    shape = (-1, target.shape[-1])
    if target.flags.c_contiguous:
        return target.reshape(shape)
    return scratch(xp, "product", target.shape, target.dtype).reshape(shape)


def _columns(
    x: Array, xp: ModuleType, block: Block, kernel: Pair, width: int, geometry: ConvGeometry
) -> Array:
    """The windows of a block as rows of matrices: (groups, n*rows*Wo, KH*KW*C/groups)."""
    view = block_windows(x, xp, block, kernel, width, geometry)
    n, rows, _, KH, KW, C = view.shape
    size = C // geometry.groups
    lowered = scratch(xp, "columns", (geometry.groups, n, rows, width, KH, KW, size), x.dtype)
    split = xp.lib.stride_tricks.as_strided(
        view,
        (*view.shape[:-1], geometry.groups, size),
        (*view.strides[:-1], size * view.strides[-1], view.strides[-1]),
    )
    lowered[...] = split.transpose(5, 0, 1, 2, 3, 4, 6)
    matrix: Array = lowered.reshape(geometry.groups, n * rows * width, KH * KW * size)
    return matrix
