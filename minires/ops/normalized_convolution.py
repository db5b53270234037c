"""A convolution and the batch norm after it, in evaluation: one pass over memory.

The norm finds each number where the convolution has just left it, in the cache, and so does what
follows in a residual block, the add and the ReLU. In training that cannot be: the norm's statistics
are known when the last number is.
"""

from __future__ import annotations

from collections.abc import Sequence

from minires import kernels
from minires.backend import Array
from minires.engine import op, raw
from minires.kernels.geometry import output_size
from minires.kernels.placement import Pair
from minires.ops.activation import relu_gradient
from minires.ops.convolution import check_conv2d, conv2d, conv2d_vjp
from minires.ops.normalization import check_residual


@op
def conv2d_scale_shift(
    x: Array,
    w: Array,
    scale: Array,
    shift: Array,
    *,
    relu: bool = False,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """`conv2d(x, w) * scale + shift`, and its ReLU if asked for, in one pass over memory.

    It is a convolution with the batch norm after it in evaluation, which finds the numbers where
    the convolution has just left them. `scale` and `shift` are (O,), the rest is as in `conv2d`.
    The convolution's own output is not kept: the gradient by `scale` computes it again.
    """
    check_conv2d(x, w, stride, padding, dilation, groups)
    _check_factors(w, scale, shift)
    return kernels.conv2d_scale_shift(
        x,
        w,
        scale,
        shift,
        relu=relu,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@conv2d_scale_shift.vjp
def conv2d_scale_shift_vjp(
    g: Array,
    x: Array,
    w: Array,
    scale: Array,
    out: Array,
    needs: Sequence[bool],
    relu: bool,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[Array | None, ...]:
    walk = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dy = relu_gradient(g, raw(out)) if relu else g
    dx, dw = conv2d_vjp(dy * scale, x, w, needs, **walk)
    return dx, dw, dy * conv2d(x, w, **walk) if needs[2] else None, dy


@op
def conv2d_scale_shift_add(
    x: Array,
    w: Array,
    scale: Array,
    shift: Array,
    residual: Array,
    *,
    relu: bool = False,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """`conv2d_scale_shift` with `residual`, of the output's shape and x's dtype, added.

    The ReLU, if asked for, is taken of the sum: that is the end of a residual block.
    """
    check_conv2d(x, w, stride, padding, dilation, groups)
    _check_factors(w, scale, shift)
    size = output_size(x.shape[1:3], w.shape[:2], stride, padding, dilation)
    check_residual((x.shape[0], *size, w.shape[3]), x.dtype, residual)
    return kernels.conv2d_scale_shift(
        x,
        w,
        scale,
        shift,
        residual,
        relu=relu,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@conv2d_scale_shift_add.vjp
def conv2d_scale_shift_add_vjp(
    g: Array,
    x: Array,
    w: Array,
    scale: Array,
    out: Array,
    needs: Sequence[bool],
    relu: bool,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> tuple[Array | None, ...]:
    gradients = conv2d_scale_shift_vjp(
        g, x, w, scale, out, needs, relu, stride, padding, dilation, groups
    )
    return *gradients, gradients[3]  # the residual is added where the shift is


def _check_factors(w: Array, scale: Array, shift: Array) -> None:
    filters = (w.shape[3],)
    if scale.shape != filters or shift.shape != filters:
        raise ValueError(
            f"scale and shift have a number for each filter, {filters}, got {scale.shape} and "
            f"{shift.shape}"
        )
