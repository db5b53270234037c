"""One forward: what the network does with a batch, before it has learnt anything.

Reach: softmax, sigmoid, tanh or ReLU before a loss that has its own softmax; a network that is one
linear map; draws or other images that change an answer in evaluation; units dead or saturated;
layers after which all images look alike; a batch norm whose eps is far above the variance; values
that are not finite.
Not in reach: whether a network is large enough, or its kernel sizes make sense.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires import nn
from minires.checks.loss_alone import is_log_probabilities, is_probabilities, is_shift_invariant
from minires.checks.places import line_of_function, listed, own_line
from minires.checks.report import Finding
from minires.checks.setup import Array, as_input, host, kept_model, logits
from minires.engine import enable_grad, no_grad
from minires.tensors import Tensor

DEAD = 0.8  # share of a layer's units
SATURATED = 0.7  # share of a layer's values
ALIKE = 1e-4  # spread between images over the size of the values


@dataclass
class Seen:
    """A forward in training mode: each layer's output, in order."""

    outputs: Array
    line: str  # which line made the outputs
    operation: str  # which made them
    layers: list[tuple[str, Any, Array, Array]] = field(default_factory=list)  # with the input


def look(model: Any, inputs: Any) -> Seen:
    """One forward in training mode, every layer's output noted; nothing is changed."""
    found: list[tuple[str, Any, Array, Array]] = []
    handles = []

    def noting(name: str) -> Callable[..., None]:
        def note(module: Any, args: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                given = args[0] if args and isinstance(args[0], Tensor) else out
                found.append((name, module, host(given), host(out)))

        return note

    for name, module in model.named_modules():
        if not module._modules:
            handles.append(module.register_forward_hook(noting(name)))
    try:
        with kept_model(model), enable_grad():
            model.train()
            out = model(as_input(model, inputs))
            node = out.node if isinstance(out, Tensor) else None
            line = node.line() if node else ""
            operation = node.op.name if node and node.op else ""
    finally:
        for handle in handles:
            handle.remove()
    return Seen(host(out).astype(np.float64), own_line(line), operation, found)


def check_forward(model: Any, inputs: Any, labels: Any, loss: Any, seen: Seen) -> list[Finding]:
    """Every check of one forward."""
    if host(inputs).dtype.kind == "f" and not np.isfinite(host(inputs)).all():
        return [Finding("forward is finite", "not checked", "the inputs are not finite")]
    found = [finite(seen)]
    if found[0].verdict == "broken":
        return found
    found.append(outputs_fit_loss(model, inputs, labels, loss, seen))
    found.append(depends_on_image(seen))
    found += [nonlinear(model, inputs), *evaluation_repeats(model, inputs)]
    found += [units_alive(seen), normalised(seen)]
    return found


def finite(seen: Seen) -> Finding:
    """Whether every layer's output is finite."""
    for name, module, _, out in seen.layers:
        if not np.isfinite(out).all():
            kind = type(module).__name__
            half = " in float16, whose largest number is 65,504" if out.dtype == np.float16 else ""
            return Finding(
                "forward is finite",
                "broken",
                f"{name} ({kind}) gives {np.sum(~np.isfinite(out)):,} NaN or infinite values{half}",
                {"layer": name},
                seen.line,
                "scale the inputs, initialise with smaller weights, or compute in float32",
            )
    if not np.isfinite(seen.outputs).all():
        return Finding(
            "forward is finite",
            "broken",
            "the outputs are not finite, though each layer's are",
            {},
            seen.line,
            "look at what forward does beside its layers",
        )
    return Finding(
        "forward is finite",
        "holds",
        f"outputs of shape {seen.outputs.shape}, at most {np.abs(seen.outputs).max():.3g}",
        {"largest": float(np.abs(seen.outputs).max())},
    )


# ------------------------------------------------------------------ the end


def outputs_fit_loss(model: Any, inputs: Any, labels: Any, loss: Any, seen: Seen) -> Finding:
    """Whether the outputs may take any value, if the loss has a softmax of its own."""
    check, outputs = "outputs are logits", seen.outputs
    classes = outputs.shape[-1] if outputs.ndim > 1 else 0
    if classes < 2:
        return Finding(check, "not checked", f"outputs of shape {outputs.shape} are no classes")
    if is_log_probabilities(outputs):
        return Finding(check, "holds", "outputs are log-probabilities; a softmax keeps them")
    try:
        inside = is_shift_invariant(loss, labels, outputs.shape)
    except Exception as error:
        return Finding(
            check,
            "not checked",
            f"the loss raises {type(error).__name__} for other logits: {error}",
        )
    if not inside:
        kind = "probabilities" if is_probabilities(outputs) else "values"
        return Finding(check, "holds", f"the loss takes {kind}: it has no softmax of its own")
    advice = "return the last layer's values as they are: the loss has the softmax in it"
    if is_probabilities(outputs):
        low = _least_loss(0, 1, classes)
        return Finding(
            check,
            "broken",
            f"double softmax: each row of the outputs sums to 1, and the loss takes a softmax of "
            f"its own. A cross-entropy of these cannot fall below {low:.2f}",
            {"row sum": 1.0, "least loss": low},
            seen.line,
            advice,
        )
    zeros = float((outputs == 0).mean())
    clipped = (outputs >= 0).all() and outputs.any() and zeros > 0.05
    if clipped or seen.operation == "relu":
        return Finding(
            check,
            "broken",
            f"no output is negative and {zeros:.0%} are exactly 0, which get no gradient: they "
            "went through a ReLU",
            {"zeros": zeros},
            seen.line,
            advice,
        )
    factor = _factor(seen)
    if factor is not None and abs(factor) <= 0.01:
        return Finding(
            check,
            "broken",
            f"the outputs are {factor:.3g} times what {seen.layers[-1][0]} gives: so are all "
            "gradients",
            {"factor": factor},
            seen.line,
            advice,
        )
    bounds = _bounds(model, inputs)
    if bounds is not None and (outputs.max() > outputs.min()):
        low = _least_loss(*bounds, classes)
        if low > 0.05:
            return Finding(
                check,
                "broken",
                f"outputs stay between {bounds[0]:.3g} and {bounds[1]:.3g} even with weights 100 "
                f"times as large: a cross-entropy of these cannot fall below {low:.2f}",
                {"bounds": list(bounds), "least loss": low},
                seen.line,
                advice,
            )
    return Finding(
        check, "holds", f"outputs from {outputs.min():.3g} to {outputs.max():.3g}, without a bound"
    )


def _factor(seen: Seen) -> float | None:
    """The outputs over those of the last layer, if that is one number."""
    last = seen.layers[-1][3].astype(np.float64) if seen.layers else None
    if last is None or last.shape != seen.outputs.shape or not last.any():
        return None
    factor = float((last * seen.outputs).sum() / (last**2).sum())
    rest = np.abs(seen.outputs - factor * last).max()
    return factor if factor and rest < 1e-3 * np.abs(seen.outputs).max() else None


def _least_loss(low: float, high: float, classes: int) -> float:
    """The least cross-entropy of logits in these bounds."""
    return math.log1p((classes - 1) * math.exp(low - high))


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


# ------------------------------------------------------------------ between images


def depends_on_image(seen: Seen) -> Finding:
    """Whether different images still differ at every layer."""
    check = "images differ at the output"
    first = seen.layers[0][2] if seen.layers else None
    if len(seen.outputs) < 2 or first is None or _spread(first) < ALIKE:
        return Finding(check, "not checked", "the batch has no two different images")
    end = _spread(seen.outputs)
    numbers: dict[str, Any] = {"spread": end}
    if end >= ALIKE:
        return Finding(
            check, "holds", f"outputs differ between images by {end:.1%} of their size", numbers
        )
    same = [out for out in seen.layers if len(out[3]) == len(seen.outputs)]
    where = next((n for n, _, _, out in same if _spread(out) < ALIKE), "")
    numbers["layer"] = where
    place = f"from {where} on" if where else "though no layer's are alike"
    return Finding(
        check,
        "broken",
        f"the outputs differ between images by {end:.1g} of their size, {place}: the network "
        "answers all images alike",
        numbers,
        seen.line,
        "look at this layer's weights and at what forward multiplies or pools there",
    )


def _spread(values: Array) -> float:
    values = values.reshape(len(values), -1).astype(np.float64)
    size = math.sqrt(float((values**2).mean()))
    return math.sqrt(float(values.var(0).mean())) / size if size > 0 else 0.0


def nonlinear(model: Any, inputs: Any) -> Finding:
    """Whether f(a) + f(b) = f(a + b) + f(0) at every scale: the network is one linear map."""
    check = "network is not linear"
    layers = [m for m in model.modules() if getattr(m, "weight", None) is not None]
    if sum(isinstance(m, nn.Linear | nn.Conv2d) for m in layers) < 2:
        return Finding(check, "holds", "there is one layer of weights, or none that is known")
    x = host(inputs)
    if x.dtype.kind != "f" or len(x) < 2 or not np.isfinite(x).all():
        return Finding(check, "not checked", "the inputs are no finite floating-point numbers")
    half = min(len(x) // 2, 16)
    scale = float(np.abs(x).max()) or 1.0
    a, b = x[:half] / scale, x[half : 2 * half] / scale
    zero = np.zeros_like(a)
    worst = 0.0
    for size in (1.0, 10.0, 100.0):
        try:
            at = [logits(model, v.astype(x.dtype)) for v in (a * size, b * size, (a + b) * size)]
            base = logits(model, zero.astype(x.dtype))
        except Exception as error:
            return Finding(
                check, "not checked", f"the model raises {type(error).__name__}: {error}"
            )
        left = np.abs(at[0] + at[1] - at[2] - base).max()
        moved = max(np.abs(v - base).max() for v in at)
        if not np.isfinite(left) or moved < 1e-4 * max(np.abs(base).max(), 1e-12):
            return Finding(check, "not checked", "the outputs hardly depend on the inputs")
        worst = max(worst, float(left / moved))
        if worst > 5e-3:
            return Finding(
                check,
                "holds",
                f"f(a) + f(b) differs from f(a + b) + f(0) by {worst:.1%}",
                {"difference": worst},
            )
    return Finding(
        check,
        "broken",
        f"f(a) + f(b) = f(a + b) + f(0) up to {worst:.0e}: all {len(layers)} layers together are "
        "one linear map",
        {"difference": worst},
        line_of_function(model),
        "put a nonlinearity such as ReLU between the layers",
    )


def evaluation_repeats(model: Any, inputs: Any) -> list[Finding]:
    """Whether evaluation gives the same twice, and for an image alone as in a batch."""
    names = "evaluation repeats", "image alone as in batch"
    line = line_of_function(model)
    first, second = logits(model, inputs), logits(model, inputs)
    size = float(np.abs(first).max()) or 1.0
    apart = float(np.abs(first - second).max()) / size
    if not np.isfinite(first).all():
        reason = "the outputs in evaluation are not finite"
        return [Finding(name, "not checked", reason) for name in names]
    if apart > 1e-3:
        broken = Finding(
            names[0],
            "broken",
            f"in evaluation mode the same images give outputs that differ by {apart:.0%} of "
            "their size: something draws at random",
            {"difference": apart},
            line,
            "let it obey self.training, as nn.Dropout does",
        )
        reason = "evaluation does not repeat itself"
        return [broken, Finding(names[1], "not checked", reason)]
    repeats = Finding(
        names[0], "holds", "the same images give the same outputs", {"difference": apart}
    )
    if len(first) < 2:
        return [repeats, Finding(names[1], "not checked", "the batch has one image")]
    alone = []
    try:
        for i in range(min(4, len(first))):
            alone.append(logits(model, inputs[i : i + 1]))
    except Exception as error:
        reason = f"one image alone raises {type(error).__name__}: {error}"
        return [repeats, Finding(names[1], "not checked", reason)]
    joined = np.concatenate(alone)
    half = next((p.dtype for p in model.parameters()), np.dtype("f4")) == np.float16
    apart = math.inf
    if joined.shape == first[: len(alone)].shape:
        spread = max(float(np.abs(first - first.mean(0)).max()), 1e-6 * size)
        apart = float(np.abs(joined - first[: len(alone)]).max()) / spread
        if np.abs(joined - first[: len(alone)]).max() < (3e-2 if half else 1e-4) * size:
            apart = min(apart, 1e-3)
    if apart > 0.05:
        return [
            repeats,
            Finding(
                names[1],
                "broken",
                "in evaluation mode an image's output depends on the other images of its batch: it "
                f"differs by {apart:.0%} of what outputs vary by"
                if math.isfinite(apart)
                else f"one image alone gives outputs of shape {joined.shape[1:]}, in a batch "
                f"{first.shape[1:]}",
                {"difference": apart},
                line,
                "keep axis 0 as it is in every reshape, mean and softmax",
            ),
        ]
    return [
        repeats,
        Finding(names[1], "holds", "an image's output is its own", {"difference": apart}),
    ]


# ------------------------------------------------------------------ layers


def units_alive(seen: Seen) -> Finding:
    """Whether units answer at all, and not all at their ends."""
    check = "units alive"
    worst = 0.0
    for name, module, _, out in seen.layers:
        if not isinstance(module, nn.ReLU | nn.Sigmoid | nn.Tanh) or out.ndim < 2:
            continue
        units = out.reshape(-1, out.shape[-1])
        if isinstance(module, nn.ReLU):
            dead = float((units <= 0).all(0).mean())
            worst = max(worst, dead)
            if dead >= DEAD and len(seen.outputs) >= 8:
                return Finding(
                    check,
                    "broken",
                    f"{dead:.0%} of the units of {name} (ReLU) give 0 for all {len(out)} images: "
                    "they get no gradient",
                    {"layer": name, "dead": dead},
                    seen.line,
                    "look at the biases and weights before it, or use a smaller rate",
                )
        else:
            ends = np.abs(units if isinstance(module, nn.Tanh) else 2 * units - 1)
            full = float((ends > 0.99).mean())
            worst = max(worst, full)
            if full >= SATURATED:
                return Finding(
                    check,
                    "broken",
                    f"{full:.0%} of the values of {name} ({type(module).__name__}) are at its ends,"
                    " where it has next to no slope",
                    {"layer": name, "saturated": full},
                    seen.line,
                    "scale the inputs to mean 0 and standard deviation 1",
                )
    return Finding(
        check, "holds", f"at most {worst:.0%} of a layer is dead or saturated", {"worst": worst}
    )


def normalised(seen: Seen) -> Finding:
    """Whether batch norm divides by the variance, and not by its eps."""
    check = "batch norm normalises"
    bad = []
    largest = 0.0
    for name, module, given, _ in seen.layers:
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.eps >= 1e-2:
            variance = float(np.median(given.reshape(-1, given.shape[-1]).astype("f8").var(0)))
            if module.eps > 10 * variance:
                bad.append(name)
                largest = max(largest, module.eps / max(variance, 1e-30))
    if bad:
        return Finding(
            check,
            "broken",
            f"eps of {listed(bad)} is up to {largest:,.0f} times the variance of what comes in: it "
            "divides by eps, and the signal shrinks",
            {"layers": bad, "ratio": largest},
            seen.line,
            "eps of 1e-5 is usual",
        )
    return Finding(check, "holds", "no batch norm's eps is above the variance")
