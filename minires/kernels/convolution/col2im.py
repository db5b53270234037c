"""The gradient of a convolution by its input, as im2col run backwards.

One product gives what every output passes back to every place of its window; each place of the
window then adds into its own strided slice of the images. Windows that overlap add up, so that a
block has to be whole images. It needs no reordered weights, and strides cost it nothing.
"""

from __future__ import annotations

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.machinery.blocks import FEW_POSITIONS, FEWEST, Block, Pair, blocks, ranges
from minires.kernels.machinery.padding import overlap
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import scratch


def input_gradient(g: Array, w: Array, dx: Array, geometry: ConvGeometry) -> None:
    """Fill `dx` with the gradients that `g` passes back through the windows.

    Parameters
    ----------
    g : (N, Ho, Wo, O) array
    w : (KH, KW, C, O) array
    dx : (N, H, W, C) array
        Written.
    geometry : ConvGeometry
        Where the windows of the forward pass lie over `dx`; one group.
    """
    xp = xp_of(g, w)
    (N, Ho, Wo, O), (KH, KW, C, _) = g.shape, w.shape
    few = xp is np and 0 < N * Ho * Wo <= FEW_POSITIONS
    pieces = (Block(0, N, 0, 1),) if few else blocks(xp, N, 1, Ho * Wo * (KH * KW * C + O))
    # Few blocks: cut the channels too, or there are not enough of them to share.
    cuts = min(-(-FEWEST // max(len(pieces), 1)), C // 16) if xp is np else 1

    def run(job: tuple[Block, Pair]) -> None:
        block, (c0, c1) = job
        some, outputs = w[:, :, c0:c1], g[block.n0 : block.n1].reshape(-1, O)
        M, c = len(outputs), c1 - c0
        if few:  # as large as the weights are, they are read where they lie, tap by tap
            passed = scratch(xp, "passed", (KH, KW, M, c), g.dtype)
            xp.matmul(outputs, some.swapaxes(2, 3), out=passed)
            passed = passed.transpose(2, 0, 1, 3)
        else:
            passed = scratch(xp, "passed", (M, KH * KW * c), g.dtype)
            xp.matmul(outputs, some.reshape(-1, O).T, out=passed)
        by_image = passed.reshape(-1, Ho, Wo, KH, KW, c)
        _add_windows(dx[block.n0 : block.n1, :, :, c0:c1], by_image, geometry)

    channels = ranges(C, max(cuts, 1))
    parallel(run, [(block, some) for block in pieces for some in channels])


def _add_windows(dx: Array, passed: Array, geometry: ConvGeometry) -> None:
    """(n, Ho, Wo, KH, KW, c) values, each added to the cell of `dx` that it comes from."""
    H, W = dx.shape[1:3]
    Ho, Wo, KH, KW = passed.shape[1:5]
    dx[...] = 0
    (top, left), (down, across), (tall, wide) = geometry.padding, geometry.stride, geometry.dilation
    for k in range(KH):
        rows = overlap(0, Ho, k * tall - top, down, H)
        for l in range(KW):
            columns = overlap(0, Wo, l * wide - left, across, W)
            if rows is not None and columns is not None:
                dx[:, rows[1], columns[1]] += passed[:, rows[0], columns[0], k, l]
