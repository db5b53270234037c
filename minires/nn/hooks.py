"""Backward hooks of modules: what flows in at the output and out at the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minires import ops
from minires.backend import Array
from minires.engine import Node, make_tensor, op
from minires.errors import BackwardError
from minires.in_place import becomes
from minires.structures import leaves, mapped
from minires.tensors import Tensor


def run_with_backward_hooks(
    module: Any, hooks: Sequence[Callable[..., Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`module.forward`, its inputs and outputs watched on their way back.

    Each input goes in as a view of its own, so that what comes back through it is this module's
    share only, however many others use the same tensor.
    """
    inside = tuple(_view(a) if _wants_grad(a) else a for a in args)
    passed = tuple(make_tensor(a.array, a.node) if isinstance(a, Tensor) else a for a in inside)
    out = module.forward(*passed, **kwargs)
    outputs = leaves(out)
    if not any(_wants_grad(o) for o in outputs):
        _change(args, inside, passed, {})
        return out
    gate = Tensor(np.zeros((), np.float32), requires_grad=True)
    watched = tuple(_behind(o, gate) if _wants_grad(o) else o for o in outputs)
    grad_input: list[Tensor | None] = [None] * len(args)
    grad_output: list[Tensor | None] = [None] * len(outputs)
    behind = _inputs_behind(inside, watched)
    coming = {i for i, o in enumerate(watched) if _wants_grad(o)}
    all_outputs = frozenset(coming)
    waiting: set[int] = set()  # no tensor in any of these, nor in `call`: that would be a cycle

    def call() -> None:
        gradients = tuple(grad_input), tuple(grad_output)
        grad_input[:] = [None] * len(grad_input)  # for another pass through a retained graph
        grad_output[:] = [None] * len(grad_output)
        waiting.clear()
        coming.update(all_outputs)
        for hook in tuple(hooks):
            if hook(module, *gradients) is not None:
                raise BackwardError(
                    f"a full backward hook of {type(module).__name__} returned something, which "
                    "would not be used: to change a gradient, register a hook on a tensor"
                )

    # The backward pass is at the youngest node first, so at every output that it will come to
    # before the gate, and there before any input: it is known then which inputs to wait for.
    def at_output(i: int, g: Tensor) -> None:
        grad_output[i] = g
        coming.discard(i)
        waiting.update(behind[i])
        if not waiting and not coming:
            call()

    def at_input(i: int, g: Tensor) -> None:
        grad_input[i] = g
        waiting.discard(i)
        if not waiting:
            call()

    def at_gate(g: Tensor) -> None:
        if not waiting and coming != all_outputs:  # the others are not part of what was computed
            call()

    gate.register_hook(at_gate)
    for i, o in enumerate(watched):
        if _wants_grad(o):
            o.register_hook(partial(at_output, i))
    for i, a in enumerate(inside):
        if _wants_grad(a):
            a.register_hook(partial(at_input, i))
    _change(args, inside, passed, {id(o): w for o, w in zip(outputs, watched, strict=True)})
    given = iter(watched)
    return mapped(lambda _: next(given), out)


def _change(
    args: Sequence[Any], inside: Sequence[Any], passed: Sequence[Any], watched: dict[int, Tensor]
) -> None:
    """Let an argument become what the module made of it, if it works in place."""
    for own, before, after in zip(args, inside, passed, strict=True):
        if isinstance(own, Tensor) and after.array is not before.array:
            becomes(own, watched.get(id(after), after))


def _inputs_behind(inputs: Sequence[Any], outputs: Sequence[Any]) -> list[set[int]]:
    """For each output, the places of the inputs that it was computed from."""
    places = {x.node: i for i, x in enumerate(inputs) if _wants_grad(x)}
    oldest = min((node.order for node in places), default=0)
    behind = []
    for out in outputs:
        stack: list[Node] = [out.node] if _wants_grad(out) else []
        seen = set(stack)
        while stack:
            node = stack.pop()
            # nothing older than the inputs was computed from them
            nearer = [p for p in node.parents if p is not None and p.order >= oldest]
            stack += [p for p in nearer if p not in seen]
            seen.update(nearer)
        behind.append({i for node, i in places.items() if node in seen})
    return behind


def _wants_grad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _view(x: Tensor) -> Tensor:
    return ops.reshape(x, shape=x.shape)


@op
def _behind(x: Array, gate: Array) -> Array:
    """`x`; a backward pass is at `gate` when it has been at all that was put behind it."""
    return x.reshape(x.shape)


@_behind.vjp
def _behind_vjp(g: Array, gate: Array) -> tuple[Array, Array]:
    return g, gate * 0
