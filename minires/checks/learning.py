"""What one's own steps achieve: on one batch, and over the training data.

Reach: that a training does not learn, with the measured numbers, whatever the cause.
Not in reach: the cause; what shows after more steps than there was time for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import (
    Array,
    Clock,
    Setup,
    batches,
    class_labels,
    host,
    logits,
    sliced,
    textbook_step,
)
from minires.grad_mode import no_grad
from minires.tensors import Tensor

FEW = 32  # images of the one batch
STEPS = 120  # at most, on one batch
ENOUGH = 40  # steps before anything is called not learnt
LEARNT = 0.9
LEARNS, BY_HEART = "training gets better than guessing", "learns one batch"
SYMPTOMS = {LEARNS, BY_HEART}


@dataclass
class Course:
    """How some steps went.

    Attributes
    ----------
    losses : list of float
    right : list of float
        The share of the step's images that the model answered right, where labels are classes.
    sizes : list of int
    rates : list of float
        The largest of the groups, before each step.
    raised : str
        What stopped the steps, if anything did.
    """

    losses: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    raised: str = ""

    @property
    def waits(self) -> str:
        """Why nothing may be learnt yet: the rate is still on its way up."""
        if not self.rates or self.rates[-1] < max(self.rates):
            return ""
        rises = self.rates[-1] > 1.01 * self.rates[0] or not any(self.rates)
        return f"the rate still rises, from {self.rates[0]:.3g} to {self.rates[-1]:.3g}" * rises

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, self.losses))

    @property
    def learnt(self) -> bool:
        """Whether the last steps' answers are right, or the loss is a small part of the first."""
        if not self.losses or not self.finite:
            return False
        if self.right:
            return float(np.mean(self.right[-3:])) >= LEARNT
        return bool(self.losses[-1] < 0.3 * self.losses[0])

    def end(self, part: float = 0.2) -> tuple[float, float]:
        """Mean loss and share of right answers of the last part of the steps."""
        last = max(int(len(self.losses) * part), 1)
        right = float(np.mean(self.right[-last:])) if self.right else math.nan
        return float(np.mean(self.losses[-last:])), right


