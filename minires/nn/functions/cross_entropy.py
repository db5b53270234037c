"""Cross-entropy and its relatives, with label smoothing and class weights; classes come last."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires import ops
from minires.backend import Array, device_of, xp_of
from minires.dtypes import widened
from minires.engine import raw
from minires.nn.functions.targets import (
    alike,
    as_array,
    class_weights,
    constant,
    hot_and_counts,
    probabilities,
    reduced,
    reduced_over,
)
from minires.tensors import Tensor


def cross_entropy(
    input: Tensor,
    target: Any,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    weight: Any = None,
    ignore_index: int = -100,
) -> Tensor:
    """The negative log-likelihood of the labels under `softmax(input)`.

    Parameters
    ----------
    input : (..., C)
        Logits: no softmax before this.
    target : integers (...), or floating (..., C)
        Class numbers from 0 to C - 1, checked on the host; or the probability of each class.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        How much of each target's weight is spread over all classes (Szegedy et al. 2016, eq. 10
        and 11).
    weight : (C,), optional
        How much each class counts. A mean over labels is then over their weights.
    ignore_index : int
        Labels of this number count nothing, in the mean either.

    Returns
    -------
    Tensor
        ``-sum(weight * target * log_softmax(input))`` of each sample, reduced: one number, or with
        "none" of shape (...). Without weights the gradient with respect to the logits is
        ``softmax(input) - target``, over the number of samples for a mean (Bishop 2006, eq. 4.109).

    Raises
    ------
    ValueError
        If labels are out of range, of a dtype that is not integer, or do not fit the logits, or if
        nothing counts in a mean.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.dtype.kind != "f":
        input = input.astype(np.float32)
    logits = raw(input)
    if logits.ndim == 0:
        raise ValueError("cross_entropy wants logits (..., classes), got a single number")
    given = as_array(target)
    if given.dtype.kind == "f" and given.size and given.shape == logits.shape:
        if ignore_index != -100:
            raise ValueError("ignore_index is for labels: give what shall not count zeros instead")
        hot, counts = probabilities(given, input), None
    else:
        hot, counts = hot_and_counts("cross_entropy", given, input, weight, ignore_index)
    if label_smoothing:
        hot = hot * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
    if weight is None and counts is None and given.dtype.kind != "f":  # each sample counts 1
        return reduced(ops.cross_entropy(input, target=hot), reduction)
    if weight is not None:
        hot = hot * class_weights(weight, input)
    if counts is not None:
        hot = xp_of(hot).where(counts[..., None] == 0, 0, hot)
    losses = _weighted_cross_entropy(input, hot)
    return reduced(losses, reduction) if counts is None else reduced_over(losses, counts, reduction)


def nll_loss(
    input: Tensor,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Minus the labels' entries of `input`, which are log-probabilities, as `log_softmax` gives.

    Parameters
    ----------
    input : (..., C)
    target : integers (...)
    weight, ignore_index, reduction
        As in `cross_entropy`.

    Raises
    ------
    ValueError
        As in `cross_entropy`.
    """
    hot, counts = hot_and_counts("nll_loss", as_array(target), input, weight, ignore_index)
    places = hot.argmax(axis=-1)
    picked = ops.take_along(input, indices=places[..., None], axis=-1).reshape(places.shape)
    if counts is None:
        return reduced(-picked, reduction)
    return reduced_over(-picked * Tensor(counts), counts, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """The cross-entropy of answers yes and no, each by itself, of which `input` has the logits.

    It is that of two classes whose logits are the input and 0, so that nothing overflows.

    Parameters
    ----------
    input : Tensor
        Any shape.
    target : Tensor or array_like
        Of the same shape; the probability of yes, as a rule 0 or 1.
    weight : Tensor or array_like, optional
        How much each answer counts.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor or array_like, optional
        How much yes counts, beside 1 for no.

    Raises
    ------
    ValueError
        If the shapes differ, or the reduction is unknown.
    """
    input, target = alike("binary_cross_entropy_with_logits", input, target)
    yes = constant(target, input)
    no = 1 - yes
    if pos_weight is not None:
        yes = yes * constant(pos_weight, input)
    logits = ops.stack([input, 0 * input], axis=-1)
    losses = _weighted_cross_entropy(logits, xp_of(yes).stack([yes, no], axis=-1))
    if weight is not None:
        losses = losses * Tensor(constant(weight, input))
    return reduced(losses, reduction)


def binary_cross_entropy(
    input: Tensor, target: Any, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The cross-entropy of answers yes and no, each by itself, of which `input` has probabilities.

    Of logits `binary_cross_entropy_with_logits` is more exact: it needs no sigmoid before it.

    Parameters
    ----------
    input : Tensor
        Any shape, from 0 to 1. No logarithm is below -100.
    target : Tensor or array_like
        Of the same shape; the probability of yes, as a rule 0 or 1.
    weight : Tensor or array_like, optional
        How much each answer counts.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ, the reduction is unknown, or (on the host, where looking is free) the
        input is no probability.
    """
    input, target = alike("binary_cross_entropy", input, target)
    x = raw(input)
    if device_of(x) == "cpu" and ((x < 0) | (x > 1)).any():
        raise ValueError(
            "binary_cross_entropy wants probabilities from 0 to 1: put a sigmoid before it, or "
            "give logits to binary_cross_entropy_with_logits"
        )
    wide: Tensor = widened(input)
    losses: Tensor = ops.binary_cross_entropy(wide, target=constant(target, wide))
    if weight is not None:
        losses = losses * Tensor(constant(weight, wide))
    return reduced(losses.astype(input.dtype), reduction)


def kl_div(input: Tensor, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """`target * (log(target) - input)`: the Kullback-Leibler divergence of log-probabilities.

    Parameters
    ----------
    input : Tensor
        Log-probabilities of any shape, as `log_softmax` gives them.
    target : Tensor or array_like
        Probabilities of the same shape.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" divides the sum by the length of the first axis, which is what mathematics
        means; "mean" by the number of elements.
    log_target : bool
        Whether the target's logarithms are given.

    Raises
    ------
    ValueError
        If the shapes differ, or the reduction is unknown.
    """
    input, target = alike("kl_div", input, target)
    given = target if isinstance(target, Tensor) else Tensor(constant(target, input))
    given = given.astype(input.dtype)
    p = given.exp() if log_target else given
    log_p = given if log_target else ops.where(p > 0, p, 1.0).log()
    losses = p * (log_p - input)
    if reduction == "batchmean":
        return losses.sum() / len(losses)
    return reduced(losses, reduction)


def _weighted_cross_entropy(input: Tensor, target: Array) -> Tensor:
    """`-sum(target * log_softmax(input))` where the targets of a sample need not add up to 1."""
    total = target.sum(axis=-1)
    shares = target / xp_of(target).where(total == 0, 1, total)[..., None]
    losses: Tensor = ops.cross_entropy(input, target=shares) * Tensor(total)
    return losses
