"""The end of the network beside the loss: whether outputs may go where the loss wants them.

Reach: softmax, sigmoid, tanh or ReLU before a loss that has its own softmax; one bounded output for
labels beyond its bounds; outputs that are made very small.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.checks.forward import Seen
from minires.checks.free_logits import FreeLogits, is_log_probabilities, is_probabilities
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import as_input, host, kept_model
from minires.grad_mode import no_grad

SMALL = 3e-3  # outputs over those of the last layer
ROOM = {True: 0.05, False: 0.3}
"""Part of the way down that the loss cannot go, with a softmax of its own or without."""


def outputs_fit_loss(model: Any, inputs: Any, free: FreeLogits, seen: Seen) -> Finding:
    """Whether the outputs may take any value that the loss asks for."""
    check, outputs = "outputs are logits", seen.outputs
    if not outputs.size:
        return not_checked(check, f"outputs of shape {outputs.shape} are none")
    if is_log_probabilities(outputs):
        return holds(check, "outputs are log-probabilities; a softmax keeps them")
    labels = host(free.labels)
    sums = labels.sum(-1) if labels.shape == outputs.shape else np.zeros(1)
    if is_probabilities(outputs) and sums.max() > 1.5 and np.isin(labels, (0, 1)).all():
        text = f"each row of the outputs sums to 1, and labels' rows sum to up to {sums.max():g}"
        advice = "use a sigmoid where several labels may hold together"
        return broken(check, f"{text}: a softmax lets them compete", advice, seen.line)
    try:
        inside = outputs.ndim > 1 and outputs.shape[-1] > 1 and free.shift_invariant
        return _judged(check, model, inputs, free, seen, inside)
    except TimeoutError as error:
        return not_checked(check, str(error))
    except Exception as error:
        reason = f"the loss raises {type(error).__name__} for other logits: {error}"
        return not_checked(check, reason)


def _judged(
    check: str, model: Any, inputs: Any, free: FreeLogits, seen: Seen, inside: bool
) -> Finding:
    outputs = seen.outputs
    advice = "return the last layer's values as they are: the loss has the softmax in it"
    if not inside:
        advice = "return the last layer's values as they are, or scale the labels to these bounds"
    probabilities = is_probabilities(outputs)
    zeros = float((outputs == 0).mean())
    clipped = (outputs >= 0).all() and outputs.any() and zeros > 0.05
    if inside and not probabilities and (clipped or seen.operation == "relu"):
        return broken(
            check,
            f"no output is negative and {zeros:.0%} are exactly 0, which get no gradient: they "
            "went through a ReLU",
            advice,
            seen.line,
            {"zeros": zeros},
        )
    factor = _factor(seen) if inside else None
    if factor is not None and abs(factor[1]) <= SMALL:
        return broken(
            check,
            f"the outputs are {factor[1]:.3g} times what {factor[0]} gives: so are all gradients",
            advice,
            seen.line,
            {"factor": factor[1]},
        )
    bounds = (0.0, 1.0) if probabilities else _bounds(model, inputs)
    if bounds is None:
        text = f"outputs from {outputs.min():.3g} to {outputs.max():.3g}, without a bound"
        return holds(check, text)
    least, lacking = free.room(*bounds)
    numbers = {"bounds": list(bounds), "least loss": least, "lacking": lacking}
    if not lacking > ROOM[inside]:
        kind = (
            "probabilities" if probabilities else f"values from {bounds[0]:.3g} to {bounds[1]:.3g}"
        )
        return holds(check, f"the loss takes {kind}: it is least within them", numbers)
    if probabilities and inside:
        text = (
            "double softmax: each row of the outputs sums to 1, and the loss takes a softmax of "
            f"its own. It cannot fall below {least:.2f} with these"
        )
        return broken(check, text, advice, seen.line, {**numbers, "row sum": 1.0})
    return broken(
        check,
        f"outputs stay between {bounds[0]:.3g} and {bounds[1]:.3g} even with weights 100 times as "
        f"large: the loss cannot fall below {least:.3g} with these, and falls to "
        f"{free.descended.end:.2g} with outputs that are free",
        advice,
        seen.line,
        numbers,
    )


def _factor(seen: Seen) -> tuple[str, float] | None:
    """The last layer that has weights, and the outputs over its own, if that is one number."""
    learning = [
        (name, out.astype(np.float64))
        for name, module, _, out in seen.layers
        if any(True for _ in module.parameters())
    ]
    if not learning or learning[-1][1].shape != seen.outputs.shape or not learning[-1][1].any():
        return None
    name, last = learning[-1]
    factor = float((last * seen.outputs).sum() / (last**2).sum())
    rest = np.abs(seen.outputs - factor * last).max()
    return (name, factor) if factor and rest < 1e-3 * np.abs(seen.outputs).max() else None


def _bounds(model: Any, inputs: Any) -> tuple[float, float] | None:
    """What the outputs keep within, if ever larger weights do not enlarge them."""
    found = []
    for factor in (30, 1000):
        with kept_model(model), no_grad(), np.errstate(all="ignore"):
            for parameter in model.parameters():
                parameter.data[...] = parameter.data * factor
            model.train()
            out = host(model(as_input(model, inputs))).astype(np.float64)
        if not np.isfinite(out).all() or np.abs(out).max() > 1.0001:
            return None
        found.append((float(out.min()), float(out.max())))
    (low, high), (lower, higher) = found
    steady = 0.2 < higher - lower < 1.5 * (high - low)
    return (lower, higher) if steady else None
