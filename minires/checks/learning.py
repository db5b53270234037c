"""What one's own steps achieve: on one batch, over the training data, at other rates.

Reach: that a training does not learn, with the measured numbers, whatever the cause; of a cause,
only a single setting with which, all else equal, the same batch is learnt. One's own evaluation
beside ours: another model, mode, axis or order, and weights that it changes.
Not in reach: why a rate is wrong; what shows after more steps than there was time for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from minires import nn
from minires.checks.places import line_of_function
from minires.checks.report import Finding, Rates
from minires.checks.setup import (
    Array,
    Clock,
    Setup,
    as_input,
    batches,
    class_labels,
    host,
    kept_model,
    logits,
    sliced,
    textbook_step,
)
from minires.checks.trace import any_training
from minires.engine import no_grad
from minires.tensors import Tensor

FEW = 32  # images of the one batch
STEPS = 120  # at most, on one batch
ENOUGH = 40  # steps before anything is called not learnt
LEARNT = 0.9
LEARNS = "training gets better than guessing"


@dataclass
class Course:
    """How some steps went.

    Attributes
    ----------
    losses : list of float
    right : list of float
        The share of the step's images that the model answered right, where labels are classes.
    sizes : list of int
    raised : str
        What stopped the steps, if anything did.
    """

    losses: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    raised: str = ""

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
                try:
                    value = self.step(inputs, labels)
                except Exception as error:  # a schedule that has come to its end, for one
                    course.raised = f"{type(error).__name__}: {' '.join(str(error).split())}"
                    break
                self.note(answers[0] if answers else None, inputs, labels, value)
                if len(course.losses) >= most or clock.left <= 0 or until(course):
                    break
                if not course.finite:
                    break
        finally:
            handle.remove()
        return course

    def note(self, out: Any, inputs: Any, labels: Any, value: Any) -> None:
        course = self.course
        if not isinstance(out, Tensor):
            out = Tensor(logits(self.setup.model, inputs, training=True).astype(np.float32))
        found = host(out)
        with no_grad(), np.errstate(all="ignore"):
            try:
                loss = float(host(self.setup.loss(Tensor(found), labels)).item())
            except Exception:
                loss = float(host(value).item()) if value is not None else math.nan
        course.losses.append(loss)
        course.sizes.append(len(found))
        classes = class_labels(labels, found)
        if classes is not None:
            course.right.append(float((found.argmax(-1) == classes).mean()))


def one_batch(setup: Setup, batch: tuple[Any, Any], clock: Clock, most: int = STEPS) -> Course:
    """The same few images, step after step, until they are learnt."""
    inputs, labels = sliced(batch[0], FEW), sliced(batch[1], FEW)
    again = iter(lambda: (inputs, labels), None)

    def until(course: Course) -> bool:
        return len(course.losses) >= 5 and course.learnt

    return Runner(setup).run(again, clock, most, until)


def learns_one_batch(course: Course, labels: Any, elsewhere: bool = False) -> Finding:
    """Whether a few images can be learnt by heart.

    A rate that is right for changing batches may be too much for one that stays: what learns over
    the training data (`elsewhere`) is not called broken for that.
    """
    check = "learns one batch"
    steps = len(course.losses)
    if not steps:
        return Finding(check, "broken", f"the step raises {course.raised}", {}, "", "read it")
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
        return Finding(check, "holds", text, numbers)
    classes = host(labels)[:FEW]
    common = commonest(classes)
    better = course.right and right > max(0.5, common + 0.2)
    if course.finite and (better or end < 0.8 * start):
        return Finding(check, "holds", f"{text}, and it was still falling", numbers)
    if elsewhere:
        return Finding(
            check, "not checked", f"these steps suit changing batches, which they learn: {text}"
        )
    if steps < ENOUGH and course.finite:
        why = course.raised or f"there was time for {steps} steps only"
        return Finding(check, "not checked", f"{why}; {text}")
    return Finding(check, "broken", f"does not learn: {text}", numbers, "", advice)


def commonest(classes: Array) -> float:
    if classes.dtype.kind not in "iu" or not classes.size:
        return 0.0
    return float(np.unique(classes, return_counts=True)[1].max() / classes.size)


# ------------------------------------------------------------------ one change alone


@dataclass(frozen=True)
class Change:
    """One setting put to another value, all else equal."""

    name: str
    text: str
    apply: Callable[[Setup], None]
    inputs: Callable[[Any], Any] = lambda inputs: inputs

    def given(self, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        """A batch as the change gives it to the step."""
        return self.inputs(batch[0]), batch[1]


def changes(setup: Setup, inputs: Any, loss_scale: float | None) -> Iterator[Change]:
    """The settings that are far from usual, each with a usual value."""
    groups = setup.optimizer.param_groups

    def options(**values: Any) -> Callable[[Setup], None]:
        def apply(fresh: Setup) -> None:
            for group in fresh.optimizer.param_groups:
                group.update(values)

        return apply

    if any(group.get("weight_decay", 0) > 1e-3 for group in groups):
        yield Change("weight decay", "without weight decay", options(weight_decay=0.0))
    if any(group.get("momentum", 0) > 0.95 for group in groups):
        yield Change("momentum", "with momentum=0.9", options(momentum=0.9))
    if any(group.get("eps", 0) > 1e-5 for group in groups):
        eps = max(group["eps"] for group in groups)
        yield Change("eps of the optimizer", f"with eps=1e-8 for {eps:g}", options(eps=1e-8))
    if any(isinstance(m, nn.Dropout) and m.p > 0.5 for m in setup.model.modules()):

        def keep(fresh: Setup) -> None:
            for module in fresh.model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0

        yield Change("dropout", "without dropout", keep)
    x = host(inputs)
    if x.dtype.kind == "f" and np.isfinite(x).all():
        mean, deviation = x.mean(), x.std()
        if deviation > 0 and not (0.1 < deviation < 10 and abs(mean) < 5 * deviation):
            yield Change(
                "input scale",
                f"with inputs of mean 0 and standard deviation 1, for {mean:.3g} and "
                f"{deviation:.3g}",
                lambda fresh: None,
                lambda values: (values - mean) / deviation,
            )
    plain = type(setup.optimizer).__name__ == "SGD"
    if plain and loss_scale is not None and not 0.15 < loss_scale < 7 and loss_scale > 0:

        def rescale(fresh: Setup) -> None:
            for group in fresh.optimizer.param_groups:
                group["lr"] /= loss_scale
                group["weight_decay"] *= loss_scale  # their product is what decays

        yield Change(
            "loss scale",
            "with a loss of the mean cross-entropy's size (the rate is "
            f"{'divided' if loss_scale > 1 else 'multiplied'} by "
            f"{max(loss_scale, 1 / loss_scale):,.4g} for it)",
            rescale,
        )


def changed(
    change: Change,
    fresh: Callable[[], AbstractContextManager[Setup]],
    before: Course,
    training: Finding,
    seed: int,
    clock: Clock,
) -> Finding | None:
    """What one change does: to the one batch, else to the training data; None if it does not help.

    Parameters
    ----------
    change : Change
    fresh : callable
        Gives a new set-up.
    before : Course
        On one batch, without the change.
    training : Finding
        Of the training data, without the change.
    """
    with fresh() as setup:
        change.apply(setup)
        first = next(batches(setup.train, seed))
        most = max(len(before.losses), ENOUGH)
        course = one_batch(setup, change.given(first), clock.share(0.3), most)
    where, steps, (was, wrong) = "one batch", len(before.losses), before.end(0.1)
    if not _helps(course, wrong) and training.verdict == "broken" and "right" in training.numbers:
        steps, was, wrong = (training.numbers[k] for k in ("steps", "last loss", "right"))
        where = "the training data"
        with fresh() as setup:
            change.apply(setup)
            data = (change.given(batch) for batch in epochs(setup.train, seed))
            course = Runner(setup).run(data, clock.share(0.4), steps, _much_better)
    if not _helps(course, wrong):
        return None
    end, right = course.end(0.1)
    answers = f" ({wrong:.0%} and {right:.0%} right)" if course.right else ""
    return Finding(
        change.name,
        "broken",
        f"{where} is not learnt in {steps} steps (loss {was:.3g}); {change.text}, all else equal, "
        f"its loss falls to {end:.3g} in {len(course.losses)}{answers}",
        {"before": was, "after": end, "steps": len(course.losses)},
        "",
        "change this setting; that it helps here does not make it the only cause",
    )


def _much_better(course: Course) -> bool:
    return len(course.losses) >= 20 and bool(course.right) and course.end(0.1)[1] > 0.7


def _helps(course: Course, wrong: float) -> bool:
    """Whether a course is far better than one that ended with this share of right answers."""
    if not course.losses or not course.finite:
        return False
    end, right = course.end(0.1)
    return course.learnt or (bool(course.right) and right > wrong + 0.3 and end < course.losses[0])


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
        return Finding(
            check,
            "broken",
            f"does not learn: the loss is {course.losses[at]} at step {at + 1}, "
            f"from {course.losses[0]:.3g} at first",
            {"step": at + 1},
            "",
            "minires.detect_nonfinite() names the operation; a smaller rate may help",
        )
    if not course.right or not labels:
        return Finding(check, "not checked", "the labels are no class numbers, or no step ran")
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
        return Finding(check, "holds", text, numbers)
    if steps < 100 or count < 200:
        why = course.raised or f"there was time for {steps} steps of few images only"
        return Finding(check, "not checked", f"{why}; {text}")
    return Finding(
        check,
        "broken",
        f"does not learn: {text}",
        numbers,
        "",
        "overfit one batch first; then look at images with their labels",
    )


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
        return Finding(check, "not checked", "there is no accuracy on validation data")
    train = accuracy(setup.model, seen, clock)
    if train is None:
        return Finding(check, "not checked", "there was no time to evaluate training images")
    images = sum(course.sizes)
    distinct = len({np.ascontiguousarray(x).tobytes() for inputs, _ in seen for x in host(inputs)})
    numbers = {"training": train.share, "validation": valid.share}
    text = (
        f"after {len(course.losses)} steps, in evaluation mode {train.share:.0%} of "
        f"{train.count:,} training images and {valid.share:.0%} of {valid.count:,} validation "
        "images are right"
    )
    if images > 6 * distinct or min(train.count, valid.count) < 100:
        return Finding(check, "not checked", f"a gap would be overfitting: {text}")
    if train.share - valid.share > 0.4:
        return Finding(
            check,
            "broken",
            text,
            numbers,
            "",
            "compare images and labels of both sets, and their transforms",
        )
    return Finding(check, "holds", text, numbers)


# ------------------------------------------------------------------ one's own evaluation


def own_evaluation(setup: Setup, ours: Accuracy | None, common: float) -> Iterator[Finding]:
    """`evaluate()` beside our own accuracy of the same model on the same data."""
    names = "evaluation mode", "evaluation counts right", "evaluation changes nothing"
    if setup.evaluate is None:
        yield Finding(names[1], "not checked", "the set-up has no evaluate")
        return
    model, line = setup.model, line_of_function(setup.evaluate)
    modes: list[bool] = []
    handle = model.register_forward_hook(lambda m, a, o: modes.append(any_training(m)))
    before = [host(t).copy() for t in [*model.parameters(), *model.buffers()]]
    try:
        found = setup.evaluate()
    except Exception as error:
        text = f"evaluate raises {type(error).__name__}: {' '.join(str(error).split())}"
        yield Finding(names[1], "broken", text, {}, line, "read the message")
        return
    finally:
        handle.remove()
    after = [host(t) for t in [*model.parameters(), *model.buffers()]]
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
    if modes and any(modes):
        yield Finding(
            names[0],
            "broken",
            f"evaluate runs the model in training mode ({sum(modes)} of {len(modes)} forwards)",
            {"forwards": len(modes), "in training mode": sum(modes)},
            line,
            "call model.eval() first, and model.train() afterwards",
        )
    elif modes:
        yield Finding(names[0], "holds", f"all {len(modes)} forwards are in evaluation mode")
    else:
        yield Finding(names[0], "not checked", "evaluate never runs this model")
    yield counts_right(names[1], found, ours, common, bool(modes), line)
    if same:
        yield Finding(names[2], "holds", "weights and statistics stay as they were")
    else:
        yield Finding(
            names[2],
            "broken",
            "evaluate changes the model's weights or statistics",
            {},
            line,
            "call model.eval() first; batch norm's statistics move in training mode",
        )


def counts_right(
    check: str, found: Any, ours: Accuracy | None, common: float, ran: bool, line: str
) -> Finding:
    """The accuracy that `evaluate` gives against ours."""
    try:
        value = float(host(found).item())
    except (TypeError, ValueError):
        return Finding(
            check, "not checked", f"evaluate gives a {type(found).__name__}, not a number"
        )
    if ours is None:
        return Finding(check, "not checked", "there is no accuracy of ours beside it")
    percent = 1.0 < value <= 100.0
    share = value / 100 if percent else value
    said = f"{value:g} (taken as percent)" if percent else f"{share:.1%}"
    numbers = {"evaluate": share, "ours": ours.share}
    text = f"evaluate says {said}; the model is right for {ours.share:.1%} of {ours.count:,}"
    if not 0 <= share <= 1:
        return Finding(check, "not checked", f"evaluate gives {value:g}, which is no accuracy")
    apart = abs(share - ours.share)
    noise = 4 * math.sqrt(max(ours.share * (1 - ours.share), 0.01) / ours.count)
    if apart > max(0.08, noise):
        other = "" if ran else "; it never runs this model"
        return Finding(
            check,
            "broken",
            text + other,
            numbers,
            line,
            "look at which model, which axis of argmax, and which labels it compares",
        )
    if ours.share < common + 0.15:
        return Finding(
            check,
            "not checked",
            f"the model is hardly better than guessing, so that the two must agree: {text}",
        )
    return Finding(check, "holds", text, numbers)


# ------------------------------------------------------------------ rates


@contextmanager
def at_rate(optimizer: Any, factor: Callable[[], float]) -> Iterator[None]:
    """Each `step` in the block runs at `factor()` times its rate, whatever a schedule says."""
    plain = optimizer.step

    def step(*args: Any, **kwargs: Any) -> Any:
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] *= factor()
        try:
            return plain(*args, **kwargs)
        finally:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    optimizer.step = step
    try:
        yield
    finally:
        vars(optimizer).pop("step", None)


def rate_range(
    setup: Setup, clock: Clock, seed: int, steps: int = 36
) -> tuple[Finding, Rates | None]:
    """The loss while the rate rises from 1e-4 to 1e3 times one's own (Smith 2017)."""
    check = "learning-rate range"
    factors = list(np.geomspace(1e-4, 1e3, steps))
    runner = Runner(setup)
    with at_rate(setup.optimizer, lambda: factors[min(len(runner.course.losses), steps - 1)]):
        course = runner.run(islice(epochs(setup.train, seed), steps), clock, steps)
    losses = course.losses
    if len(losses) < steps // 2:
        why = course.raised or f"there was time for {len(losses)} of {steps} rates only"
        if not course.finite:
            why = f"the loss is not finite from {factors[len(losses) - 1]:.2g} times your rate on"
        return Finding(check, "not checked", why), None
    own = setup.optimizer.param_groups[0]["lr"]
    rates = Rates([float(f) for f in factors[: len(losses)]], losses, float(own))
    known = [(loss, f) for loss, f in zip(losses, factors, strict=False) if math.isfinite(loss)]
    least, at = min(known)
    finding = Finding(
        check,
        "holds",
        f"a symptom only, which many causes share: while the rate rises, the loss is least "
        f"({least:.3g}, from {losses[0]:.3g}) at {at:.2g} times your rate",
        {"least": least, "at": float(at), "first": losses[0]},
    )
    return finding, rates


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
