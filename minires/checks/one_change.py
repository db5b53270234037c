"""A training that does not learn, with one setting changed and all else equal.

Reach: weight decay, momentum, eps, dropout, the scale of inputs or of the loss, activations between
layers, the rate, layers frozen as drawn, where one of them alone makes the difference. It is an
experiment: what helps need not be the only cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires import nn
from minires.checks.learning import ENOUGH, Course, Runner, epochs, one_batch
from minires.checks.places import listed
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Clock, Setup, batches, host
from minires.checks.structure import as_drawn
from minires.tensors import Tensor


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


def changes(
    setup: Setup, inputs: Any, loss_scale: float, in_effect: float = 1.0
) -> Iterator[Change]:
    """The settings that are far from usual, each with a usual value.

    `loss_scale` is the loss's gradient over that of the mean cross-entropy, `in_effect` what of it
    arrives at the update.
    """
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
    pixels = x.dtype.kind == "f" or (x.dtype == np.uint8 and x.ndim > 2)
    if pixels and np.isfinite(x).all():
        mean, deviation = (np.float32(f(x.astype("f8"))) for f in (np.mean, np.std))
        if deviation > 0 and not (0.1 < deviation < 10 and abs(mean) < 5 * deviation):
            yield Change(
                "input scale",
                f"with inputs of mean 0 and standard deviation 1, for {mean:.3g} and "
                f"{deviation:.3g}",
                lambda fresh: None,
                lambda values: scaled(values, mean, deviation),
            )
    plain = type(setup.optimizer).__name__ == "SGD"
    clipped = 0.15 < loss_scale < 7
    loss_scale *= in_effect
    if plain and not 0.15 < loss_scale < 7 and loss_scale > 0:

        def rescale(fresh: Setup) -> None:
            for group in fresh.optimizer.param_groups:
                group["lr"] /= loss_scale
                group["weight_decay"] *= loss_scale  # their product is what decays

        yield Change(
            "gradient scale" if clipped else "loss scale",
            f"with {'gradients' if clipped else 'a loss'} of the mean cross-entropy's size at the "
            "update (the rate is "
            f"{'divided' if loss_scale > 1 else 'multiplied'} by "
            f"{max(loss_scale, 1 / loss_scale):,.4g} for it)",
            rescale,
        )
    squeezing = between_layers(setup.model)
    if squeezing:

        def open_up(fresh: Setup) -> None:
            for owner, name in between_layers(fresh.model):
                setattr(owner, name, nn.ReLU())

        kinds = sorted({type(getattr(owner, name)).__name__ for owner, name in squeezing})
        yield Change("activation", f"with ReLU for {' and '.join(kinds)} between layers", open_up)


def rates(setup: Setup) -> Iterator[Change]:
    """Other rates, for where nothing else is known to be wrong."""
    rate = max(group["lr"] for group in setup.optimizer.param_groups)
    for factor in (0.1, 10.0, 0.01, 100.0, 1000.0):

        def apply(fresh: Setup, factor: float = factor) -> None:
            for group in fresh.optimizer.param_groups:
                group["lr"] *= factor

        yield Change("learning rate", f"with {factor:g} times the rate of {rate:.3g}", apply)


def between_layers(model: Any) -> list[tuple[Any, str]]:
    """Where activations stand that squeeze what they get, but for the last layer of all."""
    leaves = [m for m in model.modules() if not m._modules]
    kinds = nn.Softmax | nn.LogSoftmax | nn.Sigmoid | nn.Tanh
    return [
        (owner, name)
        for owner in model.modules()
        for name, m in owner._modules.items()
        if isinstance(m, kinds) and m is not leaves[-1]
    ]


def scaled(values: Any, mean: np.float32, deviation: np.float32) -> Any:
    """Inputs with mean 0 and standard deviation 1, of the kind that they were."""
    if isinstance(values, Tensor):
        return (values - float(mean)) / float(deviation)
    array = np.asarray(values)
    kind = array.dtype if array.dtype.kind == "f" else np.float32
    return ((array - mean) / deviation).astype(kind)


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
    where, steps, course = "one batch", len(before.losses), Course()
    was, wrong = before.end(0.1) if before.losses else (math.nan, 0.0)
    if not before.learnt and before.losses:
        with fresh() as setup:
            change.apply(setup)
            first = next(batches(setup.train, seed))
            most = max(steps, ENOUGH)
            course = one_batch(setup, change.given(first), clock.share(0.3), most)
    if (
        not _helps(course, wrong, was)
        and training.verdict == "broken"
        and "right" in training.numbers
    ):
        steps, was, wrong = (training.numbers[k] for k in ("steps", "last loss", "right"))
        where = "the training data"
        with fresh() as setup:
            change.apply(setup)
            data = (change.given(batch) for batch in epochs(setup.train, seed))
            course = Runner(setup).run(data, clock.share(0.4), steps, _much_better)
    if not _helps(course, wrong, was):
        return None
    end, right = course.end(0.1)
    answers = f" ({wrong:.0%} and {right:.0%} right)" if course.right else ""
    return broken(
        change.name,
        f"{where} is not learnt in {steps} steps (loss {was:.3g}); {change.text}, all else equal, "
        f"its loss falls to {end:.3g} in {len(course.losses)}{answers}",
        "change this setting; that it helps here does not make it the only cause",
        numbers={"before": was, "after": end, "steps": len(course.losses)},
    )


def _much_better(course: Course) -> bool:
    return len(course.losses) >= 20 and bool(course.right) and course.end(0.1)[1] > 0.7


def _helps(course: Course, wrong: float, was: float) -> bool:
    """Whether a course is far better than one that ended with this share right, and this loss."""
    if not course.losses or not course.finite:
        return False
    end, right = course.end(0.1)
    less = end < course.losses[0] and not end > was
    return course.learnt or (bool(course.right) and right > wrong + 0.3 and less)


def frozen_layers(
    fresh: Callable[[], AbstractContextManager[Setup]], seed: int, clock: Clock
) -> Finding:
    """Whether layers that are frozen as they were drawn would learn far more if they were not.

    Random features may do, and what is frozen now may be thawed later: only the difference counts.
    """
    check, steps = "frozen parameters", 80
    courses: list[Course] = []
    names: list[str] = []
    for thaw in (False, True):
        with fresh() as setup:
            parameters = list(setup.model.parameters())
            off = [p for p in parameters if not p.requires_grad]
            names = names or as_drawn(setup.model)
            if not names:
                return holds(check, "no layer is frozen at values as drawn at random")
            before = [host(p).copy() for p in off]
            try:
                if thaw:
                    setup.model.requires_grad_(True)
                    held = {id(p) for g in setup.optimizer.param_groups for p in g["params"]}
                    new = [p for p in off if id(p) not in held]
                    setup.optimizer.param_groups[0]["params"] += new
                courses.append(
                    Runner(setup).run(
                        epochs(setup.train, seed),
                        clock.share(0.5 if thaw else 0.2),
                        len(courses[0].losses) if thaw else steps,
                    )
                )
                same = all(np.array_equal(host(p), v) for p, v in zip(off, before, strict=True))
                if not thaw and not (same and not any(p.requires_grad for p in off)):
                    return holds(check, f"{listed(names)} is thawed or moved within {steps} steps")
            finally:
                for parameter in off:
                    parameter.requires_grad_(False)
    frozen, thawed = courses
    steps = len(frozen.losses)
    if not (frozen.right and thawed.right) or len(thawed.losses) < steps or steps < 20:
        return not_checked(check, "there was time for few steps, or labels are no class numbers")
    was, now = (course.end()[1] for course in courses)
    text = f"{listed(names)} is frozen at values that look as drawn at random: {was:.0%} are right"
    numbers = {"frozen": was, "thawed": now, "layers": names}
    if not (thawed.finite and now > was + 0.2):
        return holds(check, f"{text} in {steps} steps, and {now:.0%} with it thawed", numbers)
    return broken(
        check,
        f"{text} of the images of the last of {steps} steps, and {now:.0%} with it thawed, all "
        "else equal",
        "call requires_grad_(True), or load trained weights before freezing",
        numbers=numbers,
    )
