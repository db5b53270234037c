"""One's own evaluation beside ours, after some steps.

Reach: another model, mode, axis or order, and weights or statistics that evaluating changes;
validation images that are answered far worse than those of training.
Not in reach: an evaluation that is wrong by a few percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from minires.checks.trace import any_training
from minires.engine import no_grad


@dataclass(frozen=True)
class Accuracy:
    """Right answers in evaluation mode."""

    right: int
    count: int

    @property
    def share(self) -> float:
        return self.right / max(self.count, 1)


def accuracy(model: Any, data: Iterable[tuple[Any, Any]], clock: Clock) -> Accuracy | None:
    """Of a model in evaluation mode; None where there was no time for all, or no classes."""
    right = count = 0
    for inputs, labels in data:
        found = logits(model, inputs)
        classes = class_labels(labels, found)
        if classes is None:
            return None
        right += int((found.argmax(-1) == classes).sum())
        count += classes.size
        if clock.left <= 0:
            return None
    return Accuracy(right, count) if count else None


def validation_follows(
    setup: Setup, course: Course, seen: list[tuple[Any, Any]], valid: Accuracy | None, clock: Clock
) -> Finding:
    """Whether images that were not trained on are answered like those that were."""
    check = "validation follows training"
    if valid is None or not seen or not course.finite:
        return not_checked(check, "there is no accuracy on validation data")
    train = accuracy(setup.model, seen, clock)
    if train is None:
        return not_checked(check, "there was no time to evaluate training images")
    images = sum(course.sizes)
    distinct = len({np.ascontiguousarray(x).tobytes() for inputs, _ in seen for x in host(inputs)})
    numbers = {"training": train.share, "validation": valid.share}
    text = (
        f"after {len(course.losses)} steps, in evaluation mode {train.share:.0%} of "
        f"{train.count:,} training images and {valid.share:.0%} of {valid.count:,} validation "
        "images are right"
    )
    if images > 6 * distinct or min(train.count, valid.count) < 100:
        return not_checked(check, f"a gap would be overfitting: {text}")
    if train.share - valid.share > 0.4:
        return broken(
            check,
            text,
            "compare images and labels of both sets, and their transforms",
            numbers=numbers,
        )
    return holds(check, text, numbers)


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


def own_evaluation(setup: Setup, ours: Accuracy | None, common: float) -> Iterator[Finding]:
    """`evaluate()` beside our own accuracy of the same model on the same data."""
    names = "evaluation mode", "evaluation counts right", "evaluation changes nothing"
    if setup.evaluate is None:
        yield not_checked(names[1], "the set-up has no evaluate")
        return
    model, line = setup.model, line_of(setup.evaluate)
    modes: list[bool] = []
    handle = model.register_forward_hook(lambda m, a, o: modes.append(any_training(m)))
    before = [host(t).copy() for t in [*model.parameters(), *model.buffers()]]
    try:
        found = setup.evaluate()
    except Exception as error:
        text = f"evaluate raises {type(error).__name__}: {' '.join(str(error).split())}"
        yield broken(names[1], text, "read the message", line)
        return
    finally:
        handle.remove()
    after = [host(t) for t in [*model.parameters(), *model.buffers()]]
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
    if modes and any(modes):
        yield broken(
            names[0],
            f"evaluate runs the model in training mode ({sum(modes)} of {len(modes)} forwards)",
            "call model.eval() first, and model.train() afterwards",
            line,
            {"forwards": len(modes), "in training mode": sum(modes)},
        )
    elif modes:
        yield holds(names[0], f"all {len(modes)} forwards are in evaluation mode")
    else:
        yield not_checked(names[0], "evaluate never runs this model")
    yield counts_right(names[1], found, ours, common, bool(modes), line)
    if same:
        yield holds(names[2], "weights and statistics stay as they were")
    else:
        yield broken(
            names[2],
            "evaluate changes the model's weights or statistics",
            "call model.eval() first; batch norm's statistics move in training mode",
            line,
        )


def counts_right(
    check: str, found: Any, ours: Accuracy | None, common: float, ran: bool, line: str
) -> Finding:
    """The accuracy that `evaluate` gives against ours."""
    try:
        value = float(host(found).item())
    except (TypeError, ValueError):
        return not_checked(check, f"evaluate gives a {type(found).__name__}, not a number")
    if ours is None:
        return not_checked(check, "there is no accuracy of ours beside it")
    percent = 1.0 < value <= 100.0
    share = value / 100 if percent else value
    said = f"{value:g} (taken as percent)" if percent else f"{share:.1%}"
    numbers = {"evaluate": share, "ours": ours.share}
    text = f"evaluate says {said}; the model is right for {ours.share:.1%} of {ours.count:,}"
    if not 0 <= share <= 1:
        return not_checked(check, f"evaluate gives {value:g}, which is no accuracy")
    apart = abs(share - ours.share)
    noise = 4 * math.sqrt(max(ours.share * (1 - ours.share), 0.01) / ours.count)
    if apart > max(0.08, noise):
        other = "" if ran else "; it never runs this model"
        return broken(
            check,
            text + other,
            "look at which model, which axis of argmax, and which labels it compares",
            line,
            numbers,
        )
    if ours.share < common + 0.15:
        return not_checked(
            check, f"the model is hardly better than guessing, so that the two must agree: {text}"
        )
    return holds(check, text, numbers)
