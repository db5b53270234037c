"""Normalisation: over the batch, over each sample's last axes, or over groups of its channels."""

from __future__ import annotations

import math
from typing import Any

from minires import ops, writes
from minires.backend import xp_of
from minires.dtypes import widened
from minires.engine import raw
from minires.tensors import Tensor

in_training: Any = ops.batch_norm
"""The operation of a batch norm in training; `distributed.sync_batch_norm` puts another in its
place."""


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
        followed = [r.array for r in (running_mean, running_var) if r is not None]
        running = raw(running_mean), raw(running_var), momentum
        settings: dict[str, Any] = {"running": running} if followed else {}
        out = in_training(input, gamma, beta, eps=eps, **settings)
        for statistic in followed:
            writes.note(statistic)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm outside training wants running_mean and running_var")
        scale = gamma * (1 / (running_var + eps).sqrt())
        out = ops.scale_shift(input, scale, beta - scale * running_mean)
    return out


def layer_norm(
    input: Tensor,
    normalized_shape: int | tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation over the last axes: ``weight * (x - mean) / sqrt(var + eps) + bias``.

    Each sample, and each place in it, has a mean and a biased variance of its own, in training and
    in evaluation alike: nothing depends on the batch.

    Parameters
    ----------
    input : (..., normalized_shape)
    normalized_shape : int or tuple of int
        The axes that are normalised together; an integer means the last one alone.
    weight, bias : normalized_shape, optional
        Gain and bias; 1 and 0 where they are left out.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    Tensor
        Of the input's shape and dtype; float16 is computed in float32 and rounded at the end.

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If the input is not floating.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, *Layer normalization*, 2016, arXiv:1607.06450,
    equations 3 and 4.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"layer_norm wants (..., {wanted}), got {tuple(input.shape)}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"layer_norm wants a {name} of {shape}, got {tuple(tensor.shape)}")
    _check_floating("layer_norm", input)
    out = _standardised(input, tuple(range(-len(shape), 0)), eps)
    return _scaled(out, weight, bias, input)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Group normalisation: each sample's channels in groups, each with its mean and variance.

    With one group it normalises a whole sample; with as many as channels each channel of each
    sample, which is instance normalisation. Nothing depends on the batch.

    Parameters
    ----------
    input : (N, ..., C)
        Channels last.
    num_groups : int
        A divisor of C; a group is C / num_groups neighbouring channels, in all places.
    weight, bias : (C,), optional
        The paper's gamma and beta; 1 and 0 where they are left out.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    Tensor (N, ..., C)
        Of the input's dtype; float16 is computed in float32 and rounded at the end.

    Raises
    ------
    ValueError
        If the channels cannot be divided, or do not fit weight and bias.
    TypeError
        If the input is not floating.

    References
    ----------
    Y. Wu and K. He, *Group normalization*, ECCV 2018, arXiv:1803.08494, equations 1, 2 and 7.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(f"group_norm wants (N, ..., C), got {shape}")
    channels = shape[-1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide {channels} channels")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tuple(tensor.shape) != (channels,):
            raise ValueError(
                f"group_norm wants a {name} of {(channels,)}, got {tuple(tensor.shape)}"
            )
    _check_floating("group_norm", input)
    places = math.prod(shape[1:-1])
    grouped = input.reshape(shape[0], places, num_groups, channels // num_groups)
    out = _standardised(grouped, (1, 3), eps).reshape(shape)
    return _scaled(out, weight, bias, input)


def _standardised(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """Mean 0 and variance 1 over `axes`; float16 comes back as float32."""
    wide: Tensor = widened(x)
    centred = wide - wide.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True)
    return centred / ops.sqrt(variance + eps)


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None, like: Tensor) -> Tensor:
    x = x if weight is None else x * weight
    x = x if bias is None else x + bias
    return x if x.dtype == like.dtype else x.astype(like.dtype)


def _check_floating(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise TypeError(f"{name} wants floating-point numbers, got {x.dtype}")
