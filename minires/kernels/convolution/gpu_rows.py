"""Row lowering: copy the windows along the width only, and let the matrix products do the height.

Channels last, a window's KW*C values in one image row are contiguous. Lowering every row once
costs KW copies of the data instead of im2col's KH*KW; the KH rows of a window are then KH slabs
of that one buffer, shifted by a row each, and ``out = sum_k slab_k @ w[k]``. It pays where a
product with few channels takes little longer than the copying. Strides of 1 only: the slabs must
overlap.
"""

from __future__ import annotations

from types import ModuleType

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry, windows
from minires.kernels.machinery.blocks import Block, Pair, blocks
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.padding import zero_extended
from minires.kernels.machinery.partial_sums import sum_over_blocks
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import scratch


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with the windows of `x` times `w`; see `im2col.correlate`."""
    xp = xp_of(x, w)
    N, Ho, Wo, O = out.shape
    KH, KW, C, _ = w.shape
    taps = w.reshape(KH, KW * C, O)

    def run(block: Block) -> None:
        slabs = _slabs(x, xp, block, (KH, KW), Wo, geometry)  # KH of (rows*n*Wo, KW*C)
        target = block.of(out).transpose(1, 0, 2, 3)  # (rows, n, Wo, O)
        total = scratch(xp, "total", target.shape, out.dtype)
        term = scratch(xp, "term", target.shape, out.dtype)
        xp.matmul(slabs[0], taps[0], out=total.reshape(-1, O))
        for k in range(1, KH - 1):
            xp.matmul(slabs[k], taps[k], out=term.reshape(-1, O))
            total += term
        if KH == 1:
            target[...] = total
        else:
            xp.matmul(slabs[-1], taps[-1], out=term.reshape(-1, O))
            xp.add(total, term, out=target)
        epilogue(block.positions(out))

    parallel(run, blocks(xp, N, Ho, Wo * (KW * C + 2 * O)))


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of window times gradient; see `im2col.weight_gradient`."""
    xp = xp_of(x, g)
    KH, KW = kernel_size
    N, Ho, Wo, O = g.shape
    C = x.shape[3]

    def add(total: Array, block: Block) -> None:
        slabs = _slabs(x, xp, block, kernel_size, Wo, geometry)
        piece = block.of(g).transpose(1, 0, 2, 3)
        by_row = scratch(xp, "gradient", piece.shape, g.dtype)
        by_row[...] = piece
        matrix = by_row.reshape(-1, O)
        for k in range(KH):
            total[k] += xp.matmul(slabs[k].T, matrix)

    pieces = blocks(xp, N, Ho, Wo * (KW * C + O))
    total = sum_over_blocks(xp, add, pieces, (KH, KW * C, O), g.dtype)
    dw: Array = total.reshape(KH, KW, C, O)
    return dw


def _slabs(
    x: Array, xp: ModuleType, block: Block, kernel: Pair, width: int, geometry: ConvGeometry
) -> list[Array]:
    """What each row of the kernel multiplies, (rows*n*Wo, KW*C), all in one buffer."""
    n0, n1, h0, h1 = block
    rows, columns = geometry.rows(h0, h1, kernel[0]), geometry.columns(width, kernel[1])
    piece = zero_extended(x, xp, slice(n0, n1), rows, columns)
    height = rows[1] - rows[0]
    view = windows(piece, xp, (1, kernel[1]), (height, width), geometry)[:, :, :, 0]
    # Rows outermost, so that a slab is one matrix, however many images there are.
    lowered = scratch(xp, "lowered", (height, n1 - n0, width, kernel[1], x.shape[3]), x.dtype)
    lowered[...] = view.transpose(1, 0, 2, 3, 4)
    first = [k * geometry.dilation[0] for k in range(kernel[0])]
    return [lowered[k : k + h1 - h0].reshape(-1, kernel[1] * x.shape[3]) for k in first]


def why_not(kernel: Pair, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if geometry.stride != (1, 1):
        return f"it needs a stride of 1, not {geometry.stride}"
    if geometry.groups != 1:
        return f"it needs one group, not {geometry.groups}"
    return None
