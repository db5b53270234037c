"""Losses with a fused backward."""

from __future__ import annotations

from minires import kernels
from minires.backend import Array, xp_of
from minires.engine import op
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.ops.activation import softmax
from minires.ops.arithmetic import clip


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
    return kernels.cross_entropy(logits, target)


@cross_entropy.vjp
def cross_entropy_vjp(g: Array, logits: Array, target: Array) -> tuple[Array]:
    at_once = kernels.cross_entropy_gradient(g, logits, target)
    if at_once is not None:
        return (at_once,)
    return ((softmax(logits, axis=-1) - target) * g.reshape(*g.shape, 1),)


@op
def binary_cross_entropy(x: Array, *, target: Array) -> Array:
    """Each answer's `-(target * log(x) + (1 - target) * log(1 - x))`: (...) to (...).

    Parameters
    ----------
    x : (...)
        The probability of yes.
    target : (...), constant
        The right one, as a rule 0 or 1.

    Returns
    -------
    (...)
        No logarithm is below -100, and no gradient is divided by less than 1e-12, so that a
        probability of 0 or 1 that is wrong costs much and not infinitely much. So does PyTorch.
    """
    xp = xp_of(x)
    yes = xp.where(x > 0, xp.log(xp.where(x > 0, x, 1)), -100)
    no = xp.where(x < 1, xp.log1p(-xp.where(x < 1, x, 0)), -100)
    return -(target * xp.maximum(yes, -100) + (1 - target) * xp.maximum(no, -100))


@binary_cross_entropy.vjp
def binary_cross_entropy_vjp(g: Array, x: Array, target: Array) -> tuple[Array]:
    return (g * (x - target) / clip(x * (1 - x), low=1e-12),)
