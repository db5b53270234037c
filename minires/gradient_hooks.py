"""Hooks of tensors: they see a gradient when it is known, and may give another."""

from __future__ import annotations

from typing import Any

from minires.engine import Node, Variable, make_tensor
from minires.errors import BackwardError
from minires.scalars import as_array


class HookHandle:
    """Removes a hook: `handle.remove()`, or `handle()`; again, it does nothing."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        hooks.append(hook)
        self._hooks, self._there = hooks, [hook]

    def remove(self) -> None:
        """Let the hook be called no more."""
        while self._there:
            self._hooks.remove(self._there.pop())

    __call__ = remove


def run_hooks(node: Node, g: Any, create_graph: bool) -> Any:
    """The gradient `g` of a node, or what its hooks make of it."""
    boxed = g if create_graph else make_tensor(as_array(g))
    for hook in tuple(node.hooks or ()):  # a hook may remove itself
        replacement = hook(boxed)
        if replacement is None:
            continue
        if not isinstance(replacement, Variable) or replacement.array.shape != node.shape:
            got = getattr(replacement, "shape", type(replacement).__name__)
            raise BackwardError(
                f"a hook on a tensor of shape {node.shape} returned {got}: it may return a Tensor "
                "of that shape, or None"
            )
        if replacement.array.dtype != node.dtype:
            replacement = replacement.astype(node.dtype)  # type: ignore[attr-defined]
        boxed = replacement
    return boxed if create_graph else boxed.array
