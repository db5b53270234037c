"""Losses of differences between numbers."""

from __future__ import annotations

from typing import Any

from minires import ops
from minires.nn.functions.targets import alike, reduced
from minires.tensors import Tensor


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The squared difference, averaged over all elements by default.

    Parameters
    ----------
    input : Tensor
        Any shape.
    target : Tensor or array_like
        Of the same shape; nothing is stretched, which would hide a mistake.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor
        One number, or with "none" of the input's shape.

    Raises
    ------
    ValueError
        If the shapes differ, or the reduction is unknown.
    """
    input, target = alike("mse_loss", input, target)
    difference = input - target
    return reduced(difference * difference, reduction)


def l1_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The absolute difference; arguments and errors are `mse_loss`'s."""
    input, target = alike("l1_loss", input, target)
    return reduced((input - target).abs(), reduction)


def smooth_l1_loss(
    input: Tensor, target: Any, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """`d * d / (2 * beta)` where the absolute difference d is below `beta`, else `d - beta / 2`.

    Other arguments and errors are `mse_loss`'s (Girshick 2015, eq. 3, where beta is 1).
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss wants a beta of at least 0, got {beta}")
    input, target = alike("smooth_l1_loss", input, target)
    far = (input - target).abs()
    if beta:
        far = ops.where(far < beta, far * far / (2 * beta), far - beta / 2)
    return reduced(far, reduction)
