"""Losses as functions, which `functional` has too. Classes are the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np  # for labels, which are looked at on the host

from minires import ops
from minires.backend import Array, device_of, to_device, xp_of
from minires.dtypes import widened
from minires.engine import raw
from minires.grad_mode import is_grad_enabled
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
    given = _as_array(target)
    if given.dtype.kind == "f" and given.size and given.shape == logits.shape:
        if ignore_index != -100:
            raise ValueError("ignore_index is for labels: give what shall not count zeros instead")
        hot, counts = _probabilities(given, input), None
    else:
        hot, counts = _hot_and_counts("cross_entropy", given, input, weight, ignore_index)
    if label_smoothing:
        hot = hot * (1 - label_smoothing) + label_smoothing / logits.shape[-1]
    if weight is None and counts is None and given.dtype.kind != "f":  # each sample counts 1
        return _reduce(ops.cross_entropy(input, target=hot), reduction)
    if weight is not None:
        hot = hot * _class_weights(weight, input)
    if counts is not None:
        hot = xp_of(hot).where(counts[..., None] == 0, 0, hot)
    losses = _weighted_cross_entropy(input, hot)
    return _reduce(losses, reduction) if counts is None else _reduce_over(losses, counts, reduction)


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
    hot, counts = _hot_and_counts("nll_loss", _as_array(target), input, weight, ignore_index)
    places = hot.argmax(axis=-1)
    picked = ops.take_along(input, indices=places[..., None], axis=-1).reshape(places.shape)
    if counts is None:
        return _reduce(-picked, reduction)
    return _reduce_over(-picked * Tensor(counts), counts, reduction)


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
    input, target = _alike("binary_cross_entropy_with_logits", input, target)
    yes = _constant(target, input)
    no = 1 - yes
    if pos_weight is not None:
        yes = yes * _constant(pos_weight, input)
    logits = ops.stack([input, 0 * input], axis=-1)
    losses = _weighted_cross_entropy(logits, xp_of(yes).stack([yes, no], axis=-1))
    if weight is not None:
        losses = losses * Tensor(_constant(weight, input))
    return _reduce(losses, reduction)


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
    input, target = _alike("binary_cross_entropy", input, target)
    x = raw(input)
    if device_of(x) == "cpu" and ((x < 0) | (x > 1)).any():
        raise ValueError(
            "binary_cross_entropy wants probabilities from 0 to 1: put a sigmoid before it, or "
            "give logits to binary_cross_entropy_with_logits"
        )
    wide: Tensor = widened(input)
    losses: Tensor = ops.binary_cross_entropy(wide, target=_constant(target, wide))
    if weight is not None:
        losses = losses * Tensor(_constant(weight, wide))
    return _reduce(losses.astype(input.dtype), reduction)


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
    input, target = _alike("kl_div", input, target)
    given = target if isinstance(target, Tensor) else Tensor(_constant(target, input))
    given = given.astype(input.dtype)
    p = given.exp() if log_target else given
    log_p = given if log_target else ops.where(p > 0, p, 1.0).log()
    losses = p * (log_p - input)
    if reduction == "batchmean":
        return losses.sum() / len(losses)
    return _reduce(losses, reduction)


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
    input, target = _alike("mse_loss", input, target)
    difference = input - target
    return _reduce(difference * difference, reduction)


def l1_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """The absolute difference; arguments and errors are `mse_loss`'s."""
    input, target = _alike("l1_loss", input, target)
    return _reduce((input - target).abs(), reduction)


