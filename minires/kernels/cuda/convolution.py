"""Launches `convolution.cu`: an implicit matrix product, for which no windows are laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minires.backend import Array, compiles_cuda, xp_of
from minires.kernels.cuda import BLOCKS, blocks_for, fits, launch
from minires.kernels.machinery.blocks import Pair
from minires.kernels.machinery.epilogue import BiasResidualReLU, Epilogue

if TYPE_CHECKING:
    from minires.kernels.convolution.choose import Problem
    from minires.kernels.convolution.geometry import ConvGeometry

SOURCE = "convolution.cu"

FIELDS = "N H W C Ho Wo O KH KW sh sw ph pw dh dw groups"
PROBLEM = np.dtype([(name, np.int32) for name in FIELDS.split()])
"""`Problem` of convolution.cu."""

TILES = {  # for so many columns at most: rows, columns, terms; rows and columns of a thread
    16: (128, 16, 8, 4, 4),
    32: (128, 32, 8, 4, 4),
    64: (128, 64, 8, 8, 4),
    1 << 30: (128, 128, 8, 8, 8),
}
"""BM, BN, BK, TM, TN of convolution.cu."""

BM = 128
"""Rows of every tile."""

ENOUGH = BLOCKS // 4
"""Thread blocks that leave no processor without one."""

WARP = 32

FEWEST = 32
"""So many positions at least are one share of a weight gradient."""


def why_not(problem: Problem) -> str | None:
    """Why these kernels cannot do a convolution, or None if they can."""
    if problem.device == "cpu" or not compiles_cuda():
        return "it needs a GPU"
    if np.dtype(problem.dtype) != np.float32:
        return f"it needs float32, not {problem.dtype}"
    if 0 in (problem.images, *problem.size):
        return "it needs something to compute"
    phases = problem.geometry.stride[0] * problem.geometry.stride[1]
    if problem.geometry.groups * max(phases, BLOCKS) > 1 << 16:
        return "it needs fewer groups and smaller strides"
    return None


def correlate(x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue) -> None:
    """Fill `out` with the windows of `x` times `w`; see `im2col.correlate`."""
    if isinstance(epilogue, BiasResidualReLU) and out.flags.c_contiguous:
        bias, residual = epilogue.bias, epilogue.residual
        if fits(x, *(a for a in (bias, residual) if a is not None)):
            forward(x, w, out, geometry, shift=bias, residual=residual, relu=epilogue.relu)
            return
    forward(x, w, out, geometry)
    epilogue(slice(None))


def forward(
    x: Array,
    w: Array,
    out: Array,
    geometry: ConvGeometry,
    scale: Array | None = None,
    shift: Array | None = None,
    residual: Array | None = None,
    relu: bool = False,
) -> None:
    """``max(conv(x, w) * scale + shift + residual, 0)``, without what is not given, into `out`."""
    xp = xp_of(x, w)
    x, w = xp.ascontiguousarray(x), xp.ascontiguousarray(w)
    target = out if out.flags.c_contiguous else xp.empty(out.shape, out.dtype)
    problem = _problem(x.shape, w.shape, out.shape, geometry)
    positions = out.shape[0] * out.shape[1] * out.shape[2]
    BN, threads, macros = _tile(problem, "O", positions * geometry.groups, x, w, target)
    grid = blocks_for(positions, BM), blocks_for(int(problem["O"]), BN), geometry.groups
    ends = [a if a is None else xp.ascontiguousarray(a) for a in (scale, shift, residual)]
    arguments = x, w, target, problem, *ends, np.int32(relu)
    launch(SOURCE, "conv_forward", grid, threads, *arguments, **macros)
    if target is not out:
        out[...] = target


def input_gradient(g: Array, w: Array, dx: Array, geometry: ConvGeometry) -> None:
    """Fill `dx`, contiguous, as `conv2d_dx`: a slice of the grid for each phase of the stride."""
    xp = xp_of(g, w)
    g, w = xp.ascontiguousarray(g), xp.ascontiguousarray(w)
    problem = _problem(dx.shape, w.shape, g.shape, geometry)
    BN, threads, macros = _tile(problem, "C", dx.size // w.shape[2], g, w, dx)
    down, across = geometry.stride
    pixels = len(dx) * blocks_for(dx.shape[1], down) * blocks_for(dx.shape[2], across)
    slices = geometry.groups * down * across
    grid = blocks_for(pixels, BM), blocks_for(int(problem["C"]), BN), slices
    launch(SOURCE, "conv_dx", grid, threads, g, w, dx, problem, **macros)


def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The sum over all positions of window times gradient; see `im2col.weight_gradient`.

    Shares of the positions are summed by blocks of their own, and then added in their order.
    """
    xp = xp_of(x, g)
    x, g = xp.ascontiguousarray(x), xp.ascontiguousarray(g)
    C, O, groups = x.shape[3] // geometry.groups, g.shape[3], geometry.groups
    shape = (*kernel_size, C, O)
    dw: Array = xp.empty(shape, x.dtype)
    problem = _problem(x.shape, shape, g.shape, geometry)
    BN, threads, macros = _tile(problem, "O", x.size, x, g)
    grid = blocks_for(kernel_size[0] * kernel_size[1] * C, BM), blocks_for(O // groups, BN)
    positions = g.size // O
    wanted = max(1, min(blocks_for(positions, FEWEST), BLOCKS // (grid[0] * grid[1] * groups)))
    share = blocks_for(blocks_for(positions, wanted), macros["BK"]) * macros["BK"]
    shares = blocks_for(positions, share)
    partial = dw if shares == 1 else xp.empty((shares, *shape), x.dtype)
    arguments = x, g, partial, problem, np.int32(shares), np.int32(share)
    launch(SOURCE, "conv_dw", (*grid, groups * shares), threads, *arguments, **macros)
    if shares > 1:
        sizes = np.int32(dw.size), np.int32(shares)
        blocks = (blocks_for(dw.size, WARP),)  # small ones: there are few weights for a GPU
        launch(SOURCE, "add_shares", blocks, WARP, partial, dw, *sizes, **macros)
    return dw


def _problem(
    x: tuple[int, ...], w: tuple[int, ...], out: tuple[int, ...], geometry: ConvGeometry
) -> Any:
    (N, H, W, _), (KH, KW, C, O) = x, w
    groups = geometry.groups
    sizes = N, H, W, C, out[1], out[2], O // groups, KH, KW
    walk = *geometry.stride, *geometry.padding, *geometry.dilation, groups
    return np.array((*sizes, *walk), PROBLEM)[()]


def _tile(problem: Any, columns: str, rows: int, *arrays: Array) -> tuple[int, int, dict[str, int]]:
    """A block's columns, its threads, and the macros for a result of that size.

    It is as wide as the result, but narrower where that gives all processors of a GPU a block.
    """
    width = int(problem[columns])
    fitting = next(i for i, most in enumerate(TILES) if width <= most)
    tiles = list(TILES.values())[: fitting + 1]
    while len(tiles) > 2 and blocks_for(rows, BM) * blocks_for(width, tiles[-1][1]) < ENOUGH:
        tiles.pop()
    tile = tiles[-1]
    _, BN, _, TM, TN = tile
    fours = int(problem["C"]) % 4 == 0 and int(problem["O"]) % 4 == 0
    vector = fours and all(a.data.ptr % 16 == 0 for a in arrays)
    return BN, BM * BN // (TM * TN), _macros(tile, vector)


def _macros(tile: tuple[int, ...], vector: bool) -> dict[str, int]:
    return dict(zip(("BM", "BN", "BK", "TM", "TN"), tile, strict=True)) | {"VEC": int(vector)}


def variants() -> list[dict[str, int]]:
    """Every set of macros that convolution.cu is ever compiled with."""
    return [_macros(tile, vector) for tile in TILES.values() for vector in (True, False)]
