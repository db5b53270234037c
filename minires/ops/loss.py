"""Losses with a fused backward."""

from __future__ import annotations

from minires import kernels
from minires.backend import Array, xp_of
from minires.engine import op
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.ops.activation import softmax


@op
@computed_in_float32(on="cpu and gpu")
def cross_entropy(logits: Array, *, target: Array) -> Array:
    """Each sample's `-sum(target * log(softmax(logits)))`: (..., C) to (...).

    Parameters
    ----------
    logits : (..., C)
    target : (..., C), constant
        The probability of each class, adding up to one: one-hot, or smoothed.

    Returns
    -------
    (...)
        Computed from the logits less their maximum, so that nothing overflows. The gradient is
        `(softmax(logits) - target)` times the upstream one (Bishop 2006, eq. 4.109).
    """
    xp = xp_of(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_total = xp.log(kernels.total(xp.exp(shifted), -1))
    shifted = xp.where(target == 0, 0, shifted)  # a logit of -inf, a class ruled out, times 0
    return log_total - kernels.total(shifted * target, -1)


@cross_entropy.vjp
def cross_entropy_vjp(g: Array, logits: Array, target: Array) -> tuple[Array]:
    return ((softmax(logits, axis=-1) - target) * g.reshape(*g.shape, 1),)
