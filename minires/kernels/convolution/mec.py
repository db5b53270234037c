"""Memory-efficient convolution: windows above each other share their lowering.

For one column of outputs, what the windows see in a row of the image is KW*C numbers; those of all
rows, one after the other, are a *strip*. A window is KH rows of it, contiguous already. Windows
overlap in the strip, so they are not the rows of a matrix that BLAS would take, but every
ceil(KH/stride)-th begins behind the end of the one before:

    out[i, j] = strip[j][i*stride : i*stride + KH] @ w        i = t, t + every, t + 2*every, ...

So a strip is lowered once for KH/stride windows that im2col copies each for itself. It suits few
channels, where copying takes long beside the product, and large kernels with a stride, such as the
7x7 with which a ResNet begins. Compare `interleaved`, which does the same with strides of 1. Source
of the lowering: Cho and Brand 2017, arXiv:1706.06873.
"""

from __future__ import annotations

from types import ModuleType

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry, windows
from minires.kernels.machinery.blocks import Block, Pair, blocks
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.padding import zero_extended
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import scratch

BLOCK = 1 << 20
"""How many numbers the strips of a block hold; see `geometry.BLOCK`."""


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with the windows of `x` times `w`; see `im2col.correlate`."""
    xp = xp_of(x, w)
    N, Ho, Wo, O = out.shape
    KH, KW, C, _ = w.shape
    down, across = geometry.stride
    matrix = w.reshape(-1, O)
    every = -(-KH // down)
    tall = Ho // every * every
    top, bottom = geometry.rows(0, Ho, KH)

    def run(block: Block) -> None:
        n0, n1, j0, j1 = block  # images, and columns of outputs
        shifted = geometry._replace(
            stride=(1, across), padding=(0, geometry.padding[1] - j0 * across)
        )
        seen = shifted.columns(j1 - j0, KW)
        piece = zero_extended(x, xp, slice(n0, n1), (top, bottom), seen)
        view = windows(piece, xp, (1, KW), (bottom - top, j1 - j0), shifted)[:, :, :, 0]
        strips = scratch(xp, "strips", view.swapaxes(1, 2).shape, x.dtype)  # (n, j, rows, KW, C)
        strips[...] = view.swapaxes(1, 2)
        target = out[n0:n1, :, j0:j1].swapaxes(1, 2)  # (n, j, Ho, O)
        for first, last, step in ((0, tall, every), (tall, Ho, Ho - tall)):
            if first < last:
                inputs = _taken_in_turns(strips, xp, first, last, step, KH, down)
                turns = target[:, :, first:last].reshape(*target.shape[:2], -1, step, O)
                xp.matmul(inputs, matrix, out=turns.swapaxes(2, 3))

    parallel(run, blocks(xp, N, Wo, (bottom - top) * KW * C + Ho * O, BLOCK))
    epilogue(slice(None))  # not column by column: of those the positions are not in a row


def _taken_in_turns(
    strips: Array, xp: ModuleType, first: int, last: int, step: int, rows: int, stride: int
) -> Array:
    """The windows `first:last` of each strip, every `step`-th in one matrix: a view.

    (n, j, rows, KW, C) -> (n, j, step, height, KH*KW*C), with ``step * height = last - first``.
    """
    n, columns, _, KW, C = strips.shape
    image, strip, row, _, number = strips.strides
    view: Array = xp.lib.stride_tricks.as_strided(
        strips[:, :, first * stride :],
        (n, columns, step, (last - first) // step, rows * KW * C),
        (image, strip, stride * row, step * stride * row, number),
    )
    return view


def why_not(kernel: Pair, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if kernel[0] > 1 and geometry.dilation[0] != 1:
        return f"it needs windows without holes down, not a dilation of {geometry.dilation[0]}"
    if geometry.groups != 1:
        return f"it needs one group, not {geometry.groups}"
    return None