def smooth_l1_loss(
    input: Tensor, target: Any, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """`d * d / (2 * beta)` where the absolute difference d is below `beta`, else `d - beta / 2`.

    Other arguments and errors are `mse_loss`'s (Girshick 2015, eq. 3, where beta is 1).
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss wants a beta of at least 0, got {beta}")
    input, target = _alike("smooth_l1_loss", input, target)
    far = (input - target).abs()
    if beta:
        far = ops.where(far < beta, far * far / (2 * beta), far - beta / 2)
    return _reduce(far, reduction)


def one_hot(labels: Any, num_classes: int = -1, like: Array | None = None) -> Any:
    """(...) integers to (..., num_classes) zeros and ones.

    Parameters
    ----------
    labels : integers (...)
    num_classes : int
        By default one more than the largest label.
    like : array, optional
        For an array of its dtype and in its place; by default the result is a Tensor of int64.

    Raises
    ------
    ValueError
        If labels are not integers, or (on the host, where looking is free) out of range.
    """
    array = _as_array(labels)
    if array.size and array.dtype.kind not in "iu":  # no labels, [], have no kind
        raise ValueError(
            f"labels must be integers, got {array.dtype}: class numbers from 0 to "
            f"{num_classes - 1 if num_classes > 0 else 'the number of classes less 1'}"
        )
    if num_classes == -1:
        num_classes = int(array.max(initial=-1)) + 1
    if device_of(array) == "cpu":
        if array.size and not 0 <= array.min() <= array.max() < num_classes:
            wrong = array[(array < 0) | (array >= num_classes)].ravel()[0]
            raise ValueError(
                f"label {wrong} is out of range: {num_classes} classes are numbered 0 to "
                f"{num_classes - 1}"
            )
        array = np.asarray(array, order="C")
    if like is not None:
        array = to_device(array, device_of(like))
    classes = to_device(np.arange(num_classes), device_of(array))
    hot = array[..., None] == classes
    return Tensor(hot.astype(np.int64)) if like is None else hot.astype(like.dtype)


def _hot_and_counts(
    name: str, labels: Array, input: Tensor, weight: Any, ignore_index: int
) -> tuple[Array, Array | None]:
    """The labels one-hot, and how much each sample counts; None where all count 1."""
    values = raw(input)
    ignored = None
    if labels.dtype.kind in "iu":
        ignored = labels == ignore_index
        if device_of(labels) == "cpu" and not ignored.any():
            ignored = None
        else:
            labels = xp_of(labels).where(ignored, 0, labels)
    hot = one_hot(labels, values.shape[-1], like=values)
    if hot.shape != values.shape:
        first = hot.ndim > 2 and hot.shape[:-1] == (values.shape[0], *values.shape[2:])
        hint = ". Classes are the last axis here, not the second" if first else ""
        raise ValueError(
            f"{name} wants labels of shape {values.shape[:-1]} for logits of shape "
            f"{values.shape}, got {hot.shape[:-1]}{hint}"
        )
    if weight is None and ignored is None:
        return hot, None
    xp = xp_of(values)
    counts = xp.ones(hot.shape[:-1], hot.dtype)
    if weight is not None:
        counts = (hot * _class_weights(weight, input)).sum(axis=-1)
    if ignored is not None:
        counts = xp.where(to_device(ignored, device_of(values)), 0, counts)
    return hot, counts.astype(hot.dtype, copy=False)


def _probabilities(target: Array, input: Tensor) -> Array:
    """Floating targets, if they are probabilities; looked at on the host, where it is free."""
    if device_of(target) == "cpu" and not (
        (target >= 0).all() and abs(target.sum(axis=-1) - 1).max() < 1e-2
    ):
        raise ValueError(
            f"labels must be integers, got {target.dtype}, or probabilities of the classes, which "
            "add up to 1: these do not"
        )
    return _constant(target, input)


def _weighted_cross_entropy(input: Tensor, target: Array) -> Tensor:
    """`-sum(target * log_softmax(input))` where the targets of a sample need not add up to 1."""
    total = target.sum(axis=-1)
    shares = target / xp_of(target).where(total == 0, 1, total)[..., None]
    losses: Tensor = ops.cross_entropy(input, target=shares) * Tensor(total)
    return losses


def _class_weights(weight: Any, input: Tensor) -> Array:
    weights = _constant(weight, input)
    if weights.shape != (input.shape[-1],):
        raise ValueError(
            f"weight wants one number for each of {input.shape[-1]} classes, got {weights.shape}"
        )
    return weights


def _constant(values: Any, like: Tensor) -> Array:
    """An array of the dtype of `like`, and where it is."""
    return to_device(_as_array(values), like.device).astype(like.dtype)


def _as_array(values: Any) -> Array:
    """Targets or weights, which are constants: nothing would tell that their gradient is lost."""
    if isinstance(values, Tensor) and values.requires_grad and is_grad_enabled():
        raise ValueError("no gradient goes to targets and weights of this loss: detach() them")
    array = raw(values)
    return array if hasattr(array, "dtype") else np.asarray(array)


def _alike(name: str, input: Tensor, target: Any) -> tuple[Tensor, Any]:
    """The input as a floating tensor, and the target, if it is of its shape."""
    if input.dtype.kind != "f":
        input = input.astype(np.float32)
    if not hasattr(target, "shape"):
        target = Tensor(target, dtype=input.dtype, device=input.device)
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{name} wants a target of shape {tuple(input.shape)}, got {tuple(target.shape)}"
        )
    return input, target


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if not isinstance(reduction, str):
        raise TypeError(
            f"reduction must be a text, got {type(reduction).__name__}: other arguments, such as "
            "weight=, are given by name"
        )
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')


def _reduce_over(losses: Tensor, counts: Array, reduction: str) -> Tensor:
    """As `_reduce`, but a mean is over what counts."""
    if reduction != "mean":
        return _reduce(losses, reduction)
    count = counts.sum()
    if device_of(counts) == "cpu" and not count:
        raise ValueError("every label is ignored, or of a class without weight: there is no mean")
    mean: Tensor = losses.sum() / Tensor(count, dtype=losses.dtype)
    return mean
