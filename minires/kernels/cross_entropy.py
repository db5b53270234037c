"""Cross-entropy of logits with the probabilities of their classes, which are the last axis."""

from __future__ import annotations

from minires.backend import Array, xp_of
from minires.kernels.cuda import cross_entropy as cuda_cross_entropy
from minires.kernels.cuda import fits
from minires.kernels.reduction import total


def cross_entropy(logits: Array, target: Array) -> Array:
    """``-sum(target * log(softmax(logits)))``: two (..., C) arrays to (...).

    The logits' maximum is subtracted first, so that nothing overflows.
    """
    if fits(logits, target):
        return cuda_cross_entropy.cross_entropy(logits, target)
    xp = xp_of(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_total = xp.log(total(xp.exp(shifted), -1))
    shifted = xp.where(target == 0, 0, shifted)  # a logit of -inf, a class ruled out, times 0
    loss: Array = log_total - total(shifted * target, -1)
    return loss


def cross_entropy_gradient(g: Array, logits: Array, target: Array) -> Array | None:
    """``(softmax(logits) - target) * g``, for g (...), in one launch; None where that cannot be."""
    return cuda_cross_entropy.gradient(g, logits, target) if fits(g, logits, target) else None
