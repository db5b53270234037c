"""One batch's images beside each other: whether outputs tell them apart, and each is its own.

Reach: layers after which all images look alike, whatever small steps do to the weights; one class
that is ahead for all images; one number that decides all classes; a network that is one linear map
of no lower rank; draws or other images that change an answer in evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minires import nn
from minires.backend import to_device
from minires.checks.forward import Seen
from minires.checks.places import line_of
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Array, as_input, host, kept_model, logits
from minires.grad_mode import enable_grad
from minires.nn import init
from minires.tensors import Tensor

ALIKE = 1e-4  # spread between images over the size of the values
AHEAD = 20.0  # logits by which a class is ahead of all others for all images


@contextmanager
def stirred(model: Any, inputs: Any) -> Iterator[None]:
    """In the block, what starts at zero has left it a little, as a step would take it.

    A last layer, or the end of a branch, that starts at zero hides what comes before it; that is a
    usual beginning, and passes. What gets no gradient, for others after it are zero too, stays.
    """
    draw = np.random.default_rng(0)
    with kept_model(model):
        zeros = [p for p in model.parameters() if p.requires_grad and not host(p).any()]
        if zeros:
            with enable_grad():
                model.train()
                out = model(as_input(model, inputs))
                for p in zeros:
                    p.grad = None
                some = draw.normal(0, 1, out.shape).astype(out.dtype)
                (out * Tensor(some).to(out.device)).sum().backward()
        moving = [p for p in zeros if p.grad is not None and host(p.grad).any()]
        for p in moving:
            size = 0.1 / math.sqrt(max(init.fans(p)[0], 1)) if p.ndim > 1 else 0.1
            noise = draw.normal(0, size, p.shape).astype(p.dtype)
            p.data[...] = to_device(noise, p.device)
        yield


def depends_on_image(model: Any, inputs: Any, seen: Seen) -> Finding:
    """Whether different images still differ at every layer, and in the answer."""
    check = "images differ at the output"
    first = seen.layers[0][2] if seen.layers else None
    if len(seen.outputs) < 2 or first is None or _spread(first) < ALIKE:
        return not_checked(check, "the batch has no two different images")
    end = _spread(seen.outputs)
    numbers: dict[str, Any] = {"spread": end}
    if end < ALIKE:
        with stirred(model, inputs):
            stirred_end = _spread(logits(model, inputs, training=True))
        if stirred_end >= ALIKE:
            return holds(
                check, "outputs are alike at first, by weights that start at zero", numbers
            )
        same = [out for out in seen.layers if len(out[3]) == len(seen.outputs)]
        where = next((n for n, _, _, out in same if _spread(out) < ALIKE), "")
        numbers["layer"] = where
        place = f"from {where} on" if where else "though no layer's are alike"
        return broken(
            check,
            f"the outputs differ between images by {end:.1g} of their size, {place}: the network "
            "answers all images alike",
            "look at this layer's weights and at what forward multiplies or pools there",
            seen.line,
            numbers,
        )
    ahead = _ahead(seen.outputs)
    if ahead is not None:
        return broken(
            check,
            f"output {ahead[0]} is {ahead[1]:,.3g} above every other for all images, which differ "
            f"by {ahead[2]:.2g}: the network answers all images alike",
            "look at the last layer's bias, and at what forward adds",
            seen.line,
            {**numbers, "ahead": ahead[1]},
        )
    return holds(check, f"outputs differ between images by {end:.1%} of their size", numbers)


def _ahead(outputs: Array) -> tuple[int, float, float] | None:
    """Which class is ahead of all others, by what, and how much images differ in that."""
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        return None
    top = int(outputs.mean(0).argmax())
    margins = outputs[:, top] - np.delete(outputs, top, 1).max(1)
    least, differ = float(margins.min()), float(margins.std())
    return (top, least, differ) if least > AHEAD and least > 20 * differ else None


def one_number(model: Any, inputs: Any, outputs: Array) -> Finding:
    """Whether more than one number decides between the classes."""
    check = "width"
    if outputs.ndim != 2 or outputs.shape[1] < 4 or len(outputs) < 8:
        return not_checked(check, "there are no four classes and eight images")
    with stirred(model, inputs):
        out = logits(model, inputs)
    values = np.linalg.svd(out - out.mean(0), compute_uv=False)
    if not np.isfinite(values).all() or values[0] < 1e-6 * max(np.abs(out).max(), 1e-30):
        return not_checked(check, "the outputs hardly depend on the images")
    second = float(values[1] / values[0])
    if second > 1e-5:
        return holds(check, "outputs vary in more than one direction", {"second": second})
    return broken(
        check,
        f"the {out.shape[1]} outputs of all images lie on one line: they come of 1 number",
        "let no layer have one unit, or units that are all alike; pool over the image axes (1, 2) "
        "only, and keep the channels",
        line_of(model),
        {"second": second},
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
        return holds(check, "there is one layer of weights, or none that is known")
    if _narrows(layers):
        return holds(check, "a layer is narrower than input and output: a map of lower rank")
    x = host(inputs)
    if x.dtype.kind != "f" or len(x) < 2 or not np.isfinite(x).all():
        return not_checked(check, "the inputs are no finite floating-point numbers")
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
            return not_checked(check, f"the model raises {type(error).__name__}: {error}")
        left = np.abs(at[0] + at[1] - at[2] - base).max()
        moved = max(np.abs(v - base).max() for v in at)
        if not np.isfinite(left) or moved < 1e-4 * max(np.abs(base).max(), 1e-12):
            return not_checked(check, "the outputs hardly depend on the inputs")
        worst = max(worst, float(left / moved))
        if worst > 5e-3:
            return holds(
                check,
                f"f(a) + f(b) differs from f(a + b) + f(0) by {worst:.1%}",
                {"difference": worst},
            )
    return broken(
        check,
        f"f(a) + f(b) = f(a + b) + f(0) up to {worst:.0e}: all {len(layers)} layers together are "
        "one linear map",
        "put a nonlinearity such as ReLU between the layers",
        line_of(model),
        {"difference": worst},
    )


def _narrows(layers: list[Any]) -> bool:
    """Whether linear layers factor a matrix of lower rank, which one layer would not be."""
    linear = [m for m in layers if isinstance(m, nn.Linear)]
    if len(linear) != len(layers):
        return False
    ends = min(linear[0].in_features, linear[-1].out_features)
    return any(m.out_features < ends for m in linear[:-1])


def evaluation_repeats(model: Any, inputs: Any) -> list[Finding]:
    """Whether evaluation gives the same twice, and for an image alone as in a batch."""
    names = "evaluation repeats", "image alone as in batch"
    line = line_of(model)
    first, second = logits(model, inputs), logits(model, inputs)
    size = float(np.abs(first).max()) or 1.0
    apart = float(np.abs(first - second).max()) / size
    if not np.isfinite(first).all():
        reason = "the outputs in evaluation are not finite"
        return [not_checked(name, reason) for name in names]
    if apart > 1e-3:
        random = broken(
            names[0],
            f"in evaluation mode the same images give outputs that differ by {apart:.0%} of "
            "their size: something draws at random",
            "let it obey self.training, as nn.Dropout does",
            line,
            {"difference": apart},
        )
        reason = "evaluation does not repeat itself"
        return [random, not_checked(names[1], reason)]
    repeats = holds(names[0], "the same images give the same outputs", {"difference": apart})
    if len(first) < 2:
        return [repeats, not_checked(names[1], "the batch has one image")]
    alone = []
    try:
        for i in range(min(4, len(first))):
            alone.append(logits(model, inputs[i : i + 1]))
    except Exception as error:
        reason = f"one image alone raises {type(error).__name__}: {error}"
        return [repeats, not_checked(names[1], reason)]
    joined = np.concatenate(alone)
    half = next((p.dtype for p in model.parameters()), np.dtype("f4")) == np.float16
    apart = math.inf
    if joined.shape == first[: len(alone)].shape:
        spread = max(float(np.abs(first - first.mean(0)).max()), 1e-6 * size)
        apart = float(np.abs(joined - first[: len(alone)]).max()) / spread
        if np.abs(joined - first[: len(alone)]).max() < (3e-2 if half else 1e-4) * size:
            apart = min(apart, 1e-3)
    if apart <= 0.05:
        return [repeats, holds(names[1], "an image's output is its own", {"difference": apart})]
    if any(getattr(m, "track_running_stats", True) is False for m in model.modules()):
        reason = "batch norm without running statistics makes outputs depend on the batch"
        return [repeats, not_checked(names[1], reason)]
    said = f"it differs by {apart:.0%} of what outputs vary by"
    if not math.isfinite(apart):
        said = f"alone it gives outputs {joined.shape[1:]}, in a batch {first.shape[1:]}"
    other = broken(
        names[1],
        "in evaluation mode an image's output depends on the other images of its batch: " + said,
        "keep axis 0 as it is in every reshape, mean and softmax",
        line,
        {"difference": apart},
    )
    return [repeats, other]
