"""The loss on outputs of its own choice: values, gradients, and where free logits descend to."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from minires.checks.setup import Array, Clock, class_labels, host, taken
from minires.grad_mode import enable_grad
from minires.tensors import Tensor

DESCENT = 300  # steps of free logits


class FreeLogits:
    """A loss, tried with one's own labels at outputs that no network has made.

    Parameters
    ----------
    loss : callable
    labels : a batch's, as the loop gets them
    outputs : (N, ..., C)
        The network's for that batch: their kind and size are what the loss is tried at.
    seed : int
    clock : Clock, optional
        When it is over, a descent is given up (TimeoutError).
    """

    def __init__(
        self,
        loss: Callable[[Any, Any], Any],
        labels: Any,
        outputs: Array,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock(math.inf)
        self.loss, self.labels, self.shape = loss, labels, outputs.shape
        self.draw = np.random.default_rng(seed)
        self.classes = class_labels(labels, outputs)
        self.size = float(np.abs(outputs).max()) if np.isfinite(outputs).all() else math.inf
        self.log_probabilities = is_log_probabilities(outputs)
        self.probabilities = is_probabilities(outputs)

    def normal(self, deviation: float) -> Array:
        """Random logits."""
        return np.asarray(self.draw.normal(0, deviation, self.shape))

    def made(self, values: Array) -> Array:
        """Free logits as what the network gives: as they are, or as (log-)probabilities."""
        if self.log_probabilities:
            return log_softmax(values)
        return np.exp(log_softmax(values)) if self.probabilities else values

    def gradient(self, values: Array, labels: Any = None) -> tuple[float, Array]:
        """The loss at these outputs and its gradient with respect to them."""
        given = Tensor(values.astype(np.float32), requires_grad=True)
        with enable_grad(), np.errstate(all="ignore"):
            value = self.loss(given, self.labels if labels is None else labels)
            value.backward()
        gradient = given.grad
        zero = np.zeros(self.shape)
        return value.item(), zero if gradient is None else host(gradient).astype(np.float64)

    def value(self, values: Array, labels: Any = None) -> float:
        """The loss at these outputs."""
        labels = self.labels if labels is None else labels
        with np.errstate(all="ignore"):
            return float(host(self.loss(Tensor(values.astype(np.float32)), labels)))

    @property
    def along(self) -> Array:
        """1 at the label, 0 elsewhere, less the row's mean."""
        hot = np.eye(self.shape[-1])[self.classes]
        result: Array = hot - hot.mean(-1, keepdims=True)
        return result

    @cached_property
    def shift_invariant(self) -> bool:
        """Whether the loss stays the same if all logits of a row rise alike: softmax is inside."""
        draw = np.random.default_rng(1)
        values = np.asarray(draw.normal(0, 1, self.shape))
        shift = np.asarray(draw.normal(0, 3, (*self.shape[:-1], 1)))
        one, other = self.value(values), self.value(values + shift)
        scaled = self.value(3 * values)
        return abs(one - other) < 1e-3 * (abs(one) + 1e-9) and abs(scaled - one) > 1e-4 * abs(one)

    @cached_property
    def descended(self) -> Descent:
        """Where free logits go; by Adam, so that the scale of the loss does not matter."""
        free, moments = self.normal(0.1), np.zeros((2, *self.shape))
        start, first = self.gradient(free)
        live = np.zeros(self.shape, bool)
        for t in range(1, DESCENT + 1):
            if self.clock.left <= 0:
                raise TimeoutError(self.clock.over)
            gradient = self.gradient(free)[1]
            if not np.isfinite(gradient).all():
                break
            live |= gradient != 0
            moments[0] += 0.1 * (gradient - moments[0])
            moments[1] += 0.01 * (gradient**2 - moments[1])
            mean, square = moments[0] / (1 - 0.9**t), moments[1] / (1 - 0.99**t)
            free -= 0.05 * mean / (np.sqrt(square) + 1e-12)
        return Descent(start, first, free, self.value(free), np.asarray(live.any(-1)))

    def room(self, low: float, high: float) -> tuple[float, float]:
        """The least loss of outputs in these bounds, and what part of the way down it lacks."""
        went = self.descended
        least = self.value(np.clip(went.values, low, high))
        fall = went.start - went.end
        return least, (least - went.end) / fall if fall > 0 else math.nan


class Descent:
    """The end of a descent.

    Attributes
    ----------
    start, end : float
        The loss.
    first : (N, ..., C) array
        The gradient at the start.
    values : (N, ..., C) array
        The free logits at the end.
    live : (N, ...) array of bool
        Which rows ever had a gradient.
    """

    def __init__(self, start: float, first: Array, values: Array, end: float, live: Array) -> None:
        self.start, self.first, self.values, self.end, self.live = start, first, values, end, live


def is_probabilities(outputs: Array) -> bool:
    """Whether rows are not negative and sum to 1."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2 or not np.isfinite(outputs).all():
        return False
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(-1), 1, atol=2e-3))


def is_log_probabilities(outputs: Array) -> bool:
    """Whether rows are logarithms of such."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2 or not np.isfinite(outputs).all():
        return False
    return bool((outputs <= 1e-6).all() and np.allclose(np.exp(outputs).sum(-1), 1, atol=2e-3))


def log_softmax(values: Array) -> Array:
    """Of the last axis, in float64."""
    values = values - values.max(-1, keepdims=True)
    result: Array = values - np.log(np.exp(values).sum(-1, keepdims=True))
    return result


def mixes_samples(free: FreeLogits) -> str:
    """That a sample's output is not held against its own label, or "".

    A loss that takes samples one by one changes when the labels change places, and when all logits
    of a class rise alike.
    """
    values = free.made(free.normal(1.0))
    targets = host(free.labels)
    if free.classes is None and not (free.probabilities or free.log_probabilities):
        values = values * float(targets.std()) + float(targets.mean())  # so that they cross
    rows, value = len(values), free.value(values)
    size = 1e-5 * (abs(value) + 1e-9)
    orders = [np.roll(np.arange(rows), n) for n in (1, rows // 2)]
    if rows > 3 and all(
        abs(free.value(values, taken(free.labels, order)) - value) < size for order in orders
    ):
        one = taken(free.labels, np.full(rows, int(targets.reshape(rows, -1)[:, 0].argmax())))
        if abs(free.value(values, one) - value) > 100 * size:
            return (
                f"the loss stays {value:.4g} when the labels change places: outputs of shape "
                f"{free.shape} and labels {targets.shape} are held each against all"
            )
    if free.classes is not None and values.ndim == 2 and values.shape[1] > 2:
        rises = free.draw.normal(0, 3, (2, *values.shape[1:], 1))
        column = free.value(values + rises[0].T)
        row = free.value(values + free.draw.normal(0, 3, (rows, 1)))
        if abs(column - value) < size < 1e-2 * abs(row - value):
            return (
                "the loss stays the same when all logits of a class rise alike, and not when all "
                "of an image do: its softmax runs over the batch"
            )
    return ""