class Runner:
    """Runs the steps of a set-up and sees what the model answers in them."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.step = setup, textbook_step(setup)
        self.course = Course()

    def run(
        self,
        data: Iterable[tuple[Any, Any]],
        clock: Clock,
        most: int,
        until: Callable[[Course], bool] = lambda course: False,
    ) -> Course:
        """Step through `data` until it ends, the time does, or `until` says so."""
        course, answers = self.course, []

        def note(module: Any, args: Any, out: Any) -> None:
            answers.append(out)

        handle = self.setup.model.register_forward_hook(note)
        try:
            for inputs, labels in data:
                answers.clear()
                rate = max(group["lr"] for group in self.setup.optimizer.param_groups)
                course.rates.append(float(rate))
                try:
                    value = self.step(inputs, labels)
                    whole = len(answers) == 1 and len(answers[0]) == len(labels)
                    self.note(answers[0] if whole else None, inputs, labels, value)
                except Exception as error:  # a schedule that has come to its end, for one
                    course.raised = f"{type(error).__name__}: {' '.join(str(error).split())}"
                    break
                if len(course.losses) >= most or clock.left <= 0 or until(course):
                    break
                if not course.finite:
                    break
        finally:
            handle.remove()
        return course

    def note(self, out: Any, inputs: Any, labels: Any, value: Any) -> None:
        course = self.course
        if not isinstance(out, Tensor):  # the step runs the model in parts, or not by calling it
            out = Tensor(logits(self.setup.model, inputs, training=True).astype(np.float32))
        found = host(out)
        with no_grad(), np.errstate(all="ignore"):
            try:
                loss = number_of(self.setup.loss(Tensor(found), labels))
            except Exception:
                loss = number_of(value)
        course.losses.append(loss)
        course.sizes.append(len(found))
        classes = class_labels(labels, found)
        if classes is not None:
            course.right.append(float((found.argmax(-1) == classes).mean()))


def number_of(value: Any) -> float:
    """The loss in what a step gives: a number, the mean of some, or the first of its parts."""
    while isinstance(value, tuple | list | dict):
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return float(host(value).mean())


def one_batch(setup: Setup, batch: tuple[Any, Any], clock: Clock, most: int = STEPS) -> Course:
    """The same few images, step after step, until they are learnt."""
    inputs, labels = sliced(batch[0], FEW), sliced(batch[1], FEW)
    again = iter(lambda: (inputs, labels), None)

    def until(course: Course) -> bool:
        return len(course.losses) >= 5 and course.learnt

    return Runner(setup).run(again, clock, most, until)


def learns_one_batch(course: Course, labels: Any, elsewhere: bool = False) -> Finding:
    """Whether a few images can be memorised.

    A rate that is right for changing batches may be too much for one that stays: what learns over
    the training data (`elsewhere`) is not called broken for that.
    """
    check = BY_HEART
    steps = len(course.losses)
    if not steps:
        return broken(check, f"the step raises {course.raised}", "read it")
    start, (end, right) = course.losses[0], course.end(0.1)
    count = course.sizes[0]
    answers = f", {right:.0%} of its {count} images right" if course.right else ""
    numbers = {
        "steps": steps,
        "first loss": start,
        "last loss": end,
        "right": right,
        "images": count,
    }
    text = f"after {steps} steps on one batch the loss went from {start:.3g} to {end:.3g}{answers}"
    advice = "a training that cannot learn one batch by heart will learn nothing else"
    if course.learnt:
        return holds(check, text, numbers)
    classes = host(labels)[:FEW]
    common = commonest(classes)
    better = course.right and right > max(0.5, common + 0.2)
    if course.finite and (better or end < 0.8 * start):
        return holds(check, f"{text}, and it was still falling", numbers)
    if course.waits:
        return not_checked(check, f"{course.waits}; {text}")
    if elsewhere:
        return not_checked(check, f"these steps suit changing batches, which they learn: {text}")
    if steps < ENOUGH and course.finite:
        why = course.raised or f"there was time for {steps} steps only"
        return not_checked(check, f"{why}; {text}")
    return broken(check, f"does not learn: {text}", advice, numbers=numbers)


def commonest(classes: Array) -> float:
    if classes.dtype.kind not in "iu" or not classes.size:
        return 0.0
    return float(np.unique(classes, return_counts=True)[1].max() / classes.size)


# ------------------------------------------------------------------ the training data


def epochs(data: Any, seed: int, most: int = 1000) -> Iterator[tuple[Any, Any]]:
    """Epoch after epoch."""
    for epoch in range(most):
        empty = True
        for batch in batches(data, seed + epoch):
            empty = False
            yield batch
        if empty:
            return


def learns_training(course: Course, labels: list[Array]) -> Finding:
    """Whether the model gets better than guessing, over the training data."""
    check = LEARNS
    steps = len(course.losses)
    if steps and not course.finite:
        at = next(i for i, loss in enumerate(course.losses) if not math.isfinite(loss))
        return broken(
            check,
            f"does not learn: the loss is {course.losses[at]} at step {at + 1}, "
            f"from {course.losses[0]:.3g} at first",
            "minires.detect_nonfinite() names the operation; a smaller rate may help",
            numbers={"step": at + 1, "steps": steps, "last loss": math.inf, "right": 0.0},
        )
    if not course.right or not labels:
        why = course.raised or "the labels are no class numbers"
        return not_checked(check, why)
    part = 0.2
    while part < 0.5 and sum(course.sizes[-max(int(steps * part), 1) :]) < 300:
        part += 0.1
    count = sum(course.sizes[-max(int(steps * part), 1) :])
    end, right = course.end(part)
    common = commonest(np.concatenate([np.ravel(y) for y in labels]))
    noise = math.sqrt(max(common * (1 - common), 1e-4) / count)
    numbers = {
        "steps": steps,
        "first loss": course.losses[0],
        "last loss": end,
        "right": right,
        "commonest": common,
    }
    text = (
        f"after {steps} steps the loss went from {course.losses[0]:.3g} to {end:.3g}, and "
        f"{right:.0%} of the last {count:,} training images were right (always the most common "
        f"class: {common:.0%})"
    )
    if right > common + max(3 * noise, 0.02):
        return holds(check, text, numbers)
    if steps < 100 or count < 200 or course.waits:
        why = (
            course.raised or course.waits or f"there was time for {steps} steps of few images only"
        )
        return not_checked(check, f"{why}; {text}")
    return broken(
        check,
        f"does not learn: {text}",
        "overfit one batch first; then look at images with their labels",
        numbers=numbers,
    )


def learnt_well(finding: Finding) -> bool:
    """Whether the training data is learnt far better than by guessing."""
    numbers = finding.numbers
    return finding.verdict == "holds" and numbers["right"] > numbers["commonest"] + 0.25
