"""Winograd's minimal filtering for 3x3 convolutions, as matrix products.

A tile of m x m outputs needs (m+2) x (m+2) inputs d and the 3x3 filter w:

    tile = AT [ (G w GT) * (BT d B) ] A

with an elementwise product in the middle: 36 multiplications for the 144 of a 4x4 tile, 16 for
the 36 of a 2x2 tile. Since ``BT d B`` flattened is ``kron(BT, BT) @ d.ravel()``, each of the
three transforms is one product with a small constant matrix for all tiles and channels at once,
and the elementwise products, summed over channels, are a product per place of the tile. The
weight gradient is the same map transposed in w. Source: Lavin and Gray 2015, arXiv:1509.09308.

Threads share the transforms tile by tile, but the products place by place: BLAS copies a place's
weights into an order of its own before it multiplies, and so does it once for all tiles.

Numbers grow in the transforms, so float32 loses half a digit with 4x4 tiles, a tenth with 2x2.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minires.backend import Array, device_of, xp_of
from minires.kernels.convolution.geometry import ConvGeometry, block_windows
from minires.kernels.convolution.toom_cook import Matrices, matrices
from minires.kernels.machinery import panels
from minires.kernels.machinery.blocks import Block, Pair, blocks, ranges
from minires.kernels.machinery.epilogue import Epilogue
from minires.kernels.machinery.partial_sums import MOST_POSITIONS
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import empty, scratch

BATCH = 1 << 23
"""How many numbers the transforms of the tiles of a batch hold on the CPU: 32 MiB of float32. Each
place's weights are copied into BLAS's order once for them all."""

COLUMNS = 1 << 12
"""How many weights are transformed at a time: so narrow a product OpenBLAS does without copying."""


@cache
def transforms(xp: ModuleType, m: int, dtype: Any, device: str) -> Matrices:
    """The three maps on flattened tiles, for tiles of m x m outputs, on `device`.

    ((m+2)^2, (m+2)^2), ((m+2)^2, 9) and (m^2, (m+2)^2): `kron` of each matrix with itself.
    """
    return Matrices(*(xp.asarray(np.kron(one, one), dtype=dtype) for one in matrices(m)))


def correlate(
    x: Array, w: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue, m: int
) -> None:
    """Fill `out` with the windows of `x` times `w`, in tiles of m x m outputs.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (3, 3, C, O) array
    out : (N, Ho, Wo, O) array
        Written; it may be a strided view.
    geometry : ConvGeometry
        Where the windows lie, with a stride and a dilation of 1 and one group.
    m : int
        2 or 4.
    """
    correlate_prepared(x, prepare(w, m), out, geometry, epilogue, m)


def prepare(w: Array, m: int) -> Array:
    """The transforms of (3, 3, C, O) filters, ((m+2)^2, C, O): of constant ones made once."""
    xp, places = xp_of(w), (m + 2) ** 2
    stored = w if w.strides[3] <= w.strides[2] else w.swapaxes(2, 3)  # for dx w is a swapped view
    kernels = empty(xp, (places, *stored.shape[2:]), w.dtype)
    matrix = transforms(xp, m, w.dtype, device_of(w)).kernel
    _transform_weights(xp, matrix, stored.reshape(9, -1), kernels.reshape(places, -1))
    return kernels if stored is w else kernels.swapaxes(1, 2)


def correlate_prepared(
    x: Array, kernels: Array, out: Array, geometry: ConvGeometry, epilogue: Epilogue, m: int
) -> None:
    """`correlate` with filters from `prepare`, as they are or in `panels`."""
    xp = xp_of(x, kernels)
    C, O, places = x.shape[3], out.shape[3], (m + 2) ** 2
    maps = transforms(xp, m, x.dtype, device_of(x))

    def run(batch: Batch) -> None:
        data = scratch(xp, "data", (places, batch.tiles, C), x.dtype)
        products = scratch(xp, "products", (places, batch.tiles, O), out.dtype)

        def transform(piece: Piece) -> None:
            _transform_data(x, piece, geometry, m, data[:, piece.tiles])

        def multiply(some: Pair) -> None:
            first, last = some
            panels.matmul(data[first:last], kernels[first:last], products[first:last])

        def assemble(piece: Piece) -> None:
            outputs = piece.block.times(m, out.shape[1])
            target = outputs.of(out)
            result = scratch(xp, "tiles", _tiled_shape(target, m), out.dtype)
            flat = products[:, piece.tiles].reshape(places, -1)
            xp.matmul(maps.output, flat, out=result.reshape(m * m, -1))
            for inside, tiled in _in_tiles(target, result, m):
                inside[...] = tiled
            epilogue(outputs.positions(out))

        parallel(transform, batch.pieces)
        parallel(multiply, ranges(places, places if xp is np else 1))
        parallel(assemble, batch.pieces)

    for batch in _batches(xp, out.shape, m, places * (C + O), BATCH):
        run(batch)


def weight_gradient(x: Array, g: Array, geometry: ConvGeometry, m: int) -> Array:
    """The sum over all positions of window times gradient: `correlate` transposed in w.

    Parameters
    ----------
    x : (N, H, W, C) array
    g : (N, Ho, Wo, O) array
    geometry : ConvGeometry
        As in `correlate`.
    m : int
        2 or 4.

    Returns
    -------
    (3, 3, C, O) array
    """
    xp = xp_of(x, g)
    C, O, places = x.shape[3], g.shape[3], (m + 2) ** 2
    maps = transforms(xp, m, x.dtype, device_of(x))
    total = empty(xp, (places, C, O), g.dtype)

    def run(batch: Batch, first_batch: bool) -> None:
        data = scratch(xp, "data", (places, batch.tiles, C), x.dtype)
        spread = scratch(xp, "products", (places, batch.tiles, O), g.dtype)

        def transform(piece: Piece) -> None:
            _transform_data(x, piece, geometry, m, data[:, piece.tiles])
            source = piece.block.times(m, g.shape[1]).of(g)
            result = scratch(xp, "tiles", _tiled_shape(source, m), g.dtype)
            if not _fits(source, m):
                result.fill(0)
            for inside, tiled in _in_tiles(source, result, m):
                tiled[...] = inside
            flat = spread[:, piece.tiles].reshape(places, -1)
            xp.matmul(maps.output.T, result.reshape(m * m, -1), out=flat)

        def multiply(some: Pair) -> None:
            first, last = some
            sums = total[first:last]
            partial = sums if first_batch else scratch(xp, "partial", sums.shape, g.dtype)
            xp.matmul(data[first:last].transpose(0, 2, 1), spread[first:last], out=partial)
            if not first_batch:
                sums += partial

        parallel(transform, batch.pieces)
        parallel(multiply, ranges(places, places if xp is np else 1))

    numbers = places * (C + O)
    batches = _batches(xp, g.shape, m, numbers, min(BATCH, MOST_POSITIONS * numbers))
    for i, batch in enumerate(batches):
        run(batch, first_batch=i == 0)
    if not batches:
        total.fill(0)
    dw = empty(xp, (3, 3, C, O), g.dtype)
    _transform_weights(xp, maps.kernel.T, total.reshape(places, -1), dw.reshape(9, -1))
    return dw


class Piece(NamedTuple):
    """What one thread transforms at a time: rows of tiles of some images."""

    block: Block  # h0 and h1 count rows of tiles
    across: int  # tiles in a row
    tiles: slice  # where they stand in their batch


class Batch(NamedTuple):
    """Tiles that meet the weights together."""

    pieces: tuple[Piece, ...]
    tiles: int


@lru_cache(maxsize=256)
def _batches(
    xp: ModuleType, outputs: tuple[int, ...], m: int, numbers: int, budget: int
) -> tuple[Batch, ...]:
    """All tiles of m x m of (N, Ho, Wo, O) outputs, in order.

    `numbers` is how many a tile's transforms hold, `budget` how many those of a batch may hold.
    """
    N, Ho, Wo, _ = outputs
    across = -(-Wo // m)
    batches = []
    for n0, n1, h0, h1 in blocks(xp, N, -(-Ho // m), across * numbers, budget, 1):
        pieces, first = [], 0
        for n2, n3, h2, h3 in blocks(xp, n1 - n0, h1 - h0, across * numbers):
            last = first + (n3 - n2) * (h3 - h2) * across
            block = Block(n0 + n2, n0 + n3, h0 + h2, h0 + h3)
            pieces.append(Piece(block, across, slice(first, last)))
            first = last
        batches.append(Batch(tuple(pieces), first))
    return tuple(batches)


def _transform_weights(xp: ModuleType, matrix: Array, weights: Array, out: Array) -> None:
    """``out = matrix @ weights``, with a column for each channel and filter."""

    def run(columns: Pair) -> None:
        some = weights[:, slice(*columns)]
        if some.strides[0] < 0:  # for dx the taps are in reverse, which BLAS cannot read
            some = some.copy()
        xp.matmul(matrix, some, out=out[:, slice(*columns)])

    count = out.shape[1]
    parallel(run, ranges(count, max(count // COLUMNS, 1) if xp is np else 1))


def _transform_data(x: Array, piece: Piece, geometry: ConvGeometry, m: int, out: Array) -> None:
    """Fill `out`, ((m+2)^2, tiles, C), with the transforms of the tiles of a piece of `x`."""
    xp, size, places = xp_of(x, out), (m + 2, m + 2), len(out)
    every = ConvGeometry((m, m), geometry.padding)
    view = block_windows(x, xp, piece.block, size, piece.across, every)
    n, rows, across, _, _, C = view.shape
    gathered = scratch(xp, "gathered", (*size, n, rows, across, C), x.dtype)
    gathered[...] = view.transpose(3, 4, 0, 1, 2, 5)
    matrix = transforms(xp, m, x.dtype, device_of(x)).data
    xp.matmul(matrix, gathered.reshape(places, -1), out=out.reshape(places, -1))


def _tiled_shape(images: Array, m: int) -> tuple[int, ...]:
    """The shape of images (n, H, W, O) in tiles of m x m: (m, m, n, rows, across, O)."""
    n, H, W, O = images.shape
    return m, m, n, -(-H // m), -(-W // m), O


def _in_tiles(images: Array, tiled: Array, m: int) -> Iterator[tuple[Array, Array]]:
    """Views of images (n, H, W, O) and of (m, m, n, rows, across, O) that show the same numbers.

    All at once where the tiles fit; else place by place, without what sticks out of the image.
    """
    if _fits(images, m):
        (n, H, W, O), (sn, sh, sw, so) = images.shape, images.strides
        shape, strides = (m, m, n, H // m, W // m, O), (sh, sw, sn, m * sh, m * sw, so)
        yield xp_of(images).lib.stride_tricks.as_strided(images, shape, strides), tiled
        return
    for i in range(m):
        for j in range(m):
            some = images[:, i::m, j::m]
            yield some, tiled[i, j][:, : some.shape[1], : some.shape[2]]


def _fits(images: Array, m: int) -> bool:
    """Whether tiles of m x m cover images (n, H, W, O) without sticking out."""
    return bool(images.shape[1] % m == images.shape[2] % m == 0)


def why_not(kernel: Pair, geometry: ConvGeometry) -> str | None:
    """Why this algorithm cannot do a convolution, or None if it can."""
    if kernel != (3, 3):
        return f"it needs a 3x3 kernel, not {kernel[0]}x{kernel[1]}"
    return geometry.why_not_plain()
