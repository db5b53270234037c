"""Some traced steps of one's own: their order, and the mode that they run in.

Reach: zero_grad, backward and step missing or in another order; training in evaluation mode; batch
norm over one or two images. What the gradients and the updates are is judged in `gradients` and
`updates`.
"""

from __future__ import annotations

from typing import Any

from minires.checks.gradients import norm, same_gradients
from minires.checks.places import line_of
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import host
from minires.checks.trace import Tracer, cares

ORDERLY = "zero_grad, then backward, then step"


def order(tracer: Tracer, step: Any = None) -> Finding:
    """Whether each update has gradients of its own batch; `step` is what was traced, if known."""
    check = "order of the step"
    steps = tracer.seen
    line = line_of(step) if step is not None else ""
    events = [event for one in steps for event in one.events]
    text = ", ".join(events[:8]) + (f", ... ({len(events)} in all)" if len(events) > 8 else "")
    numbers = {"events": events}
    at = tracer.line("step") or line
    moved = bool(tracer.moved())
    if "backward" not in events:
        if moved:
            return not_checked(check, "the weights move without backward")
        said = (
            f"no backward runs in the step ({text or 'nothing was called'}): there are no gradients"
        )
        return broken(check, said, "call loss.backward() before optimizer.step()", at, numbers)
    if "step" not in events:
        if moved:
            return holds(check, "the weights are updated without the optimizer", numbers)
        count = events.count("backward")
        said = f"optimizer.step is never called in {count} backward passes ({text})"
        return broken(check, said, "call optimizer.step() after backward", line, numbers)
    with_gradients = [s for s in tracer.steps if norm(s.at_step) != 0]
    if any(norm(s.gradients) != 0 for s in steps) and not with_gradients:
        said = f"optimizer.step finds no gradient: the order is {text}"
        return broken(check, said, ORDERLY, at, numbers)
    if any("backward" not in s.events for s in with_gradients):
        said = f"optimizer.step uses gradients that an earlier step has used: the order is {text}"
        return broken(check, said, ORDERLY, at, numbers)
    thrown = [s.thrown for s in tracer.steps if same_gradients(s.gradients, s.at_step)]
    if len(thrown) == len(tracer.steps) and min(thrown, default=0) > 8 * (len(thrown) < 2):
        said = f"zero_grad throws away the gradients of {min(thrown)} batches before each update"
        return broken(check, f"{said}: {text}", "call it once, after the update", at, numbers)
    stale = [s for s in steps if s.stale]
    if stale:
        return broken(
            check,
            f"gradients add up from step to step, for nothing sets them to zero: {text}",
            "call optimizer.zero_grad() once a step, before backward",
            next((s.lines["backward"] for s in stale if "backward" in s.lines), line),
            numbers,
        )
    return holds(check, text, numbers)


def mode(tracer: Tracer) -> Finding:
    """Whether the model trains in training mode."""
    check = "training mode"
    seen = [
        step.training[i]
        for step in tracer.seen
        for i, recording in enumerate(step.recording)
        if recording and i < len(step.training)
    ]
    caring = [m for m in tracer.model.modules() if cares(m)]
    if not seen:
        return not_checked(check, "no forward of the model was seen")
    if not caring:
        return holds(check, "no layer does something else in training")
    if any(seen):
        return holds(check, "the step runs the model in training mode")
    if any(
        host(m.running_mean).any() for m in caring if getattr(m, "running_mean", None) is not None
    ):
        return not_checked(check, "batch norm keeps statistics that were learnt before")
    kinds = ", ".join(sorted({type(m).__name__ for m in caring}))
    return broken(
        check,
        f"the step runs the model in evaluation mode: {kinds} do not train",
        "call model.train() before the training steps, after every evaluation",
        tracer.line("forward"),
    )


def images_for_batch_norm(tracer: Tracer) -> Finding:
    """Whether batch norm's mean and variance are of more than two images."""
    check = "images for batch norm"
    sizes = [s.normalised for s in tracer.seen if s.normalised is not None]
    if not sizes:
        return holds(check, "no batch norm takes statistics in the step")
    size = max(sizes)
    if size > 2:
        return holds(check, f"{size} images at a time", {"images": size})
    return broken(
        check,
        f"batch norm takes its mean and variance from {size} image{'s' if size > 1 else ''} at a "
        "time: they scatter, and those of evaluation are others",
        "train on batches of 16 and more, or use GroupNorm",
        tracer.line("forward"),
        {"images": size},
    )
