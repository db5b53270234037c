"""Three traced steps of one's own: order, mode, and which gradient arrives at the update.

Reach: zero_grad, backward and step missing or in another order; training in evaluation mode; no
gradient at the loss or behind a detach; layers that are never run; gradients that are zero, vanish,
overflow, are clipped to nothing or are swallowed by a penalty; steps uphill; weights reset between
steps, or not moved; a step of another model.
Not in reach: a rate that is merely too small or too large.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from minires.checks.places import line_of_function, listed
from minires.checks.report import Finding
from minires.checks.setup import Array, host
from minires.checks.trace import Step, Tracer, cares
from minires.optim import SGD

VANISHED = 1e-6  # the first layer's gradient over the last one's
CLIPPED = 0.01  # the norm at the update over that after backward

NAMES = (
    "order of the step",
    "training mode",
    "gradients reach the parameters",
    "gradients arrive at the update",
    "weights move",
)


def check_trace(tracer: Tracer, step: Any = None) -> Iterator[Finding]:
    """What three steps show by themselves; `step` is the function that was traced, if known."""
    line = line_of_function(step) if step is not None else ""
    yield order(tracer, line)
    yield mode(tracer)
    yield reach(tracer)
    yield arrive(tracer)
    yield move(tracer, line)


def _seen(tracer: Tracer) -> list[Step]:
    """The steps, and what came after the last update."""
    return [*tracer.steps, tracer.now] if tracer.now.events else tracer.steps


def order(tracer: Tracer, line: str = "") -> Finding:
    """Whether each update has gradients of its own batch."""
    check = NAMES[0]
    steps = _seen(tracer)
    events = [event for step in steps for event in step.events]
    text = ", ".join(events[:8])
    numbers = {"events": events}
    at = next((s.lines["step"] for s in steps if "step" in s.lines), line)
    if "backward" not in events:
        if tracer.parameters and _moved_by_hand(tracer):
            return Finding(check, "not checked", "the weights move without backward")
        return Finding(
            check,
            "broken",
            f"no backward runs in the step ({text or 'nothing was called'}): there"
            " are no gradients",
            numbers,
            at or line,
            "call loss.backward() before optimizer.step()",
        )
    if "step" not in events:
        if _moved_by_hand(tracer):
            return Finding(check, "holds", "the weights are updated without the optimizer", numbers)
        return Finding(
            check,
            "broken",
            f"optimizer.step is never called ({text})",
            numbers,
            line,
            "call optimizer.step() after backward",
        )
    with_gradients = [s for s in tracer.steps if norm(s.at_step) != 0]
    there = any(norm(s.gradients) != 0 for s in steps)
    if there and not with_gradients:
        return Finding(
            check,
            "broken",
            f"optimizer.step finds no gradient: the order is {text}",
            numbers,
            at,
            "zero_grad, then backward, then step",
        )
    if any("backward" not in s.events for s in with_gradients):
        return Finding(
            check,
            "broken",
            f"optimizer.step uses gradients that an earlier step has used: the order is {text}",
            numbers,
            at,
            "zero_grad, then backward, then step",
        )
    if any(step.stale for step in steps):
        return Finding(
            check,
            "broken",
            f"gradients add up from step to step, for nothing sets them to zero: {text}",
            numbers,
            next((s.lines["backward"] for s in steps if s.stale and "backward" in s.lines), line),
            "call optimizer.zero_grad() once a step, before backward",
        )
    return Finding(check, "holds", text, numbers)


def _moved_by_hand(tracer: Tracer) -> bool:
    first = next((s.at_forward for s in _seen(tracer) if s.at_forward), {})
    return any(
        not np.array_equal(host(p), first[n], equal_nan=True)
        for n, p in tracer.parameters.items()
        if n in first
    )


def mode(tracer: Tracer) -> Finding:
    """Whether the model trains in training mode."""
    check = NAMES[1]
    steps = _seen(tracer)
    seen = [
        step.training[i]
        for step in steps
        for i, recording in enumerate(step.recording)
        if recording and i < len(step.training)
    ]
    caring = sorted({type(m).__name__ for m in tracer.model.modules() if cares(m)})
    if not seen:
        return Finding(check, "not checked", "no forward of the model was seen")
    if not caring:
        return Finding(check, "holds", "no layer does something else in training")
    if not any(seen):
        return Finding(
            check,
            "broken",
            f"the step runs the model in evaluation mode: {', '.join(caring)} do not train",
            {},
            next((s.lines["forward"] for s in steps if "forward" in s.lines), ""),
            "call model.train() before the training steps, after every evaluation",
        )
    return Finding(check, "holds", "the step runs the model in training mode")


def reach(tracer: Tracer) -> Finding:
    """Whether backward leaves a gradient on every parameter that wants one."""
    check = NAMES[2]
    steps = [s for s in _seen(tracer) if "backward" in s.events]
    line = line_of_function(tracer.model)
    recording = [r for s in _seen(tracer) for r in s.recording]
    if recording and not any(recording):
        return Finding(
            check,
            "broken",
            "the model's output wants no gradient: no_grad is on, or it is detached",
            {},
            next((s.lines["forward"] for s in _seen(tracer) if "forward" in s.lines), line),
            "run the model outside no_grad, and detach nothing",
        )
    if not steps:
        return Finding(check, "not checked", "no backward was seen")
    wanting = {n: p for n, p in tracer.parameters.items() if p.requires_grad}
    if not wanting:
        return Finding(check, "not checked", "no parameter wants a gradient")
    shapes = sorted({s for step in steps for s in step.strangers})
    none = [n for n in wanting if all(s.gradients.get(n) is None for s in steps)]
    total = sum(p.size for p in wanting.values())
    share = sum(wanting[n].size for n in none) / total
    numbers: dict[str, Any] = {"without": none, "share": share, "strangers": shapes}
    if none:
        idle = [n for n in none if n.rpartition(".")[0] not in tracer.called]
        why = "is never run" if len(idle) == len(none) else "is run, but cut off from the loss"
        return Finding(
            check,
            "broken",
            f"no gradient reaches {listed(none)} ({share:.0%} of the parameters' numbers), which "
            f"{why}",
            numbers,
            line,
            "use the layer's result; look for detach, data, numpy and no_grad between it and the "
            "loss",
        )
    if shapes:
        return Finding(
            check,
            "broken",
            f"gradients reach {len(shapes)} tensors that are neither the model's parameters nor in "
            f"the optimizer, of shape {listed([str(s) for s in shapes])}: they never learn",
            numbers,
            line,
            "make them nn.Parameters of the model, and layers its attributes or a ModuleList",
        )
    bad = [
        n
        for n in wanting
        if any(g is not None and not np.isfinite(g).all() for s in steps for g in [s.gradients[n]])
    ]
    if bad:
        losses = [s.loss for s in steps]
        return Finding(
            check,
            "broken",
            f"gradients of {listed(bad)} are NaN or infinite within {len(steps)} steps (losses "
            f"{', '.join('-' if v is None else f'{v:.3g}' for v in losses)})",
            numbers,
            line,
            "minires.detect_nonfinite() names the operation",
        )
    zero = [n for n in wanting if all(_is_zero(s.gradients[n]) for s in steps)]
    dead = sum(wanting[n].size for n in zero) / total
    numbers["zero"] = zero
    if dead > 0.5:
        return Finding(
            check,
            "broken",
            f"the gradient is exactly 0 in all {len(steps)} steps for {dead:.0%} of the "
            f"parameters' numbers: {listed(zero)}",
            numbers,
            line,
            "look for dead or saturated units, a loss that is cut off, or float16 that underflows",
        )
    sizes = [(n, _rms(steps[-1].gradients[n])) for n, p in wanting.items() if p.ndim > 1]
    sizes = [(n, size) for n, size in sizes if size is not None]
    if len(sizes) > 2 and sizes[-1][1] > 0:
        ratio = sizes[0][1] / sizes[-1][1]
        numbers["first over last"] = ratio
        if ratio < VANISHED:
            return Finding(
                check,
                "broken",
                f"gradients vanish on their way: they measure {sizes[-1][1]:.1g} in {sizes[-1][0]} "
                f"and {sizes[0][1]:.1g} in {sizes[0][0]}",
                numbers,
                line,
                "use ReLU instead of sigmoid, batch norm, or shortcuts",
            )
    return Finding(check, "holds", f"all {len(wanting)} parameters get a gradient", numbers)


def _is_zero(gradient: Array | None) -> bool:
    return gradient is None or not gradient.any()


def _rms(gradient: Array | None) -> Any:
    return None if gradient is None else math.sqrt(float((gradient.astype("f8") ** 2).mean()))


def norm(gradients: dict[str, Array | None]) -> float:
    """The joint norm."""
    return math.sqrt(
        sum(float((g.astype("f8") ** 2).sum()) for g in gradients.values() if g is not None)
    )


def arrive(tracer: Tracer) -> Finding:
    """Whether the update uses the gradients that backward left, in about their size."""
    check = NAMES[3]
    pairs = [
        (norm(s.gradients), norm(s.at_step))
        for s in tracer.steps
        if s.events[-2:] and "backward" in s.events and s.at_step
    ]
    pairs = [(a, b) for a, b in pairs if a > 0 and b > 0 and math.isfinite(a)]
    if not pairs:
        return Finding(check, "not checked", "no update with gradients was seen")
    ratios = [b / a for a, b in pairs]
    numbers = {"after backward": [a for a, _ in pairs], "at the update": [b for _, b in pairs]}
    rate = max(group["lr"] for group in tracer.optimizer.param_groups)
    tiny = all(rate * norm(s.at_step) < 1e-5 * norm(dict(s.before)) for s in tracer.steps)
    if max(ratios) < CLIPPED and isinstance(tracer.optimizer, SGD) and tiny:
        return Finding(
            check,
            "broken",
            f"the gradients' norm is {pairs[0][0]:.3g} after backward and {pairs[0][1]:.3g} at the "
            "update: clipping or scaling leaves next to nothing of them",
            numbers,
            next((s.lines["step"] for s in tracer.steps if "step" in s.lines), ""),
            "clip at about the norm that gradients have, such as 1",
        )
    return Finding(
        check,
        "holds",
        f"their norm is {pairs[0][0]:.3g} after backward and {pairs[0][1]:.3g} at the update",
        numbers,
    )


def _relative_move(step: Step) -> float:
    moved = math.sqrt(
        sum(
            float(((step.after[n] - b).astype("f8") ** 2).sum())
            for n, b in step.before.items()
            if n in step.after
        )
    )
    size = norm(dict(step.before))
    return moved / size if size else math.inf


def move(tracer: Tracer, line: str = "") -> Finding:
    """Whether updates move the weights, downhill, and nothing else moves them."""
    check = NAMES[4]
    steps = tracer.steps
    if not steps or not any(norm(s.at_step) > 0 for s in steps):
        return Finding(check, "not checked", "no update with gradients was seen")
    line = next((s.lines["step"] for s in steps if "step" in s.lines), line)
    first = steps[0]
    if not any(_relative_move(s) > 0 for s in steps):
        rates = sorted({group["lr"] for group in tracer.optimizer.param_groups})
        return Finding(
            check,
            "broken",
            f"no weight moves in {len(steps)} updates, though there are gradients (rate "
            f"{', '.join(f'{r:g}' for r in rates)})",
            {"rates": rates},
            line,
            "look at the learning rate, at its schedule, and at float16 weights that round it away",
        )
    for earlier, later in pairwise(steps):
        jump = _jump(earlier, later)
        if jump is not None:
            return Finding(
                check,
                "broken",
                jump[0],
                {"change": jump[1]},
                line,
                "make and load the model once, before the loop",
            )
    slopes = [cosine_of(_difference(s), s.at_step) for s in (first,)]
    if slopes[0] is not None and slopes[0] > 0.3:
        return Finding(
            check,
            "broken",
            f"the update goes up the gradient (cosine {slopes[0]:.2f})",
            {"cosine": slopes[0]},
            line,
            "subtract the gradient",
        )
    sizes = [_relative_move(s) for s in steps]
    return Finding(
        check,
        "holds",
        f"an update moves the weights by {max(sizes):.1g} of their size",
        {"relative": sizes},
    )


def _difference(step: Step) -> dict[str, Array | None]:
    return {n: step.after[n].astype("f8") - b for n, b in step.before.items() if n in step.after}


def _jump(earlier: Step, later: Step) -> tuple[str, float] | None:
    """Whether the weights were replaced between one update and the next forward."""
    begins = later.at_forward or later.before
    if not begins or not earlier.after:
        return None
    change: dict[str, Array | None] = {
        n: begins[n].astype("f8") - a for n, a in earlier.after.items() if n in begins
    }
    size, weights = norm(change), norm(dict(earlier.after))
    if not math.isfinite(size) or size == 0 or weights == 0:
        return None
    back = cosine_of(change, _difference(earlier))
    moved = norm(_difference(earlier))
    if back is not None and back < -0.99 and size > 0.9 * moved:
        return "after the update the weights are put back to what they were before", size / weights
    if size > 0.5 * weights and size > 5 * moved:
        return (
            f"between two updates the weights change by {size / weights:.0%} of their size, not by "
            "the optimizer: the model is made or loaded anew in the loop"
        ), size / weights
    return None


def cosine_of(a: dict[str, Array | None], b: dict[str, Array | None]) -> float | None:
    dot = first = second = 0.0
    for name, value in a.items():
        other = b.get(name)
        if value is None or other is None:
            continue
        x, y = value.astype("f8").ravel(), other.astype("f8").ravel()
        dot, first, second = dot + float(x @ y), first + float(x @ x), second + float(y @ y)
    if not first or not second or not math.isfinite(dot):
        return None
    return dot / math.sqrt(first * second)
