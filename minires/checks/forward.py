"""One forward: what the network does with a batch, before it has learnt anything.

What is seen here is judged in `outputs`, `between_images` and `layers`.
Reach: values that are not finite.
Not in reach: whether a network is large enough, or its kernel sizes make sense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires.checks.places import own_line
from minires.checks.report import Finding, broken, holds
from minires.checks.setup import Array, as_input, host, kept_model
from minires.grad_mode import enable_grad
from minires.tensors import Tensor


class NoTensorError(TypeError):
    """The model's answer is a tuple or a dict, which a step of one's own knows to use."""


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
            if not isinstance(out, Tensor):
                raise NoTensorError(f"the model gives a {type(out).__name__}, not one Tensor")
            node = out.node
            line = node.line() if node else ""
            operation = node.op.name if node and node.op else ""
    finally:
        for handle in handles:
            handle.remove()
    return Seen(host(out).astype(np.float64), own_line(line), operation, found)


def finite(seen: Seen) -> Finding:
    """Whether every layer's output is finite."""
    for name, module, _, out in seen.layers:
        if not np.isfinite(out).all():
            kind = type(module).__name__
            half = " in float16, whose largest number is 65,504" if out.dtype == np.float16 else ""
            return broken(
                "forward is finite",
                f"{name} ({kind}) gives {np.sum(~np.isfinite(out)):,} NaN or infinite values{half}",
                "scale the inputs, initialise with smaller weights, or compute in float32",
                seen.line,
                {"layer": name},
            )
    if not np.isfinite(seen.outputs).all():
        return broken(
            "forward is finite",
            "the outputs are not finite, though each layer's are",
            "look at what forward does beside its layers",
            seen.line,
        )
    return holds(
        "forward is finite",
        f"outputs of shape {seen.outputs.shape}, at most {np.abs(seen.outputs).max():.3g}",
        {"largest": float(np.abs(seen.outputs).max())},
    )
