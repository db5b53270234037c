"""Batch normalisation: by the batch's statistics in training, by the running ones otherwise."""

from __future__ import annotations

from typing import Any

from minires import ops, writes
from minires.backend import xp_of
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
