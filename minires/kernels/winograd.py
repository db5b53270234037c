"""Winograd's minimal filtering for 3x3 convolutions, as matrix products.

A tile of m x m outputs needs (m+2) x (m+2) inputs d and the 3x3 filter w:

    tile = AT [ (G w GT) * (BT d B) ] A

with an elementwise product in the middle: 36 multiplications for the 144 of a 4x4 tile, 16 for
the 36 of a 2x2 tile. Since ``BT d B`` flattened is ``kron(BT, BT) @ d.ravel()``, each of the
three transforms is one product with a small constant matrix for all tiles and channels at once,
and the elementwise products, summed over channels, are a product per place of the tile. The
weight gradient is the same map transposed in w. Source: Lavin and Gray 2015, arXiv:1509.09308.

Numbers grow in the transforms, so float32 loses half a digit with 4x4 tiles, a tenth with 2x2.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from minires.backend import Array, device_of, xp_of
from minires.kernels.geometry import FEWEST, Block, block_windows, blocks, ranges
from minires.kernels.partial_sums import sum_over_blocks
from minires.kernels.placement import Pair, Placement
from minires.kernels.threads import parallel
from minires.kernels.toom_cook import Matrices, matrices
from minires.kernels.workspace import scratch

FEWEST_TILES = 160
"""How many tiles a block has at least: each place's product multiplies by all the weights again."""

BLOCK = 1 << 21
"""How many numbers the transforms of a block hold, if that gives enough tiles."""


@cache
def transforms(xp: ModuleType, m: int, dtype: Any, device: str) -> Matrices:
    """The three maps on flattened tiles, for tiles of m x m outputs, on `device`.

    ((m+2)^2, (m+2)^2), ((m+2)^2, 9) and (m^2, (m+2)^2): `kron` of each matrix with itself.
    """
    return Matrices(*(xp.asarray(np.kron(one, one), dtype=dtype) for one in matrices(m)))


