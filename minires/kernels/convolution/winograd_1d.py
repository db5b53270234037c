"""Winograd's minimal filtering down the image, and no lowering across it.

Four rows of outputs, one below the other, need six input rows d and the three rows of the filter w:

    four rows = AT [ (G w) * (BT d) ]

where * lets each of six rows meet its own row of the kernel: six such products instead of the
twelve of the definition. BT d are rows of an image like any others. Across them, therefore, the
windows are taken in turns, see `turns`, and nothing is gathered or spread: each transform
is a product of a small matrix with whole rows, read and written where they lie. The tiles of
`winograd` save twice as many multiplications and move each number twice as often; of few channels
the moving decides. Source of the identity: Lavin and Gray 2015, arXiv:1509.09308, section 3.

Where the tiles stick out of the image, the columns of BT that would meet zeros are left out.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

from minires.backend import Array, device_of, xp_of
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.convolution.toom_cook import Matrices, matrices
from minires.kernels.convolution.turns import Turns, by_turns, in_turns
from minires.kernels.machinery.blocks import FEWEST, Block, Pair, blocks
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.padding import outside
from minires.kernels.machinery.partial_sums import sum_over_blocks
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import empty, scratch

M = 4
"""How many rows of outputs a tile has."""

BLOCK = 1 << 20
"""How many numbers the transforms of a block hold; see `geometry.BLOCK`."""

SMALLEST = 25_000_000
"""How many multiplications they take at least: a block is a dozen calls, a thread has to wake."""


@cache
def _maps(xp: ModuleType, dtype: Any, device: str) -> Matrices:
    """BT, G and AT, as arrays of `xp` of this dtype on `device`."""
    return Matrices(*(xp.asarray(matrix, dtype=dtype) for matrix in matrices(M)))


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with the windows of `x` times `w`; see `im2col.correlate`."""
    correlate_prepared(x, prepare(w), out, geometry, epilogue)


def prepare(w: Array) -> Array:
    """The transforms of (3, KW, C, O) filters, (6, 1, 1, KW*C, O): of constant ones made once."""
    xp, (KW, C, O) = xp_of(w), w.shape[1:]
    taps = empty(xp, (M + 2, 1, 1, KW * C, O), w.dtype)
    matrix = _maps(xp, w.dtype, device_of(w)).kernel
    xp.matmul(matrix, w.reshape(3, -1), out=taps.reshape(M + 2, -1))
    return taps


