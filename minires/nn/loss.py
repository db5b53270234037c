"""Losses as layers."""

from __future__ import annotations

from typing import Any

from minires.nn import functional as F
from minires.nn.module import Module
from minires.tensors import Tensor


class _Loss(Module):
    """What losses have in common."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction


class _Weighted(Module):
    """A loss whose weights are buffers, which move and are saved with it."""

    def __init__(self, **weights: Any) -> None:
        super().__init__()
        for name, weight in weights.items():
            value = weight if weight is None or isinstance(weight, Tensor) else Tensor(weight)
            self.register_buffer(name, value)


class CrossEntropyLoss(_Weighted):
    """Cross-entropy of logits (..., C) and labels, averaged by default.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        How much of each target's weight is spread over all classes.
    weight : (C,), optional
        How much each class counts.
    ignore_index : int
        Labels of this number count nothing.

    See Also
    --------
    minires.nn.functional.cross_entropy : what labels may be.
    """

    def __init__(
        self,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        weight: Any = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(weight=weight)
        self.reduction, self.label_smoothing = reduction, label_smoothing
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Logits and labels to the loss."""
        return F.cross_entropy(
            input,
            target,
            self.reduction,
            self.label_smoothing,
            weight=self.weight,
            ignore_index=self.ignore_index,
        )


class NLLLoss(_Weighted):
    """Minus the labels' log-probabilities, of which the input (..., C) is made.

    Parameters
    ----------
    weight : (C,), optional
    ignore_index : int
    reduction : {"mean", "sum", "none"}
        All as in `CrossEntropyLoss`.
    """

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight=weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Log-probabilities and labels to the loss."""
        return F.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class BCEWithLogitsLoss(_Weighted):
    """Cross-entropy of answers yes and no, each by itself, given as logits.

    Parameters
    ----------
    weight : array_like, optional
        How much each answer counts.
    reduction : {"mean", "sum", "none"}
    pos_weight : array_like, optional
        How much yes counts, beside 1 for no.
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(weight=weight, pos_weight=pos_weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Logits and probabilities of one shape to the loss."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class BCELoss(_Weighted):
    """Cross-entropy of answers yes and no, each by itself, given as probabilities.

    Parameters
    ----------
    weight : array_like, optional
        How much each answer counts.
    reduction : {"mean", "sum", "none"}

    See Also
    --------
    BCEWithLogitsLoss : of logits, which is more exact.
    """

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(weight=weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Two tensors of probabilities, of one shape, to the loss."""
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of log-probabilities from probabilities.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
    log_target : bool
        Whether the target's logarithms are given.

    See Also
    --------
    minires.nn.functional.kl_div : what is computed.
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Log-probabilities and probabilities of one shape to the loss."""
        return F.kl_div(input, target, self.reduction, self.log_target)


class MSELoss(_Loss):
    """The squared difference of two tensors of one shape, averaged by default.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Two tensors of one shape to the loss."""
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """The absolute difference of two tensors of one shape, averaged by default.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Two tensors of one shape to the loss."""
        return F.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """The squared difference where it is small, else the absolute one, averaged by default.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    beta : float
        Where the one becomes the other.
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Two tensors of one shape to the loss."""
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)
