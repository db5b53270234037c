"""Depthwise convolution: each channel has its own filter, so that nothing is summed over channels.

A product of matrices would be one column wide. Instead, each of the KH*KW taps is a vector over the
channels that multiplies a shifted view of the images.
"""

from __future__ import annotations

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry, block_windows
from minires.kernels.machinery.blocks import Block, Pair, blocks
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.partial_sums import sum_over_blocks
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import scratch

BLOCK = 1 << 17
"""How many numbers a block holds: each is read and written once for each tap."""


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with each channel's windows times its filter; see `im2col.correlate`."""
    xp = xp_of(x, w)
    N, Ho, Wo, C = out.shape
    KH, KW = w.shape[:2]
    # Each tap as often as a row is wide: NumPy's loops are short where they repeat C numbers.
    taps = xp.ascontiguousarray(xp.broadcast_to(w, (KH, KW, Wo, C)))

    def run(block: Block) -> None:
        view = block_windows(x, xp, block, (KH, KW), Wo, geometry)
        total = scratch(xp, "total", (*view.shape[:3], C), out.dtype)
        term = scratch(xp, "term", total.shape, out.dtype)
        xp.multiply(view[:, :, :, 0, 0], taps[0, 0], out=total)
        for tap in range(1, KH * KW):
            k, l = divmod(tap, KW)
            xp.multiply(view[:, :, :, k, l], taps[k, l], out=term)
            total += term
        block.of(out)[...] = total
        epilogue(block.positions(out))

    parallel(run, blocks(xp, N, Ho, 4 * Wo * C, BLOCK))


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of window times gradient; see `im2col.weight_gradient`."""
    xp = xp_of(x, g)
    KH, KW = kernel_size
    N, Ho, Wo, C = g.shape

    def add(total: Array, block: Block) -> None:
        view = block_windows(x, xp, block, kernel_size, Wo, geometry)
        piece = block.of(g)
        term = scratch(xp, "term", piece.shape, g.dtype)
        ones = xp.ones((1, term.size // C), g.dtype)
        for k in range(KH):
            for l in range(KW):
                xp.multiply(view[:, :, :, k, l], piece, out=term)
                # A product with ones sums over rows many times faster than sum(axis=0).
                total[k, l] += xp.matmul(ones, term.reshape(-1, C))

    pieces = blocks(xp, N, Ho, 4 * Wo * C, BLOCK)
    return sum_over_blocks(xp, add, pieces, (KH, KW, 1, C), g.dtype)


def why_not(channels: int, filters: int, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if geometry.groups != channels or filters != channels or channels == 1:
        return (
            f"it needs one channel and one filter to a group, not {channels} channels and "
            f"{filters} filters in {geometry.groups} group(s)"
        )
    return None
