"""One step of the backward pass: a node's rule, called with what it asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires import errors, writes
from minires.engine import Node, Op, make_tensor
from minires.errors import BackwardError
from minires.observers import watching
from minires.scalars import as_array
from minires.unbroadcast import unbroadcast


def run_rule(
    node: Node, g: Any, needs: Sequence[bool], create_graph: bool = False
) -> Sequence[Any]:
    """The gradients of a node's parents, given its own: what its operation's rule makes of it.

    Parameters
    ----------
    node : Node
    g : array, or Tensor under `create_graph`
        The upstream gradient.
    needs : sequence of bool
        For each parent, whether anybody wants its gradient.
    create_graph : bool
        Run the rule on Tensors that know where they came from.

    Returns
    -------
    list of (array, Tensor or None)
        In the parents' shapes and dtypes.
    """
    op, kept = node.op, node.kept
    if op is None or op.rule is None:
        raise errors.no_rule(node)
    if kept is None:
        raise errors.freed(node)
    if writes.newest > node.order:
        _check_unwritten(node, op, kept, needs)
    if op.wants_needs or create_graph:
        kept = list(kept)
        if op.wants_needs:
            kept[op.requests.index("needs")] = needs
        if create_graph:
            _box(node, op, kept)
    try:
        grads = op.rule(g, *kept)
        if type(grads) is not tuple or len(grads) != len(needs):
            _check(grads, len(needs))
        result: list[Any] = []
        for place, parent in enumerate(node.parents):
            grad = grads[place]
            if grad is None or parent is None or not needs[place]:
                result.append(None)
            elif grad.shape == parent.shape and grad.dtype is parent.dtype:
                result.append(grad)
            else:
                result.append(unbroadcast(grad, parent))
    except Exception as error:
        raise errors.rule_failed(node, error) from error
    if watching.backward is not None:
        watching.backward(op, node, g, result)
    return result


def _box(node: Node, op: Op, kept: list[Any]) -> None:
    """Put Tensors that know where they came from in place of what a rule asked for."""
    origins = dict(zip(op.arguments, node.parents, strict=False)) | {"out": node}
    for place, name in enumerate(op.requests):
        if origins.get(name) is not None:
            kept[place] = make_tensor(as_array(kept[place]), origins[name])


def _check_unwritten(node: Node, op: Op, kept: Sequence[Any], needs: Sequence[bool]) -> None:
    """Raise a BackwardError if what the wanted gradients need was overwritten in the meantime."""
    for name, value in zip(op.requests, kept, strict=True):
        if op.bilinear and name in op.arguments and not needs[1 - op.arguments.index(name)]:
            continue
        for array in value if isinstance(value, tuple) else (value,):
            if getattr(array, "base", array) is not array and writes.since(array, node.order):
                raise errors.overwritten(node, name)


def _check(grads: Any, count: int) -> None:
    """Raise a BackwardError unless a rule gave a tuple, or a list, of so many."""
    if type(grads) is not tuple and not isinstance(grads, list):
        raise BackwardError(f"its rule must give a tuple, not a {type(grads).__name__}")
    if len(grads) != count:
        raise BackwardError(f"its rule gave {len(grads)} gradients, for {count} arguments")
