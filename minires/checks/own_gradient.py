"""The gradient that a step uses, beside that of the loss at the same weights and with its draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minires import random
from minires.backend import to_device
from minires.checks.report import Finding
from minires.checks.setup import Array, Setup, as_input, host, kept_model
from minires.checks.steps import cosine_of, norm
from minires.checks.trace import Step
from minires.engine import enable_grad

SWALLOWED = 3.0  # a penalty's gradient over the loss's


def loss_is_stepped(setup: Setup, step: Step, inputs: Any, labels: Any) -> Finding:
    """The gradient that the step uses beside that of `loss(model(inputs), labels)`.

    At the same weights, in the same mode, with the same draws. Our own must first repeat itself.
    """
    check = "step follows the loss"
    if not step.at_forward or not step.gradients or step.events.count("backward") != 1:
        return Finding(check, "not checked", "the step has no forward or several backwards")
    training = step.training[0] if step.training else True
    try:
        own, value = _own_gradient(setup, step, inputs, labels, training)
        again, _ = _own_gradient(setup, step, inputs, labels, training)
    except Exception as error:
        return Finding(
            check,
            "not checked",
            f"loss(model(inputs), labels) raises {type(error).__name__}: {error}",
        )
    repeats = cosine_of(own, again)
    if repeats is None or repeats < 0.999:
        return Finding(check, "not checked", "the loss's own gradient does not repeat itself")
    used = step.gradients
    cosine = cosine_of(own, used)
    if cosine is None:
        return Finding(check, "not checked", "one of the gradients is zero or not finite")
    ratio = norm(used) / norm(own)
    numbers = {"cosine": cosine, "ratio": ratio, "loss": value, "step's loss": step.loss}
    line = step.lines.get("backward", "")
    if cosine < -0.5:
        return Finding(
            check,
            "broken",
            f"the step's gradient points against that of the loss (cosine {cosine:.2f}): it makes "
            "the loss larger",
            numbers,
            line,
            "take away the minus sign",
        )
    penalty = _penalty(own, used, step.at_forward)
    if penalty is not None:
        numbers["penalty"] = penalty
        return Finding(
            check,
            "broken",
            f"the step adds a penalty on the weights whose gradient is {penalty:,.1f} times that "
            f"of the loss (step's loss {_number(step.loss)}, the loss itself {value:.3g})",
            numbers,
            line,
            "make the penalty's factor far smaller",
        )
    if cosine < 0.1:
        return Finding(
            check,
            "broken",
            f"the step's gradient is not that of loss(model(inputs), labels): cosine {cosine:.2f}, "
            f"step's loss {_number(step.loss)}, the loss itself {value:.3g}",
            numbers,
            line,
            "look at what else the step does to inputs, labels and loss",
        )
    return Finding(
        check,
        "holds",
        f"the step's gradient is that of the loss (cosine {cosine:.2f}, {ratio:.3g} times as long)",
        numbers,
    )


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
        loss = setup.loss(model(as_input(model, inputs)), labels)
        loss.backward()
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


def decay_is_small(setup: Setup, step: Step) -> Finding:
    """The optimiser's own weight decay beside the gradient that it is added to."""
    check = "weight decay below the gradient"
    decays: dict[str, Array | None] = {}
    names = {id(p): n for n, p in setup.model.named_parameters()}
    for group in setup.optimizer.param_groups:
        for parameter in group["params"]:
            name = names.get(id(parameter))
            if name in step.before and group.get("weight_decay", 0):
                decays[name] = step.before[name] * group["weight_decay"]
    if not decays or type(setup.optimizer).__name__ == "AdamW":
        return Finding(check, "holds", "no decay is added to the gradients")
    gradient = norm({n: step.at_step.get(n) for n in decays})
    size = norm(decays)
    if not gradient or not math.isfinite(gradient):
        return Finding(check, "not checked", "there is no gradient beside it")
    numbers = {"decay": size, "gradient": gradient, "ratio": size / gradient}
    if size > SWALLOWED * gradient:
        return Finding(
            check,
            "broken",
            f"weight decay adds {size:.3g} to gradients of norm {gradient:.3g}: it is "
            f"{size / gradient:.1f} times as strong as the loss in the first step",
            numbers,
            "",
            "weight_decay of about 1e-4 is usual",
        )
    return Finding(
        check, "holds", f"weight decay adds {size / gradient:.1%} of the gradient", numbers
    )
