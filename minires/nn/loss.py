"""Losses as layers."""

from __future__ import annotations

from typing import Any

from minires.nn import functional as F
from minires.nn.module import Module
from minires.tensors import Tensor


class CrossEntropyLoss(Module):
    """Cross-entropy of logits (..., C) and integer labels (...), averaged by default.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        How much of each target's weight is spread over all classes.
    """

    def __init__(self, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Logits and labels to the loss."""
        return F.cross_entropy(input, target, self.reduction, self.label_smoothing)


class MSELoss(Module):
    """The squared difference of two tensors of one shape, averaged by default.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Two tensors of one shape to the loss."""
        return F.mse_loss(input, target, self.reduction)
