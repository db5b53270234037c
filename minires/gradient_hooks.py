"""Hooks of tensors: they see a gradient when it is known, and may give another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minires.engine import Node, Variable, make_tensor
from minires.errors import BackwardError
from minires.scalars import as_array


def add_hook(hooks: list[Any], hook: Any) -> Callable[[], None]:
    """Add a hook; what is returned removes it, and does nothing if it is called again."""
    hooks.append(hook)
    there = [hook]

    def remove() -> None:
        while there:
            hooks.remove(there.pop())

    return remove


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