def correlate(x: Array, w: Array, out: Array, place: Placement, m: int) -> None:
    """Fill `out` with the windows of `x` times `w`, in tiles of m x m outputs.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (3, 3, C, O) array
    out : (N, Ho, Wo, O) array
        Written; it may be a strided view.
    place : Placement
        Where the windows lie, with a stride and a dilation of 1 and one group.
    m : int
        2 or 4.
    """
    xp = xp_of(x, w)
    N, Ho, Wo, O = out.shape
    C, places = x.shape[3], (m + 2) ** 2
    down, across = -(-Ho // m), -(-Wo // m)
    maps = transforms(xp, m, x.dtype, device_of(x))
    kernels = _transformed_kernels(w, xp, maps)  # (places, C, O)

    def run(block: Block) -> None:
        data = _transformed_data(x, xp, block, across, place, m)  # (places, tiles, C)
        tiles = data.shape[1]
        products = scratch(xp, "products", (places, tiles, O), out.dtype)
        xp.matmul(data, kernels, out=products)
        shape = (m, m, block.n1 - block.n0, block.h1 - block.h0, across, O)
        result = scratch(xp, "tiles", shape, out.dtype)
        xp.matmul(maps.output, products.reshape(places, -1), out=result.reshape(m * m, -1))
        target = out[block.n0 : block.n1, block.h0 * m : block.h1 * m]
        if _fits(target, m):
            _in_tiles(target, xp, m)[...] = result
        else:  # the last row and column of tiles stick out
            for i in range(m):
                for j in range(m):
                    some = target[:, i::m, j::m]
                    some[...] = result[i, j][:, : some.shape[1], : some.shape[2]]

    parallel(run, _tile_blocks(xp, N, down, across, places, C + O))


def weight_gradient(x: Array, g: Array, place: Placement, m: int) -> Array:
    """The sum over all positions of window times gradient: `correlate` transposed in w.

    Parameters
    ----------
    x : (N, H, W, C) array
    g : (N, Ho, Wo, O) array
    place : Placement
        As in `correlate`.
    m : int
        2 or 4.

    Returns
    -------
    (3, 3, C, O) array
    """
    xp = xp_of(x, g)
    N, Ho, Wo, O = g.shape
    C, places = x.shape[3], (m + 2) ** 2
    down, across = -(-Ho // m), -(-Wo // m)
    maps = transforms(xp, m, x.dtype, device_of(x))

    def add(total: Array, block: Block) -> None:
        data = _transformed_data(x, xp, block, across, place, m)
        tiles = data.shape[1]
        shape = (m, m, block.n1 - block.n0, block.h1 - block.h0, across, O)
        pieces = scratch(xp, "tiles", shape, g.dtype)
        source = g[block.n0 : block.n1, block.h0 * m : block.h1 * m]
        if _fits(source, m):
            pieces[...] = _in_tiles(source, xp, m)
        else:
            pieces[...] = 0
            for i in range(m):
                for j in range(m):
                    some = source[:, i::m, j::m]
                    pieces[i, j][:, : some.shape[1], : some.shape[2]] = some
        spread = scratch(xp, "products", (places, tiles, O), g.dtype)
        xp.matmul(maps.output.T, pieces.reshape(m * m, -1), out=spread.reshape(places, -1))
        partial = scratch(xp, "partial", total.shape, g.dtype)
        xp.matmul(data.transpose(0, 2, 1), spread, out=partial)
        total += partial

    pieces = _tile_blocks(xp, N, down, across, places, C + O)
    total = sum_over_blocks(xp, add, pieces, (places, C, O), g.dtype)
    dw: Array = xp.matmul(maps.kernel.T, total.reshape(places, -1)).reshape(3, 3, C, O)
    return dw


def _fits(images: Array, m: int) -> bool:
    """Whether tiles of m x m cover images (n, H, W, O) without sticking out."""
    return bool(images.shape[1] % m == images.shape[2] % m == 0)


def _in_tiles(images: Array, xp: ModuleType, m: int) -> Array:
    """(n, H, W, O) -> (m, m, n, H/m, W/m, O): a place of the tile first, a view."""
    (n, H, W, O), (sn, sh, sw, so) = images.shape, images.strides
    view: Array = xp.lib.stride_tricks.as_strided(
        images, (m, m, n, H // m, W // m, O), (sh, sw, sn, m * sh, m * sw, so)
    )
    return view


def _tile_blocks(
    xp: ModuleType, images: int, down: int, across: int, places: int, channels: int
) -> tuple[Block, ...]:
    """Blocks of whole rows of tiles; `h0` and `h1` count tiles."""
    per_tile = places * channels
    budget = max(BLOCK, FEWEST_TILES * per_tile)
    fewest = min(FEWEST, max(2, images * down * across // FEWEST_TILES))
    return blocks(xp, images, down, across * per_tile, budget, fewest)


def _transformed_kernels(w: Array, xp: ModuleType, maps: Matrices) -> Array:
    """(3, 3, C, O) -> ((m+2)^2, C, O)."""
    C, O = w.shape[2:]
    kernels = scratch(xp, "kernels", (len(maps.kernel), C, O), w.dtype)

    def run(rows: Pair) -> None:
        some = w.reshape(9, C, O)[:, rows[0] : rows[1]]
        result = xp.matmul(maps.kernel, some.reshape(9, -1))
        kernels[:, rows[0] : rows[1]] = result.reshape(len(maps.kernel), -1, O)

    parallel(run, ranges(C, 4 if xp is np and C * O >= 1 << 14 else 1))
    return kernels


def _transformed_data(
    x: Array, xp: ModuleType, block: Block, across: int, place: Placement, m: int
) -> Array:
    """The tiles of a block of `x`, gathered and transformed: ((m+2)^2, tiles, C)."""
    size = (m + 2, m + 2)
    every = Placement((place.start[0], place.start[1]), stride=(m, m))
    view = block_windows(x, xp, block, size, across, every)  # (n, rows, across, m+2, m+2, C)
    n, rows, _, _, _, C = view.shape
    gathered = scratch(xp, "gathered", (*size, n, rows, across, C), x.dtype)
    gathered[...] = view.transpose(3, 4, 0, 1, 2, 5)
    tiles = n * rows * across
    data = scratch(xp, "data", ((m + 2) ** 2, tiles, C), x.dtype)
    flat = gathered.reshape((m + 2) ** 2, -1)
    xp.matmul(transforms(xp, m, x.dtype, device_of(x)).data, flat, out=data.reshape(flat.shape))
    return data


def why_not(kernel: Pair, place: Placement) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if kernel != (3, 3):
        return f"it needs a 3x3 kernel, not {kernel[0]}x{kernel[1]}"
    return place.why_not_plain()
