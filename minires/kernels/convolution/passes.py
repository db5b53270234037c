"""Convolution of channels-last images and its two gradients.

    out[n, i, j, o] = sum_{k, l, c} x[n, i*sh + k*dh - ph, j*sw + l*dw - pw, c] * w[k, l, c, o]

with zeros outside the image: a cross-correlation, as in every deep-learning library. The three
functions are linear in each argument, and adjoint to each other: ``<conv2d(x, w), g> =
<x, conv2d_dx(g, w)> = <w, conv2d_dw(x, g)>``. `reference` has them as loops.
"""

from __future__ import annotations

from minires.backend import Array, device_of, xp_of
from minires.kernels.convolution import col2im
from minires.kernels.convolution.choose import ALGORITHMS, Problem, check, choose
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.convolution.strided_gradient import phases, swap_channels
from minires.kernels.cuda import convolution as cuda_convolution
from minires.kernels.machinery.blocks import Pair
from minires.kernels.machinery.epilogue import no_epilogue
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.kernels.machinery.threads import one_blas_thread
from minires.kernels.machinery.workspace import empty


@computed_in_float32(on="cpu")
@one_blas_thread()
def conv2d(x: Array, w: Array, *, geometry: ConvGeometry) -> Array:
    """The convolution of images with a bank of filters.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (KH, KW, C/groups, O) array
    geometry : ConvGeometry

    Returns
    -------
    (N, Ho, Wo, O) array
    """
    size = geometry.output_size(x.shape[1:3], w.shape[:2])
    if 0 in (x.shape[3], w.shape[3]):  # an empty sum
        return xp_of(x, w).zeros((x.shape[0], *size, w.shape[3]), x.dtype)
    out = empty(xp_of(x, w), (x.shape[0], *size, w.shape[3]), x.dtype)
    _correlate(x, w, out, geometry)
    return out


@computed_in_float32(on="cpu")
@one_blas_thread()
def conv2d_dx(g: Array, w: Array, *, input_size: Pair, geometry: ConvGeometry) -> Array:
    """The gradient of `conv2d` with respect to its input: its adjoint in `x`.

    Parameters
    ----------
    g : (N, Ho, Wo, O) array
    w : (KH, KW, C/groups, O) array
    input_size : (int, int)
        H and W, which Ho and Wo do not determine where the stride leaves a remainder.
    geometry : ConvGeometry

    Returns
    -------
    (N, H, W, C) array
    """
    xp = xp_of(g, w)
    KH, KW, Cg, O = w.shape
    (down, across), (top, left), (tall, wide), groups = geometry
    shape = (g.shape[0], *input_size, Cg * groups)
    size = g.shape[1], g.shape[2]
    if 0 in (Cg, O):
        return xp.zeros(shape, g.dtype)
    problem = Problem(len(g), size, Cg * groups, O, (KH, KW), geometry, g.dtype, device_of(g))
    name = choose(problem, "dx").name
    if name == "cuda":
        dx = empty(xp, shape, g.dtype)
        cuda_convolution.input_gradient(g, w, dx, geometry)
        return dx
    adds_up = name == "im2col" and (down, across) != (1, 1)  # few products for many positions
    if adds_up and groups == 1 and g.dtype != "float16":
        dx = empty(xp, shape, g.dtype)
        col2im.input_gradient(g, w, dx, geometry)
        return dx
    rows, columns = phases(KH, down, top, tall), phases(KW, across, left, wide)
    reached = len(rows) * len(columns) == down * across
    dx = empty(xp, shape, g.dtype) if reached else xp.zeros(shape, g.dtype)
    for p in rows:
        for q in columns:
            taps = swap_channels(w[p.taps, q.taps][::-1, ::-1], groups)
            target = dx[:, p.first :: down, q.first :: across]
            before, steps = (-p.start, -q.start), (p.dilation, q.dilation)
            _correlate(g, taps, target, ConvGeometry((1, 1), before, steps, groups), name)
    return dx


@computed_in_float32(on="cpu")
@one_blas_thread()
def conv2d_dw(x: Array, g: Array, *, kernel_size: Pair, geometry: ConvGeometry) -> Array:
    """The gradient of `conv2d` with respect to its weights: its adjoint in `w`.

    Parameters
    ----------
    x : (N, H, W, C) array
    g : (N, Ho, Wo, O) array
    kernel_size : (int, int)
        KH and KW, which the other sizes do not determine where the stride leaves a remainder.
    geometry : ConvGeometry

    Returns
    -------
    (KH, KW, C/groups, O) array
    """
    size, (C, O) = (g.shape[1], g.shape[2]), (x.shape[3], g.shape[3])
    if 0 in (C, O):
        return xp_of(x, g).zeros((*kernel_size, C // geometry.groups, O), g.dtype)
    problem = Problem(len(x), size, C, O, kernel_size, geometry, g.dtype, device_of(g))
    name = choose(problem, "dw").name
    return ALGORITHMS[name].weight_gradient(x, g, kernel_size, geometry)


def _correlate(
    x: Array, w: Array, out: Array, geometry: ConvGeometry, name: str | None = None
) -> None:
    """Fill `out` by the algorithm of that name, or by the best."""
    size, kernel = (out.shape[1], out.shape[2]), (w.shape[0], w.shape[1])
    channels, filters = x.shape[3], w.shape[3]
    problem = Problem(len(x), size, channels, filters, kernel, geometry, out.dtype, device_of(x))
    if name is None:
        name = choose(problem, "forward").name
    else:
        check(problem, name)
    ALGORITHMS[name].correlate(x, w, out, geometry, no_epilogue)
