"""What the model answers after some steps: in both modes, on training and validation images.

Reach: validation images that are answered far worse than those of training; training images that
are answered far worse in evaluation mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

import numpy as np

from minires.checks.learning import Course
from minires.checks.places import line_of
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import (
    Clock,
    Setup,
    as_input,
    batches,
    class_labels,
    host,
    kept_model,
    logits,
)
from minires.grad_mode import no_grad


def image_keys(inputs: Any) -> list[bytes]:
    """What each image is known by."""
    return [sha1(np.ascontiguousarray(x).tobytes()).digest() for x in host(inputs)]


@dataclass(frozen=True)
class Accuracy:
    """Right answers, of which images."""

    right: int
    count: int
    keys: set[bytes] = field(repr=False)

    @property
    def share(self) -> float:
        return self.right / max(self.count, 1)


def accuracy(
    model: Any, data: Iterable[tuple[Any, Any]], clock: Clock, training: bool = False
) -> Accuracy | None:
    """Of a model in one mode; None where there was no time for all, or no classes."""
    right = count = 0
    keys: set[bytes] = set()
    for inputs, labels in data:
        found = logits(model, inputs, training)
        keys.update(image_keys(inputs))
        classes = class_labels(labels, found)
        if classes is None:
            return None
        right += int((found.argmax(-1) == classes).sum())
        count += classes.size
        if clock.left <= 0:
            return None
    return Accuracy(right, count, keys) if count else None


def validation_follows(
    course: Course, seen: list[tuple[Any, Any]], train: Accuracy | None, valid: Accuracy | None
) -> Finding:
    """Whether images that were not trained on are answered like those that were."""
    check = "validation follows training"
    if train is None or valid is None or not course.finite:
        return not_checked(check, "there is no accuracy on training and validation data")
    images = sum(course.sizes)
    distinct = len({key for inputs, _ in seen for key in image_keys(inputs)})
    numbers = {"training": train.share, "validation": valid.share}
    text = (
        f"after {len(course.losses)} steps, in evaluation mode {train.share:.0%} of "
        f"{train.count:,} training images and {valid.share:.0%} of {valid.count:,} validation "
        "images are right"
    )
    if images > 6 * distinct or min(train.count, valid.count) < 100:
        return not_checked(check, f"a gap would be overfitting: {text}")
    if train.share - valid.share > 0.4:
        advice = "compare images and labels of both sets, and their transforms"
        return broken(check, text, advice, numbers=numbers)
    return holds(check, text, numbers)


def modes_agree(
    model: Any, seen: list[tuple[Any, Any]], train: Accuracy | None, clock: Clock
) -> Finding:
    """Whether evaluation mode answers training images as training mode does.

    Running statistics may merely trail behind: they are taken anew before any is called broken.
    """
    check = "evaluation answers like training"
    there = None if train is None else accuracy(model, seen, clock, training=True)
    if train is None or there is None:
        return not_checked(check, "there is no accuracy on training images in both modes")
    numbers = {"training mode": there.share, "evaluation mode": train.share}
    text = (
        f"of {there.count:,} training images {there.share:.0%} are right in training mode and "
        f"{train.share:.0%} in evaluation mode"
    )
    if there.share - train.share <= 0.3:
        return holds(check, text, numbers)
    with kept_model(model):
        _take_statistics(model, seen)
        anew = accuracy(model, seen, clock)
    if anew is None or there.share - anew.share <= 0.3:
        return not_checked(check, f"running statistics trail, or there was no time: {text}")
    return broken(
        check,
        f"{text}, {anew.share:.0%} also with statistics that are taken anew: the model computes "
        "something else there",
        "look at what forward does by self.training, and at layers that serve in two places",
        line_of(model),
        numbers,
    )


def _take_statistics(model: Any, data: list[tuple[Any, Any]]) -> None:
    """Let batch norm's running statistics be those of these batches."""
    norms = [m for m in model.modules() if getattr(m, "running_mean", None) is not None]
    before = [m.momentum for m in norms]
    try:
        for number in range(1, 21):
            for norm in norms:
                norm.momentum = max(1 / number, 0.1)
            with no_grad():
                model.train()
                model(as_input(model, data[number % len(data)][0]))
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def evaluation_takes(setup: Setup, clock: Clock) -> bool:
    """Whether there is time to go through the validation data, by what a batch of it takes."""
    total = 0
    timer = Clock(math.inf)
    for inputs, _ in batches(setup.valid):
        if not total:
            timer = Clock(math.inf)
            with no_grad(), kept_model(setup.model):
                setup.model.eval()
                setup.model(as_input(setup.model, inputs))
            first = timer.spent
        total += 1
        if first * total > clock.left / 2:
            return False
    return total > 0
