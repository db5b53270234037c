"""Layers as functions, with PyTorch's names and signatures and minires's layout.

Images are (N, H, W, C); convolution weights (KH, KW, C / groups, O); linear weights (in, out).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np  # for label checks, pooling matrices and dropout masks, all made on the host

from minires import ops, random
from minires.backend import device_of, to_device
from minires.dtypes import of_truth_values, widened
from minires.engine import raw
from minires.from_pytorch import all_with_pytorchs_keywords, module_getattr
from minires.in_place import becomes
from minires.kernels import ConvGeometry
from minires.nn.functions.batch_norm import batch_norm as batch_norm
from minires.nn.functions.cross_entropy import binary_cross_entropy as binary_cross_entropy
from minires.nn.functions.cross_entropy import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from minires.nn.functions.cross_entropy import cross_entropy as cross_entropy
from minires.nn.functions.cross_entropy import kl_div as kl_div
from minires.nn.functions.cross_entropy import nll_loss as nll_loss
from minires.nn.functions.group_norm import group_norm as group_norm
from minires.nn.functions.layer_norm import layer_norm as layer_norm
from minires.nn.functions.pooling import avg_pool2d as avg_pool2d
from minires.nn.functions.pooling import max_pool2d as max_pool2d
from minires.nn.functions.pooling import min_pool2d as min_pool2d
from minires.nn.functions.regression_losses import l1_loss as l1_loss
from minires.nn.functions.regression_losses import mse_loss as mse_loss
from minires.nn.functions.regression_losses import smooth_l1_loss as smooth_l1_loss
from minires.nn.functions.resizing import conv_transpose2d as conv_transpose2d
from minires.nn.functions.resizing import interpolate as interpolate
from minires.nn.functions.targets import one_hot as one_hot
from minires.nn.sizes import Size as Size
from minires.nn.sizes import pair as pair
from minires.nn.sizes import same
from minires.tensors import Tensor

if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn.functional", __name__)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
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
        For height and width. Padding is with zeros, and "same" leaves the images their size; a
        dilation of d leaves d - 1 pixels between those that a filter sees.
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
    sides = pair(same(padding, weight.shape[:2], stride, dilation), "padding")
    geometry = ConvGeometry(pair(stride, "stride"), sides, pair(dilation, "dilation"), groups)
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
        turned = input.ndim and input.shape[-1] == weight.shape[-1]
        hint = ". Are these weights PyTorch's (out, in): give weight.T" if turned else ""
        raise ValueError(f"linear wants (..., {weight.shape[0]}), got {tuple(input.shape)}{hint}")
    out = ops.matmul(input, weight)
    return out if bias is None else out + bias


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`, of any shape; the derivative at 0 is 0 (Nair and Hinton 2010).

    With `inplace=True` the input is changed to the result, and returned; arrays that it was made
    from, and views of it, stay as they were.
    """
    out = ops.relu(input)
    return becomes(input, out) if inplace else out


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`x` where positive, else `negative_slope * x` (Maas et al. 2013); `inplace` as in `relu`."""
    out = ops.leaky_relu(input, negative_slope=negative_slope)
    return becomes(input, out) if inplace else out


def sigmoid(input: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`."""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return ops.tanh(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`x` times the probability that a normal variable is less than `x`.

    Parameters
    ----------
    input : Tensor
        Any shape; float16 is computed in float32 and rounded at the end.
    approximate : {"none", "tanh"}
        ``x / 2 * (1 + erf(x / sqrt(2)))``, or the paper's approximation
        ``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))``.

    References
    ----------
    D. Hendrycks and K. Gimpel, *Gaussian error linear units (GELUs)*, 2016, arXiv:1606.08415,
    section 2.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate must be "none" or "tanh", got {approximate!r}')
    x: Tensor = widened(input)
    if approximate == "none":
        out = x * 0.5 * (1 + ops.erf(x * math.sqrt(0.5)))
    else:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        out = x * 0.5 * (1 + ops.tanh(inner))
    return out.astype(np.float16) if input.dtype == np.float16 else out


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * sigmoid(x)`, also called swish; `inplace` as in `relu`.

    S. Elfwing, E. Uchibe and K. Doya, *Sigmoid-weighted linear units*, 2017, arXiv:1702.03118.
    """
    out = input * ops.sigmoid(input)
    return becomes(input, out) if inplace else out


def softmax(input: Tensor, dim: int | None = None) -> Tensor:
    """Probabilities along `dim`: `exp(x) / sum(exp(x))`, computed so that it cannot overflow.

    Without `dim` along the last axis of at most two; of more it is to be said.
    """
    return ops.softmax(input, axis=_said("softmax", input, dim))


def log_softmax(input: Tensor, dim: int | None = None) -> Tensor:
    """The logarithms of `softmax`, without the underflow of taking the two in turn."""
    return ops.log_softmax(input, axis=_said("log_softmax", input, dim))


def _said(name: str, input: Tensor, dim: int | None) -> int:
    if dim is None and input.ndim > 2:
        raise ValueError(
            f"{name} of {input.ndim} axes wants to know along which: write dim=-1 for the last, "
            "where the channels are (PyTorch, not told, takes one of the first two)"
        )
    return -1 if dim is None else dim


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
        If `p` is not in [0, 1].

    References
    ----------
    N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR
    2014, section 4 (where the weights are scaled afterwards instead).
    """
    out = _dropped(input, p, training, tuple(input.shape))
    return becomes(input, out) if inplace else out


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of images (N, H, W, C) (Tompson et al. 2015, section 3.2)."""
    if input.ndim != 4:
        raise ValueError(f"dropout2d wants images (N, H, W, C), got {tuple(input.shape)}")
    out = _dropped(input, p, training, (input.shape[0], 1, 1, input.shape[3]))
    return becomes(input, out) if inplace else out


def _dropped(input: Tensor, p: float, training: bool, shape: tuple[int, ...]) -> Tensor:
    """Zero with probability `p`, as a mask of this shape draws it."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout wants a probability p with 0 <= p <= 1, got {p}")
    if not training or p == 0:
        return input
    data = raw(input)
    kept = random.generator().random(shape, np.float32) >= p
    dtype = data.dtype if data.dtype.kind == "f" else np.dtype(np.float32)
    mask = kept.astype(dtype) * dtype.type(1 / (1 - p) if p < 1 else 0)
    return ops.multiply(input, to_device(mask, device_of(data)))


def stochastic_depth(input: Tensor, p: float, mode: str = "row", training: bool = True) -> Tensor:
    """A residual branch left out with probability `p`, in training only; kept, `1 / (1 - p)` times.

    Parameters
    ----------
    input : (N, ...)
        What a block is about to add to its shortcut.
    p : float
    mode : {"row", "batch"}
        Whether each sample is drawn for by itself, or all together. Draws come from
        `minires.random`, so a seed gives the same ones on every device.
    training : bool
        Without it the input comes back as it is.

    Raises
    ------
    ValueError
        If `p` is not in [0, 1], or the mode is unknown.

    References
    ----------
    G. Huang, Y. Sun, Z. Liu, D. Sedra and K. Weinberger, *Deep networks with stochastic depth*,
    ECCV 2016, arXiv:1603.09382, equation 2 (equation 5 scales in evaluation instead).
    """
    if not 0 <= p <= 1:
        raise ValueError(f"stochastic_depth wants a probability p with 0 <= p <= 1, got {p}")
    if mode not in ("row", "batch"):
        raise ValueError(f'stochastic_depth: mode must be "row" or "batch", got {mode!r}')
    if not training or p == 0:
        return input
    data = raw(input)
    if not data.ndim:
        raise ValueError("stochastic_depth wants (N, ...), got a single number")
    shape = (data.shape[0] if mode == "row" else 1, *(1,) * (data.ndim - 1))
    kept = random.generator().random(shape, np.float32) >= p
    dtype = data.dtype if data.dtype.kind == "f" else np.dtype(np.float32)
    scale = kept.astype(dtype) * dtype.type(1 / (1 - p) if p < 1 else 0)
    return ops.multiply(input, to_device(scale, device_of(data)))


def embedding(input: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of `weight` that integers name: (...) to (..., embedding_dim).

    The same as a linear layer without a bias on one-hot vectors, without the zeros.

    Parameters
    ----------
    input : integers (...)
        From 0 to num_embeddings - 1; those on the host are checked.
    weight : (num_embeddings, embedding_dim)
    padding_idx : int, optional
        A row that gets no gradient; negative ones count from the end.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If the input is not integers.
    """
    count = weight.shape[0]
    array = raw(input)
    array = array if hasattr(array, "dtype") else np.asarray(array)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"embedding wants integers from 0 to {count - 1}, got {array.dtype}")
    if device_of(array) == "cpu":
        if array.size and not 0 <= array.min() <= array.max() < count:
            wrong = array[(array < 0) | (array >= count)].ravel()[0]
            raise ValueError(f"embedding: {wrong} is not among the {count} rows 0 to {count - 1}")
        array = to_device(array.astype(np.int64), device_of(raw(weight)))
    rows: Tensor = weight[array]
    if padding_idx is None:
        return rows
    if not -count <= padding_idx < count:
        raise ValueError(f"embedding: padding_idx {padding_idx} is not among the {count} rows")
    padding = (array == padding_idx % count)[..., None]
    kept: Tensor = ops.where(padding, raw(rows), rows)
    return kept


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Attention: ``softmax(query @ key.T / sqrt(E)) @ value``.

    Parameters
    ----------
    query : (..., L, E)
    key : (..., S, E)
    value : (..., S, Ev)
    attn_mask : (..., L, S), optional
        Of truth values, which are true where a query may look; or numbers added to the scores.
    dropout_p : float
        Applied to the weights whenever it is not 0: it is the caller who knows about training.
    is_causal : bool
        Whether query i sees keys 0 to i only.
    scale : float, optional
        In place of ``1 / sqrt(E)``.

    Returns
    -------
    Tensor (..., L, Ev)
        0 for a query that may look nowhere.

    References
    ----------
    A. Vaswani et al., *Attention is all you need*, 2017, arXiv:1706.03762, equation 1.
    """
    if attn_mask is not None and not is_causal:
        attn_mask = mask = _as_mask(attn_mask, query)
        seen = mask if of_truth_values(mask.dtype) else mask > -math.inf
        blind = seen.sum(axis=-1, keepdims=True) == 0
        if isinstance(blind, Tensor) or blind.any():  # they look everywhere, and take nothing
            attn_mask = seen | blind if seen is mask else ops.where(blind, 0.0, mask)
            weights = attention_weights(query, key, attn_mask, False, scale)
            weights = ops.where(blind, 0.0, weights)
            return ops.matmul(dropout(weights, dropout_p), value)
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return ops.matmul(dropout(weights, dropout_p), value)


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Any = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """How much each query takes of each value: (..., L, E) and (..., S, E) to (..., L, S).

    Each query's weights add up to 1; they are NaN for one that may look nowhere. Arguments are
    those of `scaled_dot_product_attention`.
    """
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"attention wants queries and keys of one length, got {tuple(query.shape)} and "
            f"{tuple(key.shape)}"
        )
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores: Tensor = ops.matmul(query, key.swapaxes(-1, -2)) * factor
    if is_causal:
        if attn_mask is not None:
            raise ValueError("attention wants a mask or is_causal, not both")
        attn_mask = np.tri(query.shape[-2], key.shape[-2], dtype=bool)
    if attn_mask is not None:
        mask = _as_mask(attn_mask, query)
        boolean = of_truth_values(mask.dtype)
        scores = ops.where(mask, scores, -math.inf) if boolean else scores + mask
    return ops.softmax(scores, axis=-1)


def _as_mask(mask: Any, query: Tensor) -> Any:
    """A mask as a Tensor, or as an array that is where the query is."""
    mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
    return to_device(mask, query.device) if isinstance(mask, np.ndarray) else mask


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
    if not isinstance(pad, Sequence):
        raise TypeError(
            f"pad wants pairs (before, after), got {pad!r}: write F.pad(x, (1, 1, 1, 1))"
        )
    order = (2, 1, 3, 0) if input.ndim == 4 else tuple(reversed(range(input.ndim)))
    if len(pad) % 2 or len(pad) > 2 * input.ndim or min(pad, default=0) < 0:
        raise ValueError(
            f"pad wants pairs (before, after), none negative, got {tuple(pad)}: x[:, 1:] crops"
        )
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


all_with_pytorchs_keywords(globals(), "minires.nn.")
