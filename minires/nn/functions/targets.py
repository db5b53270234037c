"""What losses make of labels and other targets, and how losses of samples become one number."""

from __future__ import annotations

from typing import Any

import numpy as np  # for labels, which are looked at on the host

from minires.backend import Array, device_of, to_device, xp_of
from minires.engine import raw
from minires.grad_mode import is_grad_enabled
from minires.tensors import Tensor


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
    array = as_array(labels)
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


def hot_and_counts(
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
        counts = (hot * class_weights(weight, input)).sum(axis=-1)
    if ignored is not None:
        counts = xp.where(to_device(ignored, device_of(values)), 0, counts)
    return hot, counts.astype(hot.dtype, copy=False)


def probabilities(target: Array, input: Tensor) -> Array:
    """Floating targets, if they are probabilities; looked at on the host, where it is free."""
    if device_of(target) == "cpu" and not (
        (target >= 0).all() and abs(target.sum(axis=-1) - 1).max() < 1e-2
    ):
        raise ValueError(
            f"labels must be integers, got {target.dtype}, or probabilities of the classes, which "
            "add up to 1: these do not"
        )
    return constant(target, input)


def class_weights(weight: Any, input: Tensor) -> Array:
    weights = constant(weight, input)
    if weights.shape != (input.shape[-1],):
        raise ValueError(
            f"weight wants one number for each of {input.shape[-1]} classes, got {weights.shape}"
        )
    return weights


def constant(values: Any, like: Tensor) -> Array:
    """An array of the dtype of `like`, and where it is."""
    return to_device(as_array(values), like.device).astype(like.dtype)


def as_array(values: Any) -> Array:
    """Targets or weights, which are constants: nothing would tell that their gradient is lost."""
    if isinstance(values, Tensor) and values.requires_grad and is_grad_enabled():
        raise ValueError("no gradient goes to targets and weights of this loss: detach() them")
    array = raw(values)
    return array if hasattr(array, "dtype") else np.asarray(array)


def alike(name: str, input: Tensor, target: Any) -> tuple[Tensor, Any]:
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


def reduced(losses: Tensor, reduction: str) -> Tensor:
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


def reduced_over(losses: Tensor, counts: Array, reduction: str) -> Tensor:
    """As `reduced`, but a mean is over what counts."""
    if reduction != "mean":
        return reduced(losses, reduction)
    count = counts.sum()
    if device_of(counts) == "cpu" and not count:
        raise ValueError("every label is ignored, or of a class without weight: there is no mean")
    mean: Tensor = losses.sum() / Tensor(count, dtype=losses.dtype)
    return mean
