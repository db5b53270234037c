"""Rows of set-ups that a student repaired: causes by their names, repairs by what they learn.

The child trains what the student's code left and tells the networks' arrays. What these classify is
computed here, on images that the child never had; nobody's check of a training is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from minires.coursework.answers.compare import Array, Verdict, described, shown

TOLD = ("before", "after", "reports")
"""What the driver tells of each set-up, in this order."""
NOTHING = "nothing"


def causes_judged(got: Any, accepted: list[list[str]]) -> Verdict:
    """The share of faults that have one of their names; none where a healthy set-up has a fault."""
    if not isinstance(got, list) or len(got) != len(accepted):
        return Verdict(0.0, f"you returned {described(got)}, wanted are {len(accepted)} causes")
    right = [type(one) is str and one in names for one, names in zip(got, accepted, strict=True)]
    healthy = [names == [NOTHING] for names in accepted]
    texts = [
        f"set-up {i} is healthy, you found {shown(one)}"
        if well
        else f"set-up {i} has a fault, you found {shown(one)}"
        for i, (one, good, well) in enumerate(zip(got, right, healthy, strict=True), 1)
        if not good
    ]
    return Verdict(share_of_row(right, healthy), "; ".join(texts))


def share_of_row(good: list[bool], healthy: list[bool]) -> float:
    """What a row is worth: the share of its broken set-ups that are good, if all healthy ones are.

    So nothing is gained by the same answer to all.
    """
    broken = [one for one, well in zip(good, healthy, strict=True) if not well]
    unharmed = all(one for one, well in zip(good, healthy, strict=True) if well)
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


def judged(
    got: Any,
    sizes: list[int],
    norm: bool,
    healthy: list[bool],
    images: Array,
    labels: Array,
    probe: Array,
    probe_labels: Array,
    at_least: float,
    untrained_below: float,
) -> Verdict:
    """What a row of repaired trainings is worth: see `question.Repaired`."""
    if not isinstance(got, list) or len(got) != len(healthy):
        return Verdict(0.0, f"you returned {described(got)}, wanted are {len(healthy)} trainings")
    tests = images, labels, probe, probe_labels, at_least, untrained_below
    problems = [next(_problems(one, sizes, norm, *tests), "") for one in got]
    texts = [
        f"set-up {i}{', which was healthy' if well else ''}: {text}"
        for i, (text, well) in enumerate(zip(problems, healthy, strict=True), 1)
        if text
    ]
    return Verdict(share_of_row([not text for text in problems], healthy), "; ".join(texts))


def _problems(
    told: Any,
    sizes: list[int],
    norm: bool,
    images: Array,
    labels: Array,
    probe: Array,
    probe_labels: Array,
    at_least: float,
    untrained_below: float,
) -> Iterator[str]:
    """Why a training is not repaired; the first will do."""
    if isinstance(told, str):
        yield told
        return
    if not isinstance(told, list) or len(told) != len(TOLD):
        yield f"it is {described(told)}, no training"
        return
    wanted = shapes(sizes, norm)
    before, after, reports = told
    for values, when in ((before, "before"), (after, "after")):
        fits = isinstance(values, list) and len(values) == len(wanted)
        if not fits:
            yield f"{when} the training the model is {described(values)}, wanted are {len(wanted)}"
            return
        for (name, shape), value in zip(wanted.items(), values, strict=True):
            if not isinstance(value, np.ndarray) or value.shape != shape:
                yield f"{name} is {described(value)} {when} the training, wanted is {shape}"
                return
            if value.dtype.kind != "f" or not np.isfinite(value).all():
                yield f"{name} is not finite {when} the training"
                return
    old, new = (
        {name: value.astype(np.float64) for name, value in zip(wanted, values, strict=True)}
        for values in (before, after)
    )
    begun = _accuracy(logits(old, images, sizes, norm), labels)
    if begun > untrained_below:
        yield f"before the first step {begun:.0%} of the test images are right: repair, do not train"
    still = [name for name in wanted if np.array_equal(old[name], new[name])]
    if still:
        yield f"the training does not change {'; '.join(still[:3])}"
    reached = _accuracy(logits(new, images, sizes, norm), labels)
    if reached < at_least:
        yield f"after its training {reached:.0%} of the test images are right, not {at_least:.0%}"
    right = _accuracy(logits(new, probe, sizes, norm), probe_labels)
    if not isinstance(reports, list) or len(reports) != 1:
        yield f"evaluate returned {described(reports)}"
    elif not _is_number(reports[0]) or abs(float(reports[0]) - right) > 1e-9:
        yield f"evaluate says that {shown(reports[0])} of some images are right, it is {right:.6g}"


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.shape == () and value.dtype.kind in "biuf"
    return type(value) in (bool, int, float)


def _accuracy(scores: Array, labels: Array) -> float:
    return float((scores.argmax(axis=1) == labels).mean())
