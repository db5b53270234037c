"""Convolution without lowering: the windows of an image row, taken in turns, are matrices already.

Channels last, the KW*C numbers of a window in one image row are contiguous. Windows that are next
to each other overlap, so they are not the rows of a matrix that BLAS would take. But every KW-th
of them begins where the one before it ended: the windows are KW interleaved matrices, mere views of
the padded rows. Each is multiplied by one row of the kernel, and the KH products of a window are
added:

    out[i] = sum_k windows[i + k rows] @ w[k]

Rows follow each other without a gap, so a matrix runs on over the end of a row: the KW - 1 windows
there are nobody's, and their products are left out. Of few channels a product costs no more than
copying the windows would, so this is what suits them. Compare `rows`, which copies along the width,
and `im2col`, which copies everything. Strides of 1 only.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.machinery.blocks import Block, Pair, blocks
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.padding import zero_extended
from minires.kernels.machinery.partial_sums import sum_over_blocks
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import scratch

UNPACKED = 10**6
"""Matrices with fewer products than this OpenBLAS multiplies as they lie. Larger ones it first
copies into another order, which for so few columns takes as long as the products."""

TALLEST = 64
"""How many windows a matrix has at most. Where it is transposed for a gradient these are added up:
float32 sums of more are less exact than PyTorch's."""

LOWEST = 16
"""How many it has at least, if there are so many."""

BLOCK = 1 << 21
"""How many numbers a block's buffers hold; see `geometry.BLOCK`."""


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with the windows of `x` times `w`; see `im2col.correlate`."""
    xp = xp_of(x, w)
    N, Ho, Wo, O = out.shape
    KH, KW, C, _ = w.shape
    taps = w.reshape(KH, 1, 1, 1, KW * C, O)

    def run(block: Block) -> None:
        target = block.of(out)
        turns = in_turns(KW, (block.h1 - block.h0) * (Wo + KW - 1), C * O)
        windows = _windows(x, xp, block, turns, (KH, KW), Wo, geometry)
        products = scratch(xp, "products", (KH, len(target), turns.windows, O), out.dtype)
        xp.matmul(windows, taps, out=interleaved(products, turns))
        inside = products[:, :, : (block.h1 - block.h0) * (Wo + KW - 1)]
        rows = inside.reshape(KH, len(target), -1, Wo + KW - 1, O)[:, :, :, :Wo]
        if KH == 1:
            target[...] = rows[0]
        else:
            xp.add(rows[0], rows[1], out=target)
        for k in range(2, KH):
            target += rows[k]
        epilogue(block.positions(out))

    parallel(run, blocks(xp, N, Ho, (Wo + KW) * (C + KH * O), BLOCK))


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of window times gradient; see `im2col.weight_gradient`."""
    xp = xp_of(x, g)
    KH, KW = kernel_size
    N, Ho, Wo, O = g.shape
    C = x.shape[3]

    def add(total: Array, block: Block) -> None:
        turns = in_turns(KW, (block.h1 - block.h0) * (Wo + KW - 1), C * O)
        windows = _windows(x, xp, block, turns, kernel_size, Wo, geometry)
        piece = block.of(g)
        n, rows = piece.shape[:2]
        spread = scratch(xp, "gradient", (n, turns.windows, O), g.dtype)
        by_row = spread[:, : rows * (Wo + KW - 1)].reshape(n, rows, Wo + KW - 1, O)
        by_row[:, :, :Wo] = piece
        by_row[:, :, Wo:] = 0  # nobody's windows meet zeros
        spread[:, rows * (Wo + KW - 1) :] = 0
        products = xp.matmul(windows.swapaxes(-1, -2), interleaved(spread, turns))
        total += products.sum(axis=(1, 2, 3))

    pieces = blocks(xp, N, Ho, (Wo + KW) * (C + O), BLOCK)
    total = sum_over_blocks(xp, add, pieces, (KH, KW * C, O), g.dtype)
    dw: Array = total.reshape(KH, KW, C, O)
    return dw


class Turns(NamedTuple):
    """How windows in a row are split into matrices."""

    every: int  # KW: windows i, i + every, i + 2 * every, ... are one after the other
    matrices: int  # into which these are cut
    height: int  # of one matrix
    windows: int  # in all of them


def in_turns(every: int, windows: int, products: int) -> Turns:
    """At least so many windows, `every` pixels wide, of C channels for O filters: C*O products."""
    per_turn = -(-windows // every)
    highest = UNPACKED // max(every * products, 1)
    matrices = -(-per_turn // min(max(highest, LOWEST), TALLEST))
    height = -(-per_turn // matrices)
    return Turns(every, matrices, height, every * matrices * height)


def _windows(
    x: Array,
    xp: ModuleType,
    block: Block,
    turns: Turns,
    kernel: Pair,
    width: int,
    geometry: ConvGeometry,
) -> Array:
    """What each row of the kernel sees: (KH, n, turns, matrices, height, KW*C), a view."""
    (KH, KW), C = kernel, x.shape[3]
    row = width + KW - 1  # pixels in a padded row
    top, left = block.h0 - geometry.padding[0], -geometry.padding[1]
    below = (KH - 1) * geometry.dilation[0] + -(-(turns.windows + KW - 1) // row)
    piece = zero_extended(x, xp, slice(block.n0, block.n1), (top, top + below), (left, left + row))
    if not piece[0].flags.c_contiguous:
        padded = scratch(xp, "dense", piece.shape, x.dtype)
        padded[...] = piece
        piece = padded
    image, down, pixel, number = piece.strides
    view: Array = xp.lib.stride_tricks.as_strided(
        piece,
        (KH, len(piece), KW, turns.matrices, turns.height, KW * C),
        (down * geometry.dilation[0], image, pixel, turns.height * KW * pixel, KW * pixel, number),
    )
    return view


def interleaved(flat: Array, turns: Turns) -> Array:
    """(..., windows, O) as matrices in the order of `_windows`, a view."""
    *lead, _, O = flat.shape
    split = flat.reshape(*lead, turns.matrices, turns.height, turns.every, O)
    view: Array = split.swapaxes(-2, -3).swapaxes(-3, -4)
    return view


def why_not(kernel: Pair, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if geometry.stride != (1, 1):
        return f"it needs a stride of 1, not {geometry.stride}"
    if kernel[1] > 1 and geometry.dilation[1] != 1:
        return f"it needs windows without holes, not a dilation of {geometry.dilation[1]}"
    if geometry.groups != 1:
        return f"it needs one group, not {geometry.groups}"
    return None
