"""Pooling. Each pair of a gathering and a scattering operation is closed: VJPs of each other."""

from __future__ import annotations

from minires import kernels
from minires.backend import Array
from minires.engine import op, raw
from minires.kernels import ConvGeometry
from minires.kernels.machinery.blocks import Pair


def _check(name: str, x: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> None:
    if x.ndim != 4:
        raise ValueError(f"{name} wants images (N, H, W, C), got {tuple(x.shape)}")
    if x.dtype.kind == "b":
        raise TypeError(f"{name} wants numbers, got {x.dtype}")
    if min(kernel_size) < 1 or min(stride) < 1 or min(padding) < 0:
        raise ValueError(
            f"{name} wants kernel_size and stride of at least 1 and padding of at least 0, got "
            f"kernel_size={kernel_size}, stride={stride}, padding={padding}"
        )
    if any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(
            f"{name}: padding {padding} is more than half of kernel_size {kernel_size}, so some "
            "windows would hold nothing but padding"
        )
    if min(ConvGeometry(stride, padding).output_size(x.shape[1:3], kernel_size)) < 1:
        raise ValueError(
            f"{name}: windows of {kernel_size} do not fit into images of {x.shape[1]}x{x.shape[2]} "
            f"with padding {padding}"
        )


@op
def max_pool2d(x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0)) -> Array:
    """The largest value of each window, (N, H, W, C) to (N, Ho, Wo, C).

    The gradient goes to the first of a window's largest values.
    """
    _check("max_pool2d", x, kernel_size, stride, padding)
    return kernels.max_pool(x, kernel_size=kernel_size, stride=stride, padding=padding)


@max_pool2d.vjp
def max_pool2d_vjp(
    g: Array, x: Array, out: Array, kernel_size: Pair, stride: Pair, padding: Pair
) -> tuple[Array]:
    windows = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    indices = kernels.max_pool_places(
        raw(x), raw(out), **windows
    )  # no derivative: they are integers
    return (max_pool2d_scatter(g, indices=indices, input_size=x.shape[1:3], **windows),)


@op
def max_pool2d_scatter(
    dy: Array, *, indices: Array, input_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """Each window's gradient sent to where its maximum was; summed where windows overlap."""
    return kernels.max_pool_scatter(
        dy,
        indices,
        input_size=input_size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
    )


@max_pool2d_scatter.vjp
def max_pool2d_scatter_vjp(
    g: Array, indices: Array, kernel_size: Pair, stride: Pair, padding: Pair
) -> tuple[Array]:
    windows = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return (max_pool2d_gather(g, indices=indices, **windows),)


@op
def max_pool2d_gather(
    x: Array, *, indices: Array, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """From each window the value at a place that an earlier max pooling found."""
    return kernels.max_pool_gather(
        x, indices, kernel_size=kernel_size, stride=stride, padding=padding
    )


@max_pool2d_gather.vjp
def max_pool2d_gather_vjp(
    g: Array,
    x_shape: tuple[int, ...],
    indices: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> tuple[Array]:
    windows = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return (max_pool2d_scatter(g, indices=indices, input_size=x_shape[1:3], **windows),)


@op
def avg_pool2d(x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair = (0, 0)) -> Array:
    """The mean of each window, (N, H, W, C) to (N, Ho, Wo, C); zeros in the padding count."""
    _check("avg_pool2d", x, kernel_size, stride, padding)
    if x.dtype.kind != "f":
        raise ValueError(f"avg_pool2d wants floating-point numbers, got {x.dtype}")
    return kernels.avg_pool(x, kernel_size=kernel_size, stride=stride, padding=padding)


@avg_pool2d.vjp
def avg_pool2d_vjp(
    g: Array, x_shape: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair
) -> tuple[Array]:
    windows = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return (avg_pool2d_dx(g, input_size=x_shape[1:3], **windows),)


@op
def avg_pool2d_dx(
    dy: Array, *, input_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """Each window's gradient spread evenly over it; summed where windows overlap."""
    return kernels.avg_pool_dx(
        dy, input_size=input_size, kernel_size=kernel_size, stride=stride, padding=padding
    )


@avg_pool2d_dx.vjp
def avg_pool2d_dx_vjp(g: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> tuple[Array]:
    return (avg_pool2d(g, kernel_size=kernel_size, stride=stride, padding=padding),)