def correlate_prepared(
    x: Array, taps: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue
) -> None:
    """`correlate` with filters from `prepare`."""
    xp = xp_of(x, taps)
    (Wo, O), C = out.shape[2:], x.shape[3]
    KW = taps.shape[3] // C
    maps = _maps(xp, x.dtype, device_of(x))

    def run(block: Block) -> None:
        n, tiles, row = block.n1 - block.n0, block.h1 - block.h0, Wo + KW - 1
        turns = in_turns(KW, n * tiles * row, C * O)
        windows = _windows(x, xp, block, turns, Wo, geometry)
        products = scratch(xp, "products", (M + 2, turns.windows, O), out.dtype)
        xp.matmul(windows, taps, out=by_turns(products, turns))
        by_tile = products[:, : n * tiles * row].reshape(M + 2, n, tiles, row * O)
        outputs = block.times(M, out.shape[1])
        _up(xp, maps.output, by_tile[..., : Wo * O], outputs.of(out))
        epilogue(outputs.positions(out))

    parallel(run, _blocks(xp, out.shape, C, KW))


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of window times gradient: `correlate` transposed in w."""
    xp = xp_of(x, g)
    (Wo, O), C, KW = g.shape[2:], x.shape[3], kernel_size[1]
    maps = _maps(xp, x.dtype, device_of(x))

    def add(total: Array, block: Block) -> None:
        n, tiles, row = block.n1 - block.n0, block.h1 - block.h0, Wo + KW - 1
        turns = in_turns(KW, n * tiles * row, C * O)
        windows = _windows(x, xp, block, turns, Wo, geometry)
        spread = scratch(xp, "gradient", (M + 2, turns.windows, O), g.dtype)
        by_tile = spread[:, : n * tiles * row].reshape(M + 2, n, tiles, row, O)
        _down(xp, maps.output.T, block.times(M, g.shape[1]).of(g), 0, by_tile[:, :, :, :Wo])
        by_tile[:, :, :, Wo:] = 0  # nobody's windows meet zeros
        spread[:, n * tiles * row :] = 0
        products = xp.matmul(windows.swapaxes(-1, -2), by_turns(spread, turns))
        total += products.sum(axis=(1, 2))

    pieces = _blocks(xp, g.shape, C, KW)
    total = sum_over_blocks(xp, add, pieces, (M + 2, KW * C, O), g.dtype)
    dw: Array = xp.matmul(maps.kernel.T, total.reshape(M + 2, -1)).reshape(3, KW, C, O)
    return dw


def _blocks(xp: ModuleType, size: tuple[int, ...], channels: int, width: int) -> tuple[Block, ...]:
    """The outputs (N, Ho, Wo, O) in blocks of whole tiles; `h0` and `h1` count them."""
    N, Ho, Wo, O = size
    tiles, windows = -(-Ho // M), (M + 2) * (Wo + width - 1)  # these in a tile
    products = N * tiles * windows * width * channels * O
    fewest = min(FEWEST, max(1, products // SMALLEST))
    return blocks(xp, N, tiles, windows * (channels + O), BLOCK, fewest)


def _windows(
    x: Array, xp: ModuleType, block: Block, turns: Turns, width: int, geometry: ConvGeometry
) -> Array:
    """What each row of the transformed kernel sees: (M+2, KW, matrices, height, KW*C), a view."""
    n, tiles, C = block.n1 - block.n0, block.h1 - block.h0, x.shape[3]
    left, row = -geometry.padding[1], width + turns.every - 1
    before, after = outside(left, left + row, x.shape[2])
    data = scratch(xp, "data", (M + 2, turns.windows + turns.every - 1, C), x.dtype)
    by_tile = data[:, : n * tiles * row].reshape(M + 2, n, tiles, row, C)
    by_tile[:, :, :, :before] = 0
    by_tile[:, :, :, row - after :] = 0
    data[:, n * tiles * row :] = 0  # the windows there are nobody's
    inside = x[block.n0 : block.n1, :, left + before : left + row - after]
    maps = _maps(xp, x.dtype, device_of(x))
    top = block.h0 * M - geometry.padding[0]
    _down(xp, maps.data, inside, top, by_tile[:, :, :, before : row - after])
    (whole, pixel, number), KW = data.strides, turns.every
    view: Array = xp.lib.stride_tricks.as_strided(
        data,
        (M + 2, KW, turns.matrices, turns.height, KW * C),
        (whole, pixel, turns.height * KW * pixel, KW * pixel, number),
    )
    return view


def _down(xp: ModuleType, matrix: Array, images: Array, top: int, out: Array) -> None:
    """``out[:, n, t] = matrix @ images[n, top + M*t :]``, with zeros outside the images.

    `matrix` (p, rows), `images` (n, H, W, C), `out` (p, n, tiles, W, C), a view in C order.
    """
    (n, H, W, C), (p, _, tiles), rows = images.shape, out.shape[:3], matrix.shape[1]
    flat = images.reshape(n, H, W * C)
    result = out.reshape(p, n, tiles, W * C).transpose(1, 2, 0, 3)
    first = min(max(-(top // M), 0), tiles)  # of the tiles that lie inside
    last = max(min((H - rows - top) // M + 1, tiles), first)
    if last > first:
        image, down, number = flat.strides
        begin = flat[:, top + M * first :]
        shape = (n, last - first, rows, W * C)
        whole = xp.lib.stride_tricks.as_strided(begin, shape, (image, M * down, down, number))
        xp.matmul(matrix, whole, out=result[:, first:last])
    for t in (*range(first), *range(last, tiles)):
        low, high = max(-(top + M * t), 0), min(H - (top + M * t), rows)
        if low < high:
            some = flat[:, top + M * t + low : top + M * t + high]
            xp.matmul(matrix[:, low:high], some, out=result[:, t])
        else:
            result[:, t] = 0


def _up(xp: ModuleType, matrix: Array, by_tile: Array, out: Array) -> None:
    """``out[n, M*t : M*t + M] = matrix @ by_tile[:, n, t]``, without the rows that stick out.

    `matrix` (M, p), `by_tile` (p, n, tiles, W*O), `out` (n, H, W, O).
    """
    n, H, W, O = out.shape
    if not out[0, 0].flags.c_contiguous:
        dense = scratch(xp, "dense", out.shape, out.dtype)
        _up(xp, matrix, by_tile, dense)
        out[...] = dense
        return
    whole, rest = divmod(H, M)
    target = out[:, : whole * M].reshape(n, whole, M, W * O)
    xp.matmul(matrix, by_tile[:, :, :whole].transpose(1, 2, 0, 3), out=target)
    if rest:
        last = out[:, whole * M :].reshape(n, rest, W * O)
        xp.matmul(matrix[:rest], by_tile[:, :, whole].transpose(1, 0, 2), out=last)


def why_not(kernel: Pair, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if kernel[0] != 3:
        return f"it needs a kernel 3 rows high, not {kernel[0]}"
    return geometry.why_not_plain()
