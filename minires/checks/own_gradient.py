"""The gradient that a step uses, beside that of the loss at the same weights and with its draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minires import random
from minires.backend import to_device
from minires.checks.gradients import cosine_of, norm
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Array, Setup, as_input, class_labels, host, kept_model
from minires.checks.trace import Step
from minires.grad_mode import enable_grad
from minires.tensors import Tensor

SWALLOWED = 3.0  # a penalty's gradient over the loss's
DROWNED = 10.0  # the same, of whatever else a step adds


def loss_is_stepped(setup: Setup, steps: list[Step], batches: list[tuple[Any, Any]]) -> Finding:
    """The gradients that steps use beside those of `loss(model(inputs), labels)`.

    At the same weights, in the same mode, with the same draws. Our own must first repeat itself.
    A step may mix images or add noise, and differ by chance: another direction must be in all.
    """
    check = "step follows the loss"
    said: Finding | None = None
    given = [host(step.inputs) for step in steps if step.events.count("forward") == 1]
    if len(given) == len(steps) > 2 and not _differ(given) and _differ([x for x, _ in batches]):
        text = (
            f"each of {len(steps)} steps runs the model on the same inputs, though batches differ"
        )
        advice = "use the step's own inputs and labels"
        return broken(check, text, advice, steps[0].lines.get("forward", ""))
    for step, batch in zip(steps, batches, strict=False):
        found = _beside(check, setup, step, *batch)
        if said is None or found.verdict != "broken":
            said = found
        if found.verdict != "broken" or "penalty" in found.numbers:
            break
    return said or not_checked(check, "no step was seen")


def _differ(inputs: list[Any]) -> bool:
    return any(not np.array_equal(host(inputs[0]), host(x), equal_nan=True) for x in inputs[1:])


def _beside(check: str, setup: Setup, step: Step, inputs: Any, labels: Any) -> Finding:
    if not step.at_forward or not step.gradients or step.events.count("backward") != 1:
        return not_checked(check, "the step has no forward or several backwards")
    training = step.training[0] if step.training else True
    try:
        own, value = _own_gradient(setup, step, inputs, labels, training)
        again, _ = _own_gradient(setup, step, inputs, labels, training)
    except Exception as error:
        text = f"loss(model(inputs), labels) raises {type(error).__name__}: {error}"
        return not_checked(check, text)
    repeats = cosine_of(own, again)
    if repeats is None or repeats < 0.999:
        return not_checked(check, "the loss's own gradient does not repeat itself")
    used = step.gradients
    cosine = cosine_of(own, used)
    if cosine is None:
        return not_checked(check, "one of the gradients is zero or not finite")
    ratio = norm(used) / norm(own)
    numbers = {"cosine": cosine, "ratio": ratio, "loss": value, "step's loss": step.loss}
    numbers |= {"own": norm(own), "in effect": norm(step.at_step) / norm(own)}
    losses = f"step's loss {_number(step.loss)}, the loss itself {value:.3g}"
    penalty = _penalty(own, used, step.at_forward)
    if cosine < -0.5:
        said = (
            f"the step's gradient points against that of the loss (cosine {cosine:.2f}): it makes "
            "the loss larger"
        )
        advice = "take away the minus sign"
    elif penalty is not None:
        numbers["penalty"] = penalty
        said = (
            f"the step adds a penalty on the weights whose gradient is {penalty:,.1f} times that "
            f"of the loss ({losses})"
        )
        advice = "make the penalty's factor far smaller"
    elif ratio > DROWNED and cosine < 0.5:
        said = (
            f"the step's gradient is {ratio:,.0f} times that of loss(model(inputs), labels) and "
            f"points elsewhere (cosine {cosine:.2f}): something that is added drowns the loss"
        )
        advice = "weigh what is added so that both have gradients of one size"
    elif cosine < 0.1:
        said = (
            f"the step's gradient is not that of loss(model(inputs), labels): cosine {cosine:.2f}, "
            f"{losses}"
        )
        advice = "look at what else the step does to inputs, labels and loss"
    else:
        text = f"the step's gradient is that of the loss (cosine {cosine:.2f}"
        return holds(check, f"{text}, {ratio:.3g} times as long)", numbers)
    return broken(check, said, advice, step.lines.get("backward", ""), numbers)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _own_gradient(
    setup: Setup, step: Step, inputs: Any, labels: Any, training: bool
) -> tuple[dict[str, Array | None], float]:
    model = setup.model
    with kept_model(model), enable_grad():
        for name, parameter in model.named_parameters():
            parameter.data[...] = to_device(step.at_forward[name], parameter.device)
            parameter.grad = None
        model.train(training)
        if step.random_state is not None:
            random.generator().bit_generator.state = step.random_state
        out = model(as_input(model, inputs))
        free = Tensor(out.data, requires_grad=True)  # what the loss adds by the weights is no part
        loss = setup.loss(free, labels)
        loss.backward()
        for parameter in model.parameters():
            parameter.grad = None
        out.backward(free.grad)
        gradients = {
            n: None if p.grad is None else host(p.grad).copy() for n, p in model.named_parameters()
        }
        return gradients, float(host(loss).item())


def _penalty(
    own: dict[str, Array | None], used: dict[str, Array | None], weights: dict[str, Array]
) -> float | None:
    """How many times as long as the loss's gradient the rest is, if that is along the weights."""
    rest: dict[str, Array | None] = {}
    for name, mine in own.items():
        theirs = used.get(name)
        if mine is not None and theirs is not None:
            rest[name] = theirs.astype("f8") - mine
    size, loss = norm(rest), norm({name: own[name] for name in rest})
    if loss == 0 or size < SWALLOWED * loss:
        return None
    signs: dict[str, Array | None] = {n: np.sign(w) for n, w in weights.items()}
    along = max((c or 0.0) for c in (cosine_of(rest, dict(weights)), cosine_of(rest, signs)))
    return size / loss if along > 0.9 else None


def decay_is_small(setup: Setup, step: Step, labels: Any) -> Finding:
    """The optimiser's own weight decay beside the gradient that it is added to.

    Of a model that knows the answers already the gradient is small, and decay rightly above it.
    """
    check = "weight decay below the gradient"
    classes = None if step.outputs is None else class_labels(labels, step.outputs)
    if step.outputs is not None and classes is not None:
        right = float((step.outputs.argmax(-1) == classes).mean())
        if right > 0.5:
            return not_checked(check, f"the model is right for {right:.0%} already")
    decays: dict[str, Array | None] = {}
    names = {id(p): n for n, p in setup.model.named_parameters()}
    for group in setup.optimizer.param_groups:
        for parameter in group["params"]:
            name = names.get(id(parameter))
            if name in step.before and group.get("weight_decay", 0):
                decays[name] = step.before[name] * group["weight_decay"]
    if not decays or type(setup.optimizer).__name__ == "AdamW":
        return holds(check, "no decay is added to the gradients")
    gradient = norm({n: step.at_step.get(n) for n in decays})
    size = norm(decays)
    if not gradient or not math.isfinite(gradient):
        return not_checked(check, "there is no gradient beside it")
    numbers = {"decay": size, "gradient": gradient, "ratio": size / gradient}
    if size > SWALLOWED * gradient:
        return broken(
            check,
            f"weight decay adds {size:.3g} to gradients of norm {gradient:.3g}: it is "
            f"{size / gradient:.1f} times as strong as the loss in the first step",
            "weight_decay of about 1e-4 is usual",
            numbers=numbers,
        )
    return holds(check, f"weight decay adds {size / gradient:.1%} of the gradient", numbers)
