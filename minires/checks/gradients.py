"""The gradients of traced steps: whether they reach the parameters, and arrive at the update.

Reach: no gradient at the loss or behind a detach; layers that are never run, or that no step ever
gives a gradient; gradients that are zero, vanish, overflow; that something between backward and the
update turns around, buries in noise or clips to nothing.
Not in reach: clipping and noise that leave something of the gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minires.checks.places import line_of, listed
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Array
from minires.checks.trace import Tracer
from minires.optim import SGD

VANISHED = 1e-6  # the first layer's gradient over the last one's
CLIPPED = 0.01  # the norm at the update over that after backward
BURIED = 10.0  # the same, of gradients that point elsewhere

Gradients = dict[str, Array | None]


def reach(tracer: Tracer, idle: list[str] | None = None, looked: int = 3) -> Finding:
    """Whether backward leaves a gradient on every parameter that wants one.

    Parameters
    ----------
    tracer : Tracer
    idle : list of str, optional
        Those that had none in `looked` steps, where more were taken than traced: layers that are
        left out at random, or that wait for one that starts at zero, have one sooner or later.
    looked : int
    """
    check = "gradients reach the parameters"
    steps = [s for s in tracer.seen if "backward" in s.events]
    line = tracer.line("backward") or line_of(tracer.model)
    recording = [r for s in tracer.seen for r in s.recording]
    if recording and not any(recording):
        return broken(
            check,
            "the model's output wants no gradient: no_grad is on, or it is detached",
            "run the model outside no_grad, and detach nothing",
            tracer.line("forward") or line,
        )
    wanting = {n: p for n, p in tracer.parameters.items() if p.requires_grad}
    if not steps or not wanting:
        return not_checked(check, "no backward was seen, or no parameter wants a gradient")
    total = sum(p.size for p in wanting.values())

    def share(names: list[str]) -> float:
        return float(sum(wanting[n].size for n in names) / total)

    silent = [n for n in wanting if all(_is_zero(s.gradients.get(n)) for s in steps)]
    if idle is not None:
        silent = [n for n in silent if n in idle]
    none = [n for n in silent if all(s.gradients.get(n) is None for s in steps)]
    zero = [n for n in silent if n not in none]
    shapes = sorted({s for step in steps for s in step.strangers()})
    numbers: dict[str, Any] = {"without": none, "share": share(none), "strangers": shapes}
    numbers["zero"] = zero
    if none:
        unused = [n for n in none if n.rpartition(".")[0] not in tracer.called]
        why = "is never run" if len(unused) == len(none) else "is run, but cut off from the loss"
        return broken(
            check,
            f"no gradient reaches {listed(none)} ({share(none):.0%} of the parameters' numbers) in "
            f"{looked} steps, which {why}",
            "use the layer's result; look for detach, data, numpy and no_grad between it and the "
            "loss",
            line,
            numbers,
        )
    if shapes:
        return broken(
            check,
            f"gradients reach {len(shapes)} tensors that are neither the model's parameters nor in "
            f"the optimizer, of shape {listed([str(s) for s in shapes])}: they never learn",
            "make them nn.Parameters of the model, and layers its attributes or a ModuleList",
            line,
            numbers,
        )
    grads = [(n, g) for n in wanting for s in steps if (g := s.gradients.get(n)) is not None]
    bad = list(dict.fromkeys(n for n, g in grads if not np.isfinite(g).all()))
    if bad:
        losses = ", ".join("-" if s.loss is None else f"{s.loss:.3g}" for s in steps)
        return broken(
            check,
            f"gradients of {listed(bad)} are NaN or infinite within {len(steps)} steps (losses "
            f"{losses})",
            "minires.detect_nonfinite() names the operation",
            line,
            numbers,
        )
    passing = any(
        p in tracer.zero_at_first and any(not _is_zero(s.gradients.get(p)) for s in steps)
        for p in wanting
    )
    matrices = [n for n in zero if wanting[n].ndim > 1] if idle is not None and looked > 9 else []
    if (share(zero) > 0.5 and (idle is not None or not passing)) or matrices:
        return broken(
            check,
            f"the gradient is exactly 0 in all {looked} steps for {share(zero):.0%} of the "
            f"parameters' numbers: {listed(zero)}",
            "look for dead or saturated units, a loss that is cut off, a layer that drops all, or "
            "float16 that underflows",
            line,
            numbers,
        )
    sizes = [(n, _rms(steps[-1].gradients.get(n))) for n, p in wanting.items() if p.ndim > 1]
    sizes = [(n, size) for n, size in sizes if size is not None]
    if len(sizes) > 2 and sizes[-1][1] > 0 and not passing:
        numbers["first over last"] = sizes[0][1] / sizes[-1][1]
        if numbers["first over last"] < VANISHED:
            return broken(
                check,
                f"gradients vanish on their way: they measure {sizes[-1][1]:.1g} in {sizes[-1][0]} "
                f"and {sizes[0][1]:.1g} in {sizes[0][0]}",
                "use ReLU instead of sigmoid, batch norm, or shortcuts",
                line,
                numbers,
            )
    return holds(check, f"all {len(wanting)} parameters get a gradient", numbers)


def silent_parameters(tracer: Tracer) -> list[str]:
    """Which parameters had no gradient in any traced step, or one of zeros."""
    steps = [s for s in tracer.seen if "backward" in s.events]
    wanting = [n for n, p in tracer.parameters.items() if p.requires_grad]
    return [n for n in wanting if steps and all(_is_zero(s.gradients.get(n)) for s in steps)]


def _is_zero(gradient: Array | None) -> bool:
    return gradient is None or not gradient.any()


def _rms(gradient: Array | None) -> Any:
    return None if gradient is None else math.sqrt(float((gradient.astype("f8") ** 2).mean()))


def arrive(tracer: Tracer, own: float | None = None) -> Finding:
    """Whether the update uses the gradients that backward left, in about their size.

    Parameters
    ----------
    tracer : Tracer
    own : float, optional
        The norm of the loss's own gradient in the first step: what a scaled loss is divided by
        again does not shrink.
    """
    check = "gradients arrive at the update"
    steps = [s for s in tracer.steps if "backward" in s.events and s.at_step]
    steps = [s for s in steps if 0 < norm(s.gradients) < math.inf and norm(s.at_step) > 0]
    if not steps:
        return not_checked(check, "no update with gradients was seen")
    after, there = [norm(s.gradients) for s in steps], [norm(s.at_step) for s in steps]
    ratios = [b / a for a, b in zip(after, there, strict=True)]
    cosines = [cosine_of(s.gradients, s.at_step) or 0.0 for s in steps]
    turned = [
        n
        for n, p in tracer.parameters.items()
        if p.ndim > 1 and all(_along(s.gradients.get(n), s.at_step.get(n)) < -0.9 for s in steps)
    ]
    numbers = {"after backward": after, "at the update": there, "cosines": cosines}
    tiny = all(max(s.rates) * norm(s.at_step) < 1e-5 * norm(dict(s.before)) for s in steps)
    kept = there[0] / own if own else 0.0
    text = f"the gradients' norm is {after[0]:.3g} after backward and {there[0]:.3g} at the update"
    said = advice = ""
    if turned:
        said = f"the gradient of {listed(turned)} is turned around between backward and the update"
        advice = "take away the minus sign, or the hook that puts it there"
    elif max(cosines) < 0.1 and min(ratios) > BURIED:
        said = f"{text}, where it points elsewhere (cosine {max(cosines):.2g}): noise buries it"
        advice = "add less to the gradients than they are"
    elif (
        max(ratios) < CLIPPED > kept
        and isinstance(tracer.optimizer, SGD)
        and tiny
        and min(s.rates[0] for s in steps) > 0
    ):
        said = f"{text}: clipping or scaling leaves next to nothing of them"
        advice = "clip at about the norm that gradients have, such as 1"
    if said:
        return broken(check, said, advice, tracer.line("step"), numbers)
    return holds(check, text, numbers)


def _along(a: Array | None, b: Array | None) -> float:
    return cosine_of({"": a}, {"": b}) or 0.0


def norm(gradients: Gradients) -> float:
    """The joint norm."""
    return math.sqrt(
        sum(float((g.astype("f8") ** 2).sum()) for g in gradients.values() if g is not None)
    )


def same_gradients(a: Gradients, b: Gradients) -> bool:
    """Whether two sets of gradients are the same to the bit."""
    return all(
        v is w or (v is not None and w is not None and np.array_equal(v, w))
        for v, w in ((a[n], b.get(n)) for n in a)
    )


def cosine_of(a: Gradients, b: Gradients) -> float | None:
    """Of the angle between two sets of gradients; None if one is zero or not finite."""
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
