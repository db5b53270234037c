"""Data that the trainings are made of, and how models are judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from outside.measure import accuracy_on
from outside.setups import Arrays, Batches, parts, standard

from minires import Tensor, no_grad
from minires.nn.modes import evaluating

Prepare = Callable[[np.ndarray, str], np.ndarray]


def images(name: str = "digits", prepare: Prepare = standard) -> tuple[Any, Any, Any, Any]:
    """Training inputs and labels, validation inputs and labels."""
    known = parts(name)
    (inputs, labels), (others, truth) = known.train, known.valid
    return prepare(inputs, name), labels.copy(), prepare(others, name), truth.copy()


def batches(inputs: Any, labels: Any, size: int = 32, shuffle: bool = True, change: Any = None):
    """Batches of two arrays, mixed anew for each epoch."""
    return Batches(lambda: (inputs, labels), size, shuffle, change)


def accuracy_of(name: str, prepare: Prepare = standard) -> Callable[[Any], float]:
    """A judge: the share of right answers on images that no set-up has."""

    def judge(model: Any) -> float:
        inputs, labels = parts(name).clean
        return accuracy_on(model, (prepare(inputs, name), labels))

    return judge


def answers(model: Any, inputs: np.ndarray) -> np.ndarray:
    """What a model says in evaluation mode, as an array."""
    with evaluating(model), no_grad():
        return np.concatenate(
            [model(Tensor(inputs[i : i + 250])).numpy() for i in range(0, len(inputs), 250)]
        )


# --- toy data: three parts each ----------------------------------------------------------------


def in_parts(inputs: np.ndarray, labels: np.ndarray) -> tuple[Arrays, Arrays, Arrays]:
    """Two thirds to train on, a sixth to validate with, a sixth for the judge."""
    cuts = [2 * len(labels) // 3, 5 * len(labels) // 6]
    first, second, third = zip(np.split(inputs, cuts), np.split(labels, cuts), strict=True)
    return first, second, third


@cache
def circles() -> tuple[Arrays, Arrays, Arrays]:
    """Two classes, one around the other: (900, 2)."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 900)
    angle = rng.uniform(0, 2 * np.pi, 900)
    radius = 0.6 + 0.9 * labels + rng.normal(0, 0.12, 900)
    inputs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return in_parts(inputs.astype(np.float32), labels)


@cache
def spirals() -> tuple[Arrays, Arrays, Arrays]:
    """Three arms of a spiral: (1200, 2)."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 1200)
    radius = rng.uniform(0.2, 1, 1200)
    angle = 2 * np.pi * labels / 3 + 4 * radius + rng.normal(0, 0.12, 1200)
    inputs = 2 * np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return in_parts(inputs.astype(np.float32), labels)


@cache
def flats() -> tuple[Arrays, Arrays, Arrays]:
    """Rooms, square metres, age in days and distance in metres of flats, and their price."""
    rng = np.random.default_rng(5)
    rooms = rng.integers(1, 7, 1500)
    area = rooms * rng.normal(22, 4, 1500)
    age = rng.uniform(0, 30000, 1500)
    far = rng.gamma(2, 3000, 1500)
    price = 2500 * area * np.exp(-far / 20000) * (1 - age / 90000) + rng.normal(0, 6000, 1500)
    inputs = np.stack([rooms, area, age, far], 1)
    return in_parts(inputs.astype(np.float32), (price / 1000).astype(np.float32))


@cache
def rare() -> tuple[Arrays, Arrays, Arrays]:
    """One in twelve is positive, and not easily told from the rest: (3000, 6)."""
    rng = np.random.default_rng(6)
    labels = (rng.uniform(size=3000) < 1 / 12).astype(np.float32)
    inputs = rng.normal(size=(3000, 6)) + 1.1 * labels[:, None] * [1, 1, 1, 0, 0, 0]
    return in_parts(inputs.astype(np.float32), labels)


@cache
def sums() -> tuple[Arrays, Arrays, Arrays]:
    """Sequences of 3 to 10 numbers, padded to 10 with 0 and then a mask; the class is 3 ranges
    of their mean: (1500, 10, 2)."""
    rng = np.random.default_rng(8)
    lengths = rng.integers(3, 11, 1500)
    mask = np.arange(10) < lengths[:, None]
    level = rng.normal(size=1500)
    values = (level[:, None] + rng.normal(0, 0.7, (1500, 10))) * mask
    labels = np.digitize(values.sum(1) / lengths, [-0.45, 0.45])
    return in_parts(np.stack([values, mask], 2).astype(np.float32), labels)


@cache
def attributes() -> tuple[Arrays, Arrays, Arrays]:
    """Digits and four properties: even, above four, prime, with a closed loop."""
    table = np.array(
        [[d % 2 == 0, d > 4, d in (2, 3, 5, 7), d in (0, 4, 6, 8, 9)] for d in range(10)]
    ).astype(np.float32)
    known = parts("digits")
    found = [(standard(x, "digits"), table[y]) for x, y in (known.train, known.valid, known.clean)]
    return found[0], found[1], found[2]


def r_squared(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The share of the variance that is explained, not below 0."""
    error = np.square(predicted.reshape(truth.shape) - truth).mean()
    found = 1 - float(error) / float(truth.var())
    return max(found, 0.0) if np.isfinite(found) else 0.0


def balanced(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The mean over the classes of the share of right answers."""
    return float(np.mean([(predicted == truth)[truth == c].mean() for c in np.unique(truth)]))


def judged_by(
    toy: Callable[[], tuple[Arrays, Arrays, Arrays]],
    score: Callable[[np.ndarray, np.ndarray], float],
) -> Callable[[Any], float]:
    """A judge of models of toy data, by a function of their answers and the truth."""

    def judge(model: Any) -> float:
        inputs, truth = toy()[2]
        return score(answers(model, inputs), truth)

    return judge


def most_likely(said: np.ndarray, truth: np.ndarray) -> float:
    """Accuracy of class scores."""
    return float((said.argmax(-1) == truth).mean())


CIRCLES = judged_by(circles, most_likely)
SPIRALS = judged_by(spirals, most_likely)
