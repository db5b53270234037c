"""Backward hooks of modules: what flows in at the output and out at the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minires import ops
from minires.tensor import Tensor


def run_with_backward_hooks(
    module: Any, hooks: Sequence[Callable[..., Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`module.forward`, its inputs and outputs watched on their way back.

    Each input goes in as a view of its own, so that what comes back through it is this module's
    share only, however many others use the same tensor.
    """
    inside = tuple(_view(a) if _wants_grad(a) else a for a in args)
    out = module.forward(*inside, **kwargs)
    outputs = out if isinstance(out, tuple) else (out,)
    if not any(_wants_grad(o) for o in outputs):
        return out
    watched = tuple(_view(o) if _wants_grad(o) else o for o in outputs)
    grad_input: list[Tensor | None] = [None] * len(args)
    grad_output: list[Tensor | None] = [None] * len(outputs)
    all_inputs = {i for i, a in enumerate(inside) if _wants_grad(a)}
    all_outputs = {i for i, o in enumerate(watched) if _wants_grad(o)}
    waiting, coming = set(all_inputs), set(all_outputs)  # no tensor in here: that would be a cycle

    def call() -> None:
        for hook in tuple(hooks):
            hook(module, tuple(grad_input), tuple(grad_output))
        waiting.update(all_inputs)  # for another walk through a retained graph
        coming.update(all_outputs)

    def at_output(i: int, g: Tensor) -> None:
        grad_output[i] = g
        coming.discard(i)
        if not waiting and not coming:
            call()

    def at_input(i: int, g: Tensor) -> None:
        grad_input[i] = g
        waiting.discard(i)
        if not waiting:
            call()

    for i, o in enumerate(watched):
        if _wants_grad(o):
            o.register_hook(partial(at_output, i))
    for i, a in enumerate(inside):
        if _wants_grad(a):
            a.register_hook(partial(at_input, i))
    return watched if isinstance(out, tuple) else watched[0]


def _wants_grad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _view(x: Tensor) -> Tensor:
    return ops.reshape(x, shape=x.shape)
