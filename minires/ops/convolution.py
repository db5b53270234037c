"""Convolution and its two adjoints: a closed family, each one's VJP is the other two.

Images are (N, H, W, C), weights (KH, KW, C / groups, O). What deep learning calls convolution is a
cross-correlation: the kernel is not flipped.
"""

from __future__ import annotations

from collections.abc import Sequence

from minires import kernels
from minires.backend import Array
from minires.engine import op
from minires.kernels import ConvGeometry
from minires.kernels.machinery.blocks import Pair

DEFAULT = ConvGeometry()


def channels_first(shape: Sequence[int], channels: int) -> str:
    """What to add to an error where a shape looks as if its channels came first; else nothing."""
    if len(shape) not in (3, 4) or shape[1] != channels:
        return ""
    looks, order = ("(N, C, L)", "0, 2, 1") if len(shape) == 3 else ("(N, C, H, W)", "0, 2, 3, 1")
    return f". The shape looks like {looks}; minires keeps channels last: x.transpose({order})"


def _check_conv2d(x: Array, w: Array, geometry: ConvGeometry) -> None:
    if x.ndim != 4 or w.ndim != 4:
        one = (
            x.ndim == 3 and w.ndim == 4 and w.shape[2] * geometry.groups in (x.shape[0], x.shape[2])
        )
        hint = ". One image is a batch of one: x[None]" if one else ""
        raise ValueError(
            f"conv2d wants images (N, H, W, C) and weights (KH, KW, C / groups, O), got "
            f"{tuple(x.shape)} and {tuple(w.shape)}{hint}"
        )
    if x.dtype.kind != "f":
        raise ValueError(
            f"conv2d wants images of floating-point numbers, got {x.dtype}: scale them first, as "
            'data.Normalize does, or x.astype("float32") / 255'
        )
    stride, padding, dilation, groups = geometry
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise ValueError(
            f"conv2d wants stride and dilation of at least 1 and padding of at least 0, got "
            f"stride={stride}, dilation={dilation}, padding={padding}"
        )
    channels, filters = x.shape[3], w.shape[3]
    if groups < 1 or channels % groups or filters % groups:
        raise ValueError(
            f"conv2d: groups={groups} must divide both the {channels} input and {filters} output "
            "channels"
        )
    if channels != w.shape[2] * groups:
        wanted = w.shape[2] * groups
        hint = channels_first(x.shape, wanted)
        raise ValueError(
            f"conv2d wants images (N, H, W, {wanted}), got {tuple(x.shape)}: {channels} channels, "
            f"not {wanted}{hint}"
        )
    if min(geometry.output_size(x.shape[1:3], w.shape[:2])) < 1:
        raise ValueError(
            f"conv2d: a {w.shape[0]}x{w.shape[1]} kernel with dilation {dilation} does not fit "
            f"into images of {x.shape[1]}x{x.shape[2]} with padding {padding}"
        )


@op
def conv2d(x: Array, w: Array, *, geometry: ConvGeometry = DEFAULT) -> Array:
    """Slide each filter over the images and take the products' sum.

    out[n, i, j, o] = sum over a, b, c of
    x[n, stride * i + dilation * a - padding, stride * j + dilation * b - padding, c] *
    w[a, b, c, o]

    Parameters
    ----------
    x : (N, H, W, C)
    w : (KH, KW, C / groups, O)
    geometry : ConvGeometry
        Stride, padding and dilation, each (int, int) for height and width, and groups: filters of
        group i see the channels of group i only.

    Returns
    -------
    (N, Ho, Wo, O)

    Raises
    ------
    ValueError
        If shapes do not fit; it says so where images come as (N, C, H, W).

    References
    ----------
    V. Dumoulin and F. Visin, *A guide to convolution arithmetic for deep learning*, 2016,
    arXiv:1603.07285. Which algorithm computes it: `minires.kernels.explain`.
    """
    _check_conv2d(x, w, geometry)
    return kernels.conv2d(x, w, geometry=geometry)


@conv2d.vjp
def conv2d_vjp(
    g: Array, x: Array, w: Array, needs: Sequence[bool], geometry: ConvGeometry
) -> tuple[Array | None, Array | None]:
    return (
        conv2d_dx(g, w, input_size=x.shape[1:3], geometry=geometry) if needs[0] else None,
        conv2d_dw(x, g, kernel_size=w.shape[:2], geometry=geometry) if needs[1] else None,
    )


conv2d.fresh = True


@op
def conv2d_dx(dy: Array, w: Array, *, input_size: Pair, geometry: ConvGeometry = DEFAULT) -> Array:
    """The gradient of `conv2d` with respect to its images: (N, Ho, Wo, O) to (N, H, W, C).

    `input_size` is (H, W): a stride that leaves a remainder hides it.
    """
    return kernels.conv2d_dx(
        dy,
        w,
        input_size=input_size,
        geometry=geometry,
    )


@conv2d_dx.vjp
def conv2d_dx_vjp(
    g: Array, dy: Array, w: Array, needs: Sequence[bool], geometry: ConvGeometry
) -> tuple[Array | None, Array | None]:
    return (
        conv2d(g, w, geometry=geometry) if needs[0] else None,
        conv2d_dw(g, dy, kernel_size=w.shape[:2], geometry=geometry) if needs[1] else None,
    )


@op
def conv2d_dw(x: Array, dy: Array, *, kernel_size: Pair, geometry: ConvGeometry = DEFAULT) -> Array:
    """The gradient of `conv2d` with respect to its weights: (KH, KW, C / groups, O).

    `kernel_size` is (KH, KW): a stride that leaves a remainder hides it.
    """
    return kernels.conv2d_dw(
        x,
        dy,
        kernel_size=kernel_size,
        geometry=geometry,
    )


@conv2d_dw.vjp
def conv2d_dw_vjp(
    g: Array, x: Array, dy: Array, needs: Sequence[bool], geometry: ConvGeometry
) -> tuple[Array | None, Array | None]:
    return (
        conv2d_dx(dy, g, input_size=x.shape[1:3], geometry=geometry) if needs[0] else None,
        conv2d(x, g, geometry=geometry) if needs[1] else None,
    )


conv2d.bilinear = conv2d_dx.bilinear = conv2d_dw.bilinear = True
