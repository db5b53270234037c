"""The updates of traced steps: whether weights move, downhill, and nothing else moves them.

Reach: weights that do not move, that are reset, made anew or shrunk between steps; steps uphill;
units that begin alike and get one and the same gradient.
Not in reach: a rate that is merely too small or too large.
"""

from __future__ import annotations

import gc
import math
from itertools import pairwise

import numpy as np

from minires import nn
from minires.checks.gradients import Gradients, cosine_of, norm
from minires.checks.places import line_of
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Array
from minires.checks.trace import Step, Tracer
from minires.optim import Optimizer
from minires.optim.lr_scheduler import Schedule


def move(tracer: Tracer) -> Finding:
    """Whether updates move the weights, downhill, and nothing else moves them."""
    check = "weights move"
    steps, line = tracer.steps, tracer.line("step")
    if not steps or not any(norm(s.at_step) > 0 for s in steps):
        return not_checked(check, "no update with gradients was seen")
    sizes = [_relative_move(s) for s in steps]
    rates = sorted({rate for s in steps for rate in s.rates})
    if not any(sizes):
        if not any(rates) and scheduled(tracer.optimizer):
            return not_checked(check, "the rate is 0 at first, by a schedule")
        return broken(
            check,
            f"no weight moves in {len(steps)} updates, though there are gradients (rate "
            f"{', '.join(f'{r:g}' for r in rates)})",
            "look at the learning rate, at its schedule, and at float16 weights that round it away",
            line,
            {"rates": rates},
        )
    jump = _jumps(steps)
    if jump is not None:
        said, change = jump
        advice = (
            "make and load the model once, before the loop; limit weights less, and add less to "
            "them, if at all"
        )
        return broken(check, said, advice, line, {"change": change})
    slope = cosine_of(_difference(steps[0]), steps[0].at_step)
    if slope is not None and slope > 0.3:
        said = f"the update goes up the gradient (cosine {slope:.2f})"
        return broken(check, said, "subtract the gradient", line, {"cosine": slope})
    text = f"an update moves the weights by {max(sizes):.1g} of their size"
    return holds(check, text, {"relative": sizes})


def scheduled(optimizer: Optimizer) -> bool:
    """Whether a schedule will change the rate."""
    return any(
        isinstance(other, Schedule) and other.optimizer is optimizer for other in gc.get_objects()
    )


def _relative_move(step: Step) -> float:
    moved, size = norm(_difference(step)), norm(dict(step.before))
    return moved / size if size else math.inf


def _difference(step: Step) -> Gradients:
    return {n: step.after[n].astype("f8") - b for n, b in step.before.items() if n in step.after}


def _jumps(steps: list[Step]) -> tuple[str, float] | None:
    """Whether something else than the optimizer moves the weights, and by what share.

    A projection moves them far at first only, to about the size that they had.
    """
    jumps = [_jump(earlier, later) for earlier, later in pairwise(steps)]
    known = [jump for jump in jumps if jump is not None]
    if not known:
        return None
    back, size, shrunk = known[0]
    if all(jump is not None and jump[0] for jump in jumps):
        return "after the update the weights are put back to what they were before", size
    if len(known) == len(jumps) and not back:
        return (
            f"between two updates the weights change by {size:.0%} of their size, not by the "
            "optimizer: made anew, loaded, or added to in the loop"
        ), size
    if shrunk < 0.2:
        return f"between two updates something shrinks the weights to {shrunk:.0%}", size
    return None


def _jump(earlier: Step, later: Step) -> tuple[bool, float, float] | None:
    """Whether weights went back, by what share they changed, and to what share of their size."""
    begins = later.at_forward or later.before
    if not begins or not earlier.after:
        return None
    change: Gradients = {
        n: begins[n].astype("f8") - a for n, a in earlier.after.items() if n in begins
    }
    size, weights = norm(change), norm(dict(earlier.after))
    if not math.isfinite(size) or size == 0 or weights == 0:
        return None
    back = cosine_of(change, _difference(earlier))
    moved = norm(_difference(earlier))
    if back is not None and back < -0.99 and size > 0.9 * moved:
        return True, size / weights, 1.0
    if size > 0.5 * weights and size > 5 * moved:
        return False, size / weights, norm(dict(begins)) / weights
    return None


def units_differ(tracer: Tracer) -> Finding:
    """Whether the units of a layer have different weights, or gradients that make them differ."""
    check = "units differ"
    steps = [s for s in tracer.steps if s.before and s.gradients]
    if not steps:
        return not_checked(check, "no update with gradients was seen")
    for name, module in tracer.model.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d) or module.weight.shape[-1] < 3:
            continue
        key = f"{name}.weight" if name else "weight"
        if all(_alike(s.before.get(key)) and _alike_gradient(s, key) for s in steps):
            first = steps[0].before[key].flat[0]
            return broken(
                check,
                f"all {module.weight.shape[-1]} units of {name} have the same weights "
                f"({first:.3g}, ...) and get the same gradient: they stay one and the same",
                "draw the weights at random, as the layers' default initialisation does",
                line_of(tracer.model),
                {"layer": name, "units": module.weight.shape[-1]},
            )
    return holds(check, "no layer's units are alike and stay so")


def _alike_gradient(step: Step, key: str) -> bool:
    """Whether all units get the same gradient, be it next to nothing beside the others'."""
    gradient = step.gradients.get(key)
    none = gradient is not None and np.abs(gradient).max() < 1e-6 * norm(step.gradients)
    return none or _alike(gradient)


def _alike(weight: Array | None) -> bool:
    """Whether all units' values are the same, and not all zero."""
    if weight is None or not weight.any():
        return False
    values = weight.reshape(-1, weight.shape[-1])
    return bool(np.abs(values - values[:, :1]).max() <= 1e-4 * np.abs(values).max())
