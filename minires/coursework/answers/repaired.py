"""Rows of set-ups that a student repaired: causes by their names, repairs by what they learn.

The child trains what the student's code left and tells the networks' arrays. What these classify is
computed here, on images that the child never had; nobody's check of a training is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from minires.coursework.answers.compare import Array, Verdict, compare, described, shown

TOLD = ("cause", "before", "after", "reports")
"""What the driver tells of each set-up, in this order."""
REPORTS = 4
"""So many shares the student's `evaluate` gives, each of a part of the probe: all of one class."""
LARGEST = 1e6
"""Of a network's numbers; beyond it a training diverges, even where the largest logit is right."""
NOTHING = "nothing"


@dataclass(frozen=True)
class Tests:
    """What a network of a set-up is tried on; see `question.Repaired`."""

    sizes: list[int]
    norm: bool
    images: Array
    labels: Array
    probe: Array
    probe_labels: Array
    at_least: float
    untrained_below: float


def causes_judged(got: Any, accepted: list[list[str]]) -> Verdict:
    """The share of faults that have one of their names; none where a healthy set-up has a fault."""
    if not isinstance(got, list) or len(got) != len(accepted):
        return Verdict(0.0, f"you returned {described(got)}, wanted are {len(accepted)} causes")
    pairs = list(zip(got, accepted, strict=True))
    texts = [
        f"set-up {i} is healthy, you found {shown(one)}"
        if names == [NOTHING]
        else f"set-up {i} has a fault, and it is not {shown(one)}"
        for i, (one, names) in enumerate(pairs, 1)
        if not is_named(one, names)
    ]
    return Verdict(share_of_row([is_named(*pair) for pair in pairs], accepted), "; ".join(texts))


def is_named(cause: Any, names: list[str]) -> bool:
    """Whether a cause has one of these names."""
    return isinstance(cause, str) and cause in names


def share_of_row(good: list[bool], accepted: list[list[str]]) -> float:
    """What a row is worth: the share of its broken set-ups that are good, if all healthy ones are.

    So nothing is gained by the same answer to all.
    """
    pairs = list(zip(good, accepted, strict=True))
    broken = [one for one, names in pairs if names != [NOTHING]]
    unharmed = all(one for one, names in pairs if names == [NOTHING])
    return sum(broken) / len(broken) if unharmed and broken else 0.0


def shapes(sizes: list[int], norm: bool) -> dict[str, tuple[int, ...]]:
    """A network's arrays by name, in the order in which a driver tells them."""
    found: dict[str, tuple[int, ...]] = {}
    for i, (below, above) in enumerate(pairwise(sizes), 1):
        found |= {f"layer {i}: w": (below, above), f"layer {i}: b": (above,)}
        if norm and i < len(sizes) - 1:
            parts = ("gamma", "beta", "mean", "var")
            found |= {f"batch norm {i}: {part}": (above,) for part in parts}
    return found


def logits(arrays: dict[str, Array], images: Array, sizes: list[int], norm: bool) -> Array:
    """What a network in evaluation mode makes of images."""
    x = images
    for i in range(1, len(sizes)):
        x = x @ arrays[f"layer {i}: w"] + arrays[f"layer {i}: b"]
        if i < len(sizes) - 1:
            if norm:
                gamma, beta, mean, var = (
                    arrays[f"batch norm {i}: {part}"] for part in ("gamma", "beta", "mean", "var")
                )
                x = (x - mean) / np.sqrt(var + 1e-5) * gamma + beta
            x = np.maximum(x, 0)
    return x


def judged(got: Any, accepted: list[list[str]], **tests: Any) -> Verdict:
    """What a row of repaired trainings is worth: see `question.Repaired`."""
    if not isinstance(got, list) or len(got) != len(accepted):
        return Verdict(0.0, f"you returned {described(got)}, wanted are {len(accepted)} trainings")
    found = [
        next(_problems(told, names, Tests(**tests)), "")
        for told, names in zip(got, accepted, strict=True)
    ]
    texts = [
        f"set-up {i}{', which was healthy' if names == [NOTHING] else ''}: {text}"
        for i, (text, names) in enumerate(zip(found, accepted, strict=True), 1)
        if text
    ]
    return Verdict(share_of_row([not text for text in found], accepted), "; ".join(texts))


def _problems(told: Any, names: list[str], tests: Tests) -> Iterator[str]:
    """Why a training does not count as repaired; the first will do."""
    if not isinstance(told, list) or len(told) != len(TOLD):
        yield f"it is {described(told)}, no training"
        return
    cause, before, after, reports = told
    wanted = shapes(tests.sizes, tests.norm)
    for when, values in (("before", before), ("after", after)):
        for problem in _unfit(values, wanted):
            yield f"{problem} {when} the training"
            return
    old, new = (
        {name: value.astype(np.float64) for name, value in zip(wanted, values, strict=True)}
        for values in (before, after)
    )
    begun = _accuracy(old, tests.images, tests.labels, tests)
    if begun > tests.untrained_below:
        yield f"{begun:.0%} of the test images are right before the first step: do not train"
    still = [name for name in wanted if np.array_equal(old[name], new[name])]
    if still:
        yield f"the training does not change {'; '.join(still[:3])}"
    reached = _accuracy(new, tests.images, tests.labels, tests)
    if reached < tests.at_least:
        yield f"after its training {reached:.0%} of the test images are right, not enough"
    images, labels = (np.split(whole, REPORTS) for whole in (tests.probe, tests.probe_labels))
    parts = zip(images, labels, strict=True)
    right = np.array([_accuracy(new, x, y, tests) for x, y in parts])
    if compare(reports, right, 1e-9).text:
        yield f"evaluate gives the shares {shown(reports)}, right are {shown(right.tolist())}"
    if not is_named(cause, names):
        yield "it learns, but a repair counts where the cause is named right"


def _unfit(values: Any, wanted: dict[str, tuple[int, ...]]) -> Iterator[str]:
    """What cannot be run at all."""
    if not isinstance(values, list) or len(values) != len(wanted):
        yield f"the model has {described(values)}, wanted are {len(wanted)} arrays,"
        return
    for (name, shape), value in zip(wanted.items(), values, strict=True):
        if not isinstance(value, np.ndarray) or value.shape != shape:
            yield f"{name} is {described(value)}, wanted is {shape},"
        elif value.dtype.kind != "f" or not np.isfinite(value).all():
            yield f"{name} is not finite"
        elif value.size and abs(value).max() > LARGEST:
            yield f"{name} has run away, to {abs(value).max():.1g},"


def _accuracy(arrays: dict[str, Array], images: Array, labels: Array, tests: Tests) -> float:
    found = logits(arrays, images, tests.sizes, tests.norm).argmax(axis=1) == labels
    return float(found.mean())
