"""Layers as functions, with PyTorch's names and signatures and minires's layout.

Images are (N, H, W, C); convolution weights (KH, KW, C / groups, O); linear weights (in, out).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np  # for label checks, pooling matrices and dropout masks, all made on the host

from minires import kernels, ops, random, writes
from minires.backend import device_of, to_device, xp_of
from minires.engine import raw
from minires.from_pytorch import module_getattr
from minires.kernels import ConvGeometry
from minires.nn import losses
from minires.tensors import Tensor

Size = int | tuple[int, int]

if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn.functional", __name__)

binary_cross_entropy_with_logits = losses.binary_cross_entropy_with_logits
cross_entropy = losses.cross_entropy
l1_loss = losses.l1_loss
mse_loss = losses.mse_loss
nll_loss = losses.nll_loss
one_hot = losses.one_hot
smooth_l1_loss = losses.smooth_l1_loss


def pair(value: Size, name: str = "value") -> tuple[int, int]:
    """`3` and `(3, 3)` mean the same.

    Raises
    ------
    TypeError
        If it is neither an integer nor two of them.
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(v, int | np.integer) for v in both):
        raise TypeError(f"{name} wants an integer or a pair of them, got {value!r}")
    return int(both[0]), int(both[1])


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution: slide each filter over the images and add up the products.

    As everywhere in deep learning it is a cross-correlation: the filter is not flipped.

    Parameters
    ----------
    input : (N, H, W, C)
    weight : (KH, KW, C / groups, O)
    bias : (O,), optional
    stride, padding, dilation : int or (int, int)
        For height and width. Padding is with zeros; a dilation of d leaves d - 1 pixels between
        those that a filter sees.
    groups : int
        Filters of group i see the channels of group i only.

    Returns
    -------
    Tensor (N, Ho, Wo, O)
        Ho = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1, Wo likewise. Of the
        input's dtype; what float16 gives has been summed in float32.

    Raises
    ------
    ValueError
        If shapes do not fit; it says so where images come as (N, C, H, W).

    References
    ----------
    V. Dumoulin and F. Visin, *A guide to convolution arithmetic for deep learning*, 2016,
    arXiv:1603.07285, relationships 6 and 15 for the size, and chapter 4 for the gradient as a
    transposed convolution.
    """
    geometry = ConvGeometry(
        pair(stride, "stride"), pair(padding, "padding"), pair(dilation, "dilation"), groups
    )
    out = ops.conv2d(input, weight, geometry=geometry)
    return out if bias is None else out + bias


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight + bias`.

    Parameters
    ----------
    input : (..., in)
    weight : (in, out)
        PyTorch's is (out, in).
    bias : (out,), optional

    Returns
    -------
    Tensor (..., out)

    Raises
    ------
    ValueError
        If the input's last axis is not the weight's first.
    """
    if input.ndim == 0 or input.shape[-1] != weight.shape[0]:
        raise ValueError(f"linear wants (..., {weight.shape[0]}), got {tuple(input.shape)}")
    out = ops.matmul(input, weight)
    return out if bias is None else out + bias


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015).

    Each channel becomes ``weight * (x - mean) / sqrt(var + eps) + bias``: algorithm 1 in training,
    with the batch's own mean and biased variance, and algorithm 2 otherwise, with the running ones.

    Parameters
    ----------
    input : (..., C)
        Images (N, H, W, C), sequences (N, L, C) or features (N, C).
    running_mean, running_var : (C,), optional
        In training they move towards the batch's statistics, in place:
        ``running += momentum * (batch - running)``, the variance as its unbiased estimate.
    weight, bias : (C,), optional
        The paper's gamma and beta; 1 and 0 where they are left out.
    training : bool
    momentum : float
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    Tensor (..., C)
        Of the input's dtype; statistics of float16 are summed in float32.

    Raises
    ------
    ValueError
        If the channels do not fit; in training, if a channel has fewer than two values; otherwise,
        if there are no running statistics.

    References
    ----------
    S. Ioffe and C. Szegedy, *Batch normalization*, ICML 2015, arXiv:1502.03167.
    """
    if input.dtype.kind != "f":
        raise TypeError(f"batch_norm wants floating images, got {input.dtype}")
    channels = input.shape[-1]
    like = next((t for t in (weight, bias, running_mean, running_var) if t is not None), None)
    if like is not None and like.shape != (channels,):
        raise ValueError(f"batch_norm wants (..., {like.shape[0]}), got {tuple(input.shape)}")
    gamma: Any = weight if weight is not None else xp_of(raw(input)).ones(channels, input.dtype)
    beta: Any = bias if bias is not None else xp_of(raw(input)).zeros(channels, input.dtype)
    out: Tensor
    if training:
        out, (mean, var) = ops.batch_norm(input, gamma, beta, eps=eps, with_saved=True)
        count = input.size // channels
        if running_mean is not None:
            kernels.track(running_mean.array, mean, momentum)
            writes.note(running_mean.array)
        if running_var is not None:
            kernels.track(running_var.array, var * (count / (count - 1)), momentum)
            writes.note(running_var.array)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm outside training wants running_mean and running_var")
        scale = gamma * (1 / (running_var + eps).sqrt())
        out = ops.scale_shift(input, scale, beta - scale * running_mean)
    return out


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`, of any shape; the derivative at 0 is 0 (Nair and Hinton 2010).

    `inplace=True`, which many scripts have, is accepted: the result is new.
    """
    return ops.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` where positive, else `negative_slope * x` (Maas et al. 2013); `inplace` as in `relu`."""
    return ops.leaky_relu(input, negative_slope=negative_slope)


def sigmoid(input: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`."""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return ops.tanh(input)


def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """Probabilities along `dim`: `exp(x) / sum(exp(x))`, computed so that it cannot overflow."""
    return ops.softmax(input, axis=dim)


def log_softmax(input: Tensor, dim: int = -1) -> Tensor:
    """The logarithms of `softmax`, without the underflow of taking the two in turn."""
    return ops.log_softmax(input, axis=dim)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each value with probability `p` and scale the rest by `1 / (1 - p)`, in training only.

    The mask comes from `minires.random`, so a seed gives the same one on every device.

    Parameters
    ----------
    input : Tensor
        Any shape.
    p : float
    training : bool
        Without it the input comes back as it is.
    inplace : bool
        As in `relu`.

    Raises
    ------
    ValueError
        If `p` is not in [0, 1).

    References
    ----------
    N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR
    2014, section 4 (where the weights are scaled afterwards instead).
    """
    return _dropped(input, p, training, tuple(input.shape))


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of images (N, H, W, C) (Tompson et al. 2015, section 3.2)."""
    if input.ndim != 4:
        raise ValueError(f"dropout2d wants images (N, H, W, C), got {tuple(input.shape)}")
    return _dropped(input, p, training, (input.shape[0], 1, 1, input.shape[3]))


def _dropped(input: Tensor, p: float, training: bool, shape: tuple[int, ...]) -> Tensor:
    """Zero with probability `p`, as a mask of this shape draws it."""
    if not 0 <= p < 1:
        raise ValueError(f"dropout wants a probability p with 0 <= p < 1, got {p}")
    if not training or p == 0:
        return input
    data = raw(input)
    kept = random.generator().random(shape, np.float32) >= p
    dtype = data.dtype if data.dtype.kind == "f" else np.dtype(np.float32)
    mask = kept.astype(dtype) * dtype.type(1 / (1 - p))
    return ops.multiply(input, to_device(mask, device_of(data)))


def max_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Tensor:
    """The largest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    input : (N, H, W, C)
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default, so that windows do not
        overlap. Padding counts as minus infinity.

    Returns
    -------
    Tensor (N, Ho, Wo, C)
        Ho = floor((H + 2 padding - kernel_size) / stride) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could hold nothing but padding.
    """
    return ops.max_pool2d(input, **_windows(kernel_size, stride, padding))


def min_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Tensor:
    """The smallest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    input : (N, H, W, C)
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default, so that windows do not
        overlap. Padding counts as infinity.

    Returns
    -------
    Tensor (N, Ho, Wo, C)
        Ho = floor((H + 2 padding - kernel_size) / stride) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could hold nothing but padding.
    """
    if input.dtype.kind != "f":  # of integers ~x turns the order round and loses none
        return ~max_pool2d(~input, kernel_size, stride, padding)
    return -max_pool2d(-input, kernel_size, stride, padding)


def avg_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> Tensor:
    """The mean of each window.

    Parameters
    ----------
    input : (N, H, W, C)
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default, so that windows do not
        overlap. Padding is with zeros, which count.

    Returns
    -------
    Tensor (N, Ho, Wo, C)
        Ho = floor((H + 2 padding - kernel_size) / stride) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could hold nothing but padding.
    """
    return ops.avg_pool2d(input, **_windows(kernel_size, stride, padding))


def _windows(kernel_size: Size, stride: Size | None, padding: Size) -> dict[str, tuple[int, int]]:
    return {
        "kernel_size": pair(kernel_size, "kernel_size"),
        "stride": pair(kernel_size if stride is None else stride, "stride"),
        "padding": pair(padding, "padding"),
    }


def adaptive_avg_pool2d(input: Tensor, output_size: Size) -> Tensor:
    """Means over a grid of `output_size` cells that cover the image: (N, H, W, C) to (N, h, w, C).

    Cell i of h covers rows floor(i H / h) up to ceil((i + 1) H / h), as in PyTorch.
    """
    if input.ndim != 4:
        raise ValueError(f"adaptive_avg_pool2d wants images (N, H, W, C), got {input.shape}")
    if input.dtype.kind != "f":
        raise ValueError(f"adaptive_avg_pool2d wants floating-point numbers, got {input.dtype}")
    height, width = pair(output_size, "output_size")
    if min(height, width) < 1:
        raise ValueError(
            f"adaptive_avg_pool2d wants an output_size of at least 1, got {output_size}"
        )
    if height == width == 1:
        return ops.mean(input, axis=(1, 2), keepdims=True)
    strips = _cell_means(input, height, 1)  # (N, h, W, C)
    return _cell_means(strips, width, 2)


def _cell_means(input: Tensor, cells: int, axis: int) -> Tensor:
    """The means over cells along one axis, whose lengths differ by at most one."""
    length = input.shape[axis]
    bounds = [(i * length // cells, -(-(i + 1) * length // cells)) for i in range(cells)]
    before = (slice(None),) * axis
    means = [input[(*before, slice(*ends))].mean(axis, keepdims=True) for ends in bounds]
    joined: Tensor = ops.concatenate(means, axis=axis)
    return joined


def flatten(input: Tensor, start_dim: int = 1) -> Tensor:
    """All axes from `start_dim` on in one."""
    flat: Tensor = ops.flatten(input, start_axis=start_dim)
    return flat


_PAD_MODES: Any = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""NumPy's names of PyTorch's modes."""


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """More at the ends of the axes: a number, or what is inside once more.

    Parameters
    ----------
    input : images (N, H, W, C), features (N, C) or one row
    pad : sequence of int
        Pairs (before, after): of images for width, height and channels, in this order, else from
        the last axis on to the first.
    mode : {"constant", "reflect", "replicate", "circular"}
    value : float
        What is put there in mode "constant".

    Raises
    ------
    ValueError
        If the pairs or the mode do not fit, or the input has three axes or more than four:
        `minires.ops.pad` takes every axis by itself.
    """
    if input.ndim not in (1, 2, 4):
        raise ValueError(
            f"pad wants images (N, H, W, C), features (N, C) or one row, got {tuple(input.shape)}: "
            "ops.pad(x, width=((before, after), ...)) names every axis"
        )
    order = (2, 1, 3, 0) if input.ndim == 4 else tuple(reversed(range(input.ndim)))
    if len(pad) % 2 or len(pad) > 2 * input.ndim or min(pad, default=0) < 0:
        raise ValueError(f"pad wants pairs (before, after), none negative, got {tuple(pad)}")
    width = [(0, 0)] * input.ndim
    for axis, before, after in zip(order, pad[::2], pad[1::2], strict=False):
        width[axis] = (before, after)
    if mode == "constant":
        padded: Tensor = ops.pad(input, width=tuple(width), value=value)
        return padded
    if mode not in _PAD_MODES:
        raise ValueError(f"mode must be constant, {', '.join(_PAD_MODES)}, got {mode!r}")
    for axis, ends in enumerate(width):
        if any(ends):
            places = np.pad(np.arange(input.shape[axis]), ends, mode=_PAD_MODES[mode])
            input = input[(*(slice(None),) * axis, places)]
    return input
