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
from minires.kernels import grouped
from minires.kernels.geometry import (
    BLOCK,
    FEW_POSITIONS,
    FEWEST,
    Block,
    Done,
    block_windows,
    blocks,
    ranges,
)
from minires.kernels.partial_sums import MOST_POSITIONS, sum_over_blocks
from minires.kernels.placement import Pair, Placement
from minires.kernels.products import product
from minires.kernels.threads import parallel
from minires.kernels.workspace import empty, scratch

FEWEST_POSITIONS = 128
"""How many positions a block should have at least; adding up weight gradients costs as many."""

SLICE = 64
"""How many channels one thread works on in the gradient of large weights."""


def correlate(x: Array, w: Array, out: Array, place: Placement, done: Done) -> None:
    """Fill `out` with the windows of `x` times `w`.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (KH, KW, C/groups, O) array
    out : (N, Ho, Wo, O) array
        Written; it may be a strided view.
    place : Placement
        Where the windows lie.
    done : Done
        Called with each part of `out` once it is written.
    """
    xp = xp_of(x, w)
    together = grouped.how_many(w.shape[2], place.groups)
    if together > 1:
        w = grouped.merge(w, xp, place.groups, together)
        place = place._replace(groups=place.groups // together)
    N, Ho, Wo, O = out.shape
    KH, KW, Cg, _ = w.shape
    groups, taps = place.groups, KH * KW * Cg
    by_group = w.reshape(taps, groups, O // groups).transpose(1, 0, 2)  # (groups, taps, O/groups)
    fewest = min(FEWEST, max(2, N * Ho * Wo // FEWEST_POSITIONS))
    pieces = blocks(xp, N, Ho, Wo * (taps * groups + O), BLOCK, fewest)

    if groups == 1 and N * Ho * Wo <= FEW_POSITIONS and xp is np:
        columns = scratch(xp, "all columns", (N, Ho, Wo, taps), x.dtype)

        def lower(block: Block) -> None:
            view = block_windows(x, xp, block, (KH, KW), Wo, place)
            target = block.of(columns)
            target.reshape(view.shape)[...] = view

        parallel(lower, pieces)
        result = _matrix(out, xp)
        product(xp, columns.reshape(-1, taps), by_group[0], result, done)
        if not out.flags.c_contiguous:
            out[...] = result.reshape(out.shape)
        return

    def run(block: Block) -> None:
        columns = _columns(x, xp, block, (KH, KW), Wo, place)
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
        done(block.positions(out))

    parallel(run, pieces)


def weight_gradient(x: Array, g: Array, kernel_size: Pair, place: Placement) -> Array:
    """The sum over all positions of window times gradient.

    Parameters
    ----------
    x : (N, H, W, C) array
    g : (N, Ho, Wo, O) array
    kernel_size : (KH, KW)
    place : Placement
        Where the windows lie.

    Returns
    -------
    (KH, KW, C/groups, O) array
    """
    xp = xp_of(x, g)
    KH, KW = kernel_size
    groups, C, O = place.groups, x.shape[3], g.shape[3]
    together = grouped.how_many(C // groups, groups)
    if together > 1:
        fewer = place._replace(groups=groups // together)
        dw = weight_gradient(x, g, kernel_size, fewer)
        return grouped.split(dw, xp, groups, together)
    if groups > 1 or xp is not np or C < 2 * SLICE:
        return _slice_gradient(x, g, kernel_size, place, FEWEST)
    # Large weights: each thread has channels of its own, and there is less to add up.
    dw = empty(xp, (KH, KW, C, O), g.dtype)
    fewest = -(-g[..., 0].size // MOST_POSITIONS)

    def run(channels: Pair) -> None:
        some = slice(*channels)
        dw[:, :, some] = _slice_gradient(x[..., some], g, kernel_size, place, fewest)

    parallel(run, ranges(C, C // SLICE))
    return dw


def _slice_gradient(x: Array, g: Array, kernel_size: Pair, place: Placement, fewest: int) -> Array:
    """`weight_gradient` in at least `fewest` blocks, if there is work for them."""
    xp = xp_of(x, g)
    KH, KW = kernel_size
    N, Ho, Wo, O = g.shape
    groups = place.groups
    Cg, Og = x.shape[3] // groups, O // groups
    taps = KH * KW * Cg

    def add(total: Array, block: Block) -> None:
        columns = _columns(x, xp, block, kernel_size, Wo, place)
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
    x: Array, xp: ModuleType, block: Block, kernel: Pair, width: int, place: Placement
) -> Array:
    """The windows of a block as rows of matrices: (groups, n*rows*Wo, KH*KW*C/groups)."""
    view = block_windows(x, xp, block, kernel, width, place)
    n, rows, _, KH, KW, C = view.shape
    size = C // place.groups
    lowered = scratch(xp, "columns", (place.groups, n, rows, width, KH, KW, size), x.dtype)
    split = xp.lib.stride_tricks.as_strided(
        view,
        (*view.shape[:-1], place.groups, size),
        (*view.strides[:-1], size * view.strides[-1], view.strides[-1]),
    )
    lowered[...] = split.transpose(5, 0, 1, 2, 3, 4, 6)
    matrix: Array = lowered.reshape(place.groups, n * rows * width, KH * KW * size)
    return matrix
