"""Pooling over windows of channels-last images.

A maximum over windows is one along the height, then one along the width. Which place of a window
won, one small integer per output, is found only when a gradient has to go there; the adjoint then
adds into KH*KW strided slices of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.cuda import fits
from minires.kernels.cuda import pooling as cuda_pooling
from minires.kernels.machinery.blocks import Block, Pair, blocks
from minires.kernels.machinery.epilogue import Epilogue, no_epilogue
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.kernels.machinery.padding import overlap
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import empty, scratch


def max_pool(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    out: Array | None = None,
    epilogue: Epilogue = no_epilogue,
) -> Array:
    """The maximum of each window.

    Parameters
    ----------
    x : (N, H, W, C) array
    kernel_size, stride, padding : (int, int)
        Padded cells never win. Every window must hold at least one cell of the image, which a
        padding of at most half the kernel ensures.
    out : (N, Ho, Wo, C) array, optional
        Where the result goes, if not into an array of its own.
    epilogue : Epilogue
        Called with each part of the result once it is written.

    Returns
    -------
    (N, Ho, Wo, C) array
        NaN where a window holds one.
    """
    xp = xp_of(x)
    N, H, W, C = x.shape
    if out is None:
        out = empty(xp, _output_shape(x.shape, kernel_size, stride, padding), x.dtype)
    if fits(x, out) and out.flags.c_contiguous:
        cuda_pooling.max_pool(x, out, None, kernel_size, stride, padding)
        epilogue(slice(None))
        return out
    lowest = -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min

    def run(block: Block) -> None:
        n0, n1, h0, h1 = block
        # Down first: there whole rows follow each other in memory.
        down = scratch(xp, "down", (n1 - n0, h1 - h0, W, C), x.dtype)
        places = (overlap(h0, h1, kh - padding[0], stride[0], H) for kh in range(kernel_size[0]))
        pairs = [(down[:, p[0]], x[n0:n1, p[1]]) for p in places if p]
        _largest(xp, pairs, down, lowest)
        best = block.of(out)
        places = (
            overlap(0, out.shape[2], kw - padding[1], stride[1], W) for kw in range(kernel_size[1])
        )
        pairs = [(best[:, :, p[0]], down[:, :, p[1]]) for p in places if p]
        _largest(xp, pairs, best, lowest)
        epilogue(block.positions(out))

    parallel(run, blocks(xp, N, out.shape[1], W * C * stride[0]))
    return out


def _largest(xp: ModuleType, pairs: list[tuple[Array, Array]], out: Array, lowest: float) -> None:
    """The largest of several arrays at each place of `out`, or `lowest` where there is none.

    `pairs` are parts of `out` and the arrays, of their shapes, that take part there.
    """
    pairs.sort(key=lambda pair: -pair[0].size)
    whole = [array for part, array in pairs if part.shape == out.shape]
    if len(whole) > 1:  # the first step writes everything
        xp.maximum(whole[0], whole[1], out=out)
        pairs = pairs[2:]
    else:
        out.fill(lowest)
    for part, array in pairs:
        xp.maximum(part, array, out=part)


def max_pool_places(
    x: Array, out: Array, *, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """Where in its window each maximum stands.

    Parameters
    ----------
    x : (N, H, W, C) array
    out : (N, Ho, Wo, C) array
        From `max_pool`.
    kernel_size, stride, padding : (int, int)

    Returns
    -------
    (N, Ho, Wo, C) array of an unsigned integer type
        ``kh*KW + kw`` of the first maximum; NaN counts as larger than any number.
    """
    xp = xp_of(x, out)
    N, H, W, C = x.shape
    indices = empty(xp, out.shape, _index_type(xp, kernel_size))
    if fits(x) and indices.dtype == np.uint8:
        cuda_pooling.max_pool(x, None, indices, kernel_size, stride, padding)
        return indices
    kind = indices.dtype.type
    last = kind(kernel_size[0] * kernel_size[1])

    def run(block: Block) -> None:
        best, where = block.of(out), block.of(indices)
        won, isnan = (scratch(xp, name, best.shape, bool) for name in ("won", "isnan"))
        rank = scratch(xp, "rank", best.shape, indices.dtype)
        any_nan = xp is not np or bool(np.isnan(best).any())
        where.fill(0)
        for place, target, source in _slices(
            block, (H, W), out.shape, kernel_size, stride, padding
        ):
            value, wins = x[block.n0 : block.n1][source], won[target]
            xp.equal(value, best[target], out=wins)
            if any_nan:
                xp.not_equal(value, value, out=isnan[target])
                wins |= isnan[target]
            # The first of several has the highest rank. Bytes are fast to multiply and compare,
            # where assigning under a mask goes element by element.
            ranked, highest = rank[target], where[target]
            xp.multiply(wins.view(xp.uint8), last - kind(place), out=ranked)
            xp.maximum(highest, ranked, out=highest)
        xp.subtract(last, where, out=where)

    parallel(run, blocks(xp, N, out.shape[1], out.shape[2] * C * 3))
    return indices


def max_pool_gather(
    x: Array, indices: Array, *, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """The values of `x` at the places that `max_pool_places` returned: linear in `x`.

    Parameters
    ----------
    x : (N, H, W, C) array
    indices : (N, Ho, Wo, C) array
    kernel_size, stride, padding : (int, int)

    Returns
    -------
    (N, Ho, Wo, C) array
    """
    xp = xp_of(x, indices)
    N, H, W, C = x.shape
    out = empty(xp, indices.shape, x.dtype)

    def run(block: Block) -> None:
        n0, n1, h0, h1 = block
        chosen, where = out[n0:n1, h0:h1], indices[n0:n1, h0:h1]
        chosen.fill(0)
        for place, target, source in _slices(
            block, (H, W), out.shape, kernel_size, stride, padding
        ):
            xp.copyto(chosen[target], x[n0:n1][source], where=where[target] == place)

    parallel(run, blocks(xp, N, out.shape[1], out.shape[2] * C * 3))
    return out


def max_pool_scatter(
    g: Array, indices: Array, *, input_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """Each gradient to the place that won its window, added where windows overlap.

    Parameters
    ----------
    g, indices : (N, Ho, Wo, C) arrays
    input_size : (int, int)
        H and W.
    kernel_size, stride, padding : (int, int)

    Returns
    -------
    (N, H, W, C) array
        The adjoint of `max_pool_gather`.
    """
    xp = xp_of(g, indices)
    N, Ho, Wo, C = g.shape
    dx = empty(xp, (N, *input_size, C), g.dtype)
    if fits(g, dx) and indices.dtype == np.uint8:
        cuda_pooling.scatter(g, indices, dx, kernel_size, stride, padding)
        return dx
    if xp is not np:  # whose `add.at` adds in any order
        dx[...] = 0
        whole = Block(0, N, 0, Ho)
        for place, target, source in _slices(
            whole, input_size, g.shape, kernel_size, stride, padding
        ):
            dx[source] += xp.where(indices[target] == place, g[target], 0)
        return dx
    row = input_size[1] * C  # numbers in a row of an image
    down, across, channel = np.ogrid[:Ho, :Wo, :C]
    begin = (down * stride[0] - padding[0]) * row + (across * stride[1] - padding[1]) * C + channel
    inside = (np.arange(kernel_size[0])[:, None] * row + np.arange(kernel_size[1]) * C).ravel()

    def run(block: Block) -> None:
        for n in range(block.n0, block.n1):
            cells = inside.take(indices[n])  # (Ho, Wo, C): the winners' places, as distances
            cells += begin  # from where each window begins
            dx[n] = 0
            np.add.at(dx[n].reshape(-1), cells.reshape(-1), g[n].reshape(-1))

    parallel(run, blocks(xp, N, 1, Ho * Wo * C * 3))
    return dx


@computed_in_float32(on="cpu and gpu")
def avg_pool(x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """The mean of each window, in which padding counts as zeros.

    Parameters
    ----------
    x : (N, H, W, C) array
    kernel_size, stride, padding : (int, int)

    Returns
    -------
    (N, Ho, Wo, C) array
    """
    xp = xp_of(x)
    N, H, W, C = x.shape
    out = empty(xp, _output_shape(x.shape, kernel_size, stride, padding), x.dtype)

    def run(block: Block) -> None:
        n0, n1, h0, h1 = block
        total = out[n0:n1, h0:h1]
        total.fill(0)
        for _, target, source in _slices(block, (H, W), out.shape, kernel_size, stride, padding):
            total[target] += x[n0:n1][source]
        total /= x.dtype.type(kernel_size[0] * kernel_size[1])

    parallel(run, blocks(xp, N, out.shape[1], out.shape[2] * C * 2))
    return out


@computed_in_float32(on="cpu and gpu")
def avg_pool_dx(
    g: Array, *, input_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """The adjoint of `avg_pool`: each gradient shared out evenly over its window.

    Parameters
    ----------
    g : (N, Ho, Wo, C) array
    input_size : (int, int)
        H and W.
    kernel_size, stride, padding : (int, int)

    Returns
    -------
    (N, H, W, C) array
    """
    xp = xp_of(g)
    N, Ho, Wo, C = g.shape
    dx = empty(xp, (N, *input_size, C), g.dtype)

    def run(block: Block) -> None:
        n0, n1, _, _ = block
        whole = Block(n0, n1, 0, Ho)
        share = scratch(xp, "share", (n1 - n0, Ho, Wo, C), g.dtype)
        xp.divide(g[n0:n1], g.dtype.type(kernel_size[0] * kernel_size[1]), out=share)
        dx[n0:n1] = 0
        for _, target, source in _slices(whole, input_size, g.shape, kernel_size, stride, padding):
            dx[n0:n1][source] += share[target]

    parallel(run, blocks(xp, N, 1, Ho * Wo * C * 2))
    return dx


def _output_shape(
    shape: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair
) -> tuple[int, int, int, int]:
    N, H, W, C = shape
    Ho, Wo = ConvGeometry(stride, padding).output_size((H, W), kernel_size)
    return N, Ho, Wo, C


def _index_type(xp: ModuleType, kernel_size: Pair) -> type:
    places = kernel_size[0] * kernel_size[1]
    chosen: type = next(t for t in (xp.uint8, xp.uint16, xp.uint32) if places <= xp.iinfo(t).max)
    return chosen


Slices = tuple[slice, slice, slice]
"""Images, rows and columns."""


def _slices(
    block: Block,
    input_size: Pair,
    output_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
) -> Iterator[tuple[int, Slices, Slices]]:
    """For each place in the window: where it is inside the image, the outputs and the inputs."""
    for kh in range(kernel[0]):
        rows = overlap(block.h0, block.h1, kh - padding[0], stride[0], input_size[0])
        for kw in range(kernel[1]):
            columns = overlap(0, output_shape[2], kw - padding[1], stride[1], input_size[1])
            if rows and columns:
                yield (
                    kh * kernel[1] + kw,
                    (slice(None), rows[0], columns[0]),
                    (slice(None), rows[1], columns[1]),
                )
