"""Convolution of channels-last images and its two gradients.

    out[n, i, j, o] = sum_{k, l, c} x[n, i*sh + k*dh - ph, j*sw + l*dw - pw, c] * w[k, l, c, o]

with zeros outside the image: a cross-correlation, as in every deep-learning library. The three
functions are linear in each argument, and adjoint to each other: ``<conv2d(x, w), g> =
<x, conv2d_dx(g, w)> = <w, conv2d_dw(x, g)>``. `reference.py` has them as loops.
"""

from __future__ import annotations

from minires.backend import Array, device_of, xp_of
from minires.kernels import col2im
from minires.kernels.choose import ALGORITHMS, Problem, check, choose
from minires.kernels.geometry import nothing, output_size
from minires.kernels.half import computed_in_float32
from minires.kernels.placement import Pair, Placement
from minires.kernels.strided_gradient import phases, swap_channels
from minires.kernels.threads import one_blas_thread
from minires.kernels.workspace import empty


@computed_in_float32(on="cpu")
@one_blas_thread()
def conv2d(
    x: Array, w: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """The convolution of images with a bank of filters.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (KH, KW, C/groups, O) array
    stride, padding, dilation : (int, int)
    groups : int
        Channels and filters are split into this many groups, each of which sees only its own.

    Returns
    -------
    (N, Ho, Wo, O) array
    """
    O = w.shape[3]
    Ho, Wo = output_size(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    out = empty(xp_of(x, w), (x.shape[0], Ho, Wo, O), x.dtype)
    _correlate(x, w, out, Placement((-padding[0], -padding[1]), stride, dilation, groups))
    return out


@computed_in_float32(on="cpu")
@one_blas_thread()
def conv2d_dx(
    g: Array,
    w: Array,
    *,
    input_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The gradient of `conv2d` by its input: its adjoint in `x`, a transposed convolution.

    Parameters
    ----------
    g : (N, Ho, Wo, O) array
    w : (KH, KW, C/groups, O) array
    input_size : (int, int)
        H and W, which Ho and Wo do not determine where the stride leaves a remainder.
    stride, padding, dilation : (int, int)
    groups : int

    Returns
    -------
    (N, H, W, C) array
    """
    xp = xp_of(g, w)
    KH, KW, Cg, O = w.shape
    shape = (g.shape[0], *input_size, Cg * groups)
    place = Placement((-padding[0], -padding[1]), stride, dilation, groups)
    size = g.shape[1], g.shape[2]
    problem = Problem(len(g), size, Cg * groups, O, (KH, KW), place, g.dtype, device_of(g))
    name = choose(problem, "dx").name
    if name == "im2col" and groups == 1 and g.dtype != "float16":  # it adds products up
        dx = empty(xp, shape, g.dtype)
        col2im.input_gradient(g, w, dx, place)
        return dx
    down = phases(KH, stride[0], padding[0], dilation[0])
    across = phases(KW, stride[1], padding[1], dilation[1])
    reached = len(down) * len(across) == stride[0] * stride[1]
    dx = empty(xp, shape, g.dtype) if reached else xp.zeros(shape, g.dtype)
    for p in down:
        for q in across:
            taps = swap_channels(w[p.taps, q.taps][::-1, ::-1], groups)
            target = dx[:, p.first :: stride[0], q.first :: stride[1]]
            start, steps = (p.start, q.start), (p.dilation, q.dilation)
            _correlate(g, taps, target, Placement(start, (1, 1), steps, groups), name=name)
    return dx


@computed_in_float32(on="cpu")
@one_blas_thread()
def conv2d_dw(
    x: Array,
    g: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The gradient of `conv2d` by its weights: its adjoint in `w`.

    Parameters
    ----------
    x : (N, H, W, C) array
    g : (N, Ho, Wo, O) array
    kernel_size : (int, int)
        KH and KW, which the other sizes do not determine where the stride leaves a remainder.
    stride, padding, dilation : (int, int)
    groups : int

    Returns
    -------
    (KH, KW, C/groups, O) array
    """
    place = Placement((-padding[0], -padding[1]), stride, dilation, groups)
    size = g.shape[1], g.shape[2]
    problem = Problem(
        len(x), size, x.shape[3], g.shape[3], kernel_size, place, g.dtype, device_of(g)
    )
    name = choose(problem, "dw").name
    return ALGORITHMS[name].weight_gradient(x, g, kernel_size, place)


def _correlate(
    x: Array,
    w: Array,
    out: Array,
    place: Placement,
    name: str | None = None,
) -> None:
    """Fill `out` by the algorithm of that name, or by the best."""
    size, kernel = (out.shape[1], out.shape[2]), (w.shape[0], w.shape[1])
    problem = Problem(len(x), size, x.shape[3], w.shape[3], kernel, place, out.dtype, device_of(x))
    if name is None:
        name = choose(problem, "forward").name
    else:
        check(problem, name)
    ALGORITHMS[name].correlate(x, w, out, place, nothing)
