"""The running mean and variance of batch norm, which each batch in training moves."""

from __future__ import annotations

from typing import TypeAlias

from minires.backend import Array, xp_of
from minires.kernels.machinery.elementwise_kernel import fused

Running: TypeAlias = tuple[Array | None, Array | None, float]
"""Running mean and variance, and how far they move towards a batch's."""


def move_running_statistics(running: Running, mean: Array, var: Array, count: int) -> None:
    """Move running statistics, in place, towards those of a batch of `count` values a channel.

    They become ``r + momentum * (batch - r)``, the variance by its unbiased estimate.
    """
    mean_so_far, var_so_far, momentum = running
    if mean_so_far is not None:
        _move(mean_so_far, mean, momentum)
    if var_so_far is not None:
        _move(var_so_far, var * (count / (count - 1)), momentum)


def _move(running: Array, batch: Array, momentum: float) -> None:
    kernel = fused(xp_of(running, batch), "B b, T momentum", "T r", "r += momentum * (b - r)")
    if kernel is not None:
        kernel(batch, momentum, running)
    else:
        running += momentum * (batch - running)
