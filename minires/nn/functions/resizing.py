"""Larger images from smaller ones: transposed convolution, and interpolation between pixels."""

from __future__ import annotations

import math

import numpy as np  # for coordinates, which are worked out on the host

from minires import ops
from minires.backend import device_of, to_device
from minires.engine import raw
from minires.kernels import ConvGeometry
from minires.nn.sizes import Size, pair
from minires.tensors import Tensor


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """Transposed convolution: each pixel times the filter, added where that filter's window is.

    It is the gradient of `conv2d` with respect to its images, as a layer: what a convolution with
    the same weights and numbers would shrink to the input's size is this function's result. It
    does not undo that convolution, whatever "deconvolution" may suggest.

    Parameters
    ----------
    input : (N, H, W, C)
    weight : (KH, KW, O / groups, C)
        As of the convolution from O to C channels. PyTorch's is (C, O / groups, KH, KW).
    bias : (O,), optional
    stride, padding, dilation : int or (int, int)
        Of that convolution: the stride spreads the pixels, the padding cuts the result's edges.
    output_padding : int or (int, int)
        Rows and columns more at the end, less than the stride or the dilation: a convolution with
        a stride gives the same size for several, and this says which of them is meant.
    groups : int

    Returns
    -------
    Tensor (N, Ho, Wo, O)
        Ho = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1, Wo likewise.

    Raises
    ------
    ValueError
        If shapes do not fit.

    References
    ----------
    V. Dumoulin and F. Visin, *A guide to convolution arithmetic for deep learning*, 2016,
    arXiv:1603.07285, relationship 14.
    """
    if input.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"conv_transpose2d wants images (N, H, W, C) and weights (KH, KW, O / groups, C), got "
            f"{tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if input.dtype.kind != "f":
        raise ValueError(
            f"conv_transpose2d wants images of floating-point numbers, got {input.dtype}"
        )
    channels = weight.shape[3]
    if groups < 1 or channels % groups:
        raise ValueError(f"conv_transpose2d: groups={groups} must divide the {channels} channels")
    if input.shape[3] != channels:
        raise ValueError(
            f"conv_transpose2d wants images (N, H, W, {channels}), got {tuple(input.shape)}"
        )
    both = pair(stride, "stride"), pair(padding, "padding"), pair(dilation, "dilation")
    strides, paddings, dilations = both
    extra = pair(output_padding, "output_padding")
    if min(strides) < 1 or min(dilations) < 1 or min(paddings) < 0:
        raise ValueError(
            f"conv_transpose2d wants stride and dilation of at least 1 and padding of at least 0, "
            f"got stride={stride}, dilation={dilation}, padding={padding}"
        )
    if any(not 0 <= e < max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError(
            f"conv_transpose2d wants an output_padding less than the stride or the dilation, got "
            f"output_padding={output_padding}, stride={stride}, dilation={dilation}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            input.shape[1:3], strides, paddings, dilations, weight.shape[:2], extra, strict=True
        )
    )
    if min(size) < 1:
        raise ValueError(
            f"conv_transpose2d: with padding {padding} nothing is left of {size[0]}x{size[1]}"
        )
    beyond = [e // s for e, s in zip(extra, strides, strict=True)]
    if any(beyond):  # by more than a stride: as if zeros followed the images
        width = ((0, 0), (0, beyond[0]), (0, beyond[1]), (0, 0))
        input = ops.pad(input, width=width)
    geometry = ConvGeometry(*both, groups)
    out: Tensor = ops.conv2d_dx(input, weight, input_size=size, geometry=geometry)
    return out if bias is None else out + bias


def interpolate(
    input: Tensor,
    size: Size | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Images of another size, whose pixels are copied or mixed from the nearest ones.

    Parameters
    ----------
    input : (N, H, W, C)
    size : int or (int, int), optional
        Of the result, or give `scale_factor`.
    scale_factor : float or (float, float), optional
        How many times as high and wide; sizes are rounded down.
    mode : {"nearest", "bilinear"}
        "nearest" copies the pixel into which the corner of the new one falls; "bilinear" mixes
        the two nearest in each direction by their distances.
    align_corners : bool
        For "bilinear". True lays the centres of the corner pixels upon each other, so that pixel i
        of n is at i (H - 1) / (n - 1); False (the default) lays the images' edges upon each other:
        at (i + 1/2) H / n - 1/2, and no further out than the outermost centre.

    Returns
    -------
    Tensor (N, size[0], size[1], C)

    Raises
    ------
    ValueError
        If the size is given twice or not at all, is less than 1, or the mode is another one.
    """
    if input.ndim != 4:
        raise ValueError(f"interpolate wants images (N, H, W, C), got {tuple(input.shape)}")
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f'interpolate: mode must be "nearest" or "bilinear", got {mode!r}')
    if mode == "nearest" and align_corners is not None:
        raise ValueError('interpolate: align_corners is for mode="bilinear"')
    if mode == "bilinear" and input.dtype.kind != "f":
        raise ValueError(f"interpolate mixes floating-point numbers, got {input.dtype}")
    old = input.shape[1:3]
    new, steps = _sizes(old, size, scale_factor)
    if mode == "nearest":
        rows, columns = (_nearest(*sizes) for sizes in zip(old, new, steps, strict=True))
        return _picked(_picked(input, rows, 1), columns, 2)
    tall = _mixed(input, new[0], steps[0], bool(align_corners), 1)
    return _mixed(tall, new[1], steps[1], bool(align_corners), 2)


def _sizes(
    old: tuple[int, ...], size: Size | None, scale_factor: float | tuple[float, float] | None
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The new height and width, and how far apart the new pixels are in the old image."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate wants either size or scale_factor")
    if size is not None:
        new = pair(size, "size")
        steps = tuple(n / max(m, 1) for n, m in zip(old, new, strict=True))
    else:
        given = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor,) * 2
        factors = [float(f) for f in given]  # type: ignore[arg-type]
        if len(factors) != 2 or not all(0 < f < math.inf for f in factors):
            raise ValueError(f"interpolate wants positive scale factors, got {scale_factor}")
        new = tuple(math.floor(n * f) for n, f in zip(old, factors, strict=True))  # type: ignore[assignment]
        steps = tuple(1 / f for f in factors)
    if min(*new, *old) < 1:
        raise ValueError(f"interpolate cannot make {new} of images of {old[0]}x{old[1]}")
    return new, steps


def _nearest(old: int, new: int, step: float) -> np.ndarray:
    """Which old pixel each new one copies, as in PyTorch.

    It multiplies in float32, which decides ties, but where each pixel is copied once or twice.
    """
    if new in (old, 2 * old):
        return np.arange(new) // (new // old)
    places = np.floor(np.arange(new, dtype=np.float32) * np.float32(step))
    nearest: np.ndarray = np.minimum(places.astype(np.int64), old - 1)
    return nearest


def _mixed(x: Tensor, new: int, step: float, align_corners: bool, axis: int) -> Tensor:
    """Along one axis: (1 - t) times the pixel before, t times the one behind."""
    old = x.shape[axis]
    if align_corners:
        places = np.arange(new) * ((old - 1) / max(new - 1, 1))
    else:
        places = np.maximum((np.arange(new) + 0.5) * step - 0.5, 0)
    before = np.minimum(places.astype(np.int64), old - 1)
    behind = np.minimum(before + 1, old - 1)
    weights = np.clip(places - before, 0, 1).astype(x.dtype)
    t = to_device(weights.reshape(-1, *(1,) * (3 - axis)), device_of(raw(x)))
    mixed: Tensor = _picked(x, before, axis) * (1 - t) + _picked(x, behind, axis) * t
    return mixed


def _picked(x: Tensor, places: np.ndarray, axis: int) -> Tensor:
    return x[(*(slice(None),) * axis, to_device(places, device_of(raw(x))))]
