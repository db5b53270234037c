"""What the engine did: a graph's values, and one backward pass with every contribution to it.

Nothing is computed here that the engine does not compute: the order and the gradients are those of
`backward.run_backward`, each share is what the operation's own rule gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np  # host arrays

from minires.backend import to_host, xp_of
from minires.backward import run_backward, topological_order
from minires.engine import Node, raw
from minires.errors import BackwardError
from minires.nn import Module
from minires.run_rule import run_rule
from minires.tensors import Tensor
from minires.viz.text import HostArray, index_name


@dataclass
class Value:
    """One value of the graph.

    Attributes
    ----------
    name : str
        The caller's name for it, or v₁, v₂ and so on in the order of the forward.
    op : str
        The operation that made it; empty for a leaf.
    parents : list of int or None
        The values that it was made from; None stands for a constant.
    arguments : list of (array or None), keywords
        Of the operation; None where the array was too large to be remembered.
    constants : list of str
        The caller's names for arguments that are no values of the graph, such as data.
    shape : tuple of int
    value : array or None
    line : str
        The forward line that made it.
    scope : str
        The module whose parameter the operation used, if any: `net.layer1.0.conv1`.
    gradient : array or None
        Of the loss with respect to this value; None where the walk did not come by.
    shares : list of (array or None)
        What the rule sends to each parent.
    locals : list of (array or None)
        What it would send for an upstream gradient of ones.
    """

    name: str
    op: str
    parents: list[int | None]
    arguments: list[HostArray | None]
    keywords: dict[str, Any]
    constants: list[str]
    shape: tuple[int, ...]
    value: HostArray | None
    line: str
    scope: str = ""
    gradient: HostArray | None = None
    shares: list[HostArray | None] = field(default_factory=list)
    locals: list[HostArray | None] = field(default_factory=list)

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it."""
        return not self.op


@dataclass(frozen=True)
class Trace:
    """The values of a graph, oldest first, and the order of the backward pass."""

    values: list[Value]
    walk: list[int]


Names = Mapping[str, Any]
"""Names of Tensors, and of Modules for their parameters; anything else is passed over."""


def record(loss: Tensor, names: Names) -> Trace:
    """Run the backward pass from `loss` once, keeping the graph and every `.grad` as they are.

    Raises
    ------
    BackwardError
        If there is no graph, it has been freed, or `loss` has more than one element.
    """
    if not isinstance(loss, Tensor):
        raise TypeError(f"this wants a Tensor such as a loss, got {type(loss).__name__}")
    if loss.node is None:
        run_backward(loss, None, None, True, False)  # says what is wrong
        raise BackwardError("this tensor is not in a graph")
    nodes = topological_order(loss.node)
    gradients = run_backward(loss, None, nodes, retain_graph=True, create_graph=False)
    place = {node: i for i, node in enumerate(nodes)}
    arrays = _arrays(nodes, loss)
    own, scopes = _named(names)
    data = {id(raw(v)): name for name, v in names.items() if isinstance(v, Tensor | np.ndarray)}
    values = []
    unnamed = 0
    for node in nodes:
        name = own.get(node, "")
        if not name:
            unnamed += 1
            name = index_name("v", unnamed)
        values.append(_value(node, name, place, arrays, scopes, data))
    for node, g in gradients.items():
        value = values[place[node]]
        value.gradient = to_host(g)
        if node.op is not None:
            needs = [parent is not None for parent in node.parents]
            ones = xp_of(g).ones_like(g)
            value.shares = _host(run_rule(node, g, needs))
            value.locals = _host(run_rule(node, ones, needs))
    return Trace(values, [place[node] for node in gradients])


def _host(arrays: Sequence[Any]) -> list[HostArray | None]:
    return [None if a is None else np.array(to_host(a)) for a in arrays]


def _arrays(nodes: Sequence[Node], loss: Tensor) -> dict[Node, HostArray]:
    """The arrays that the nodes' calls remember, by the node whose value they are."""
    found: dict[Node, HostArray] = {}
    for node in nodes:
        if node.call is None:
            continue
        arguments, _, out = node.call
        found[node] = np.array(to_host(out))
        for parent, argument in zip(node.parents, arguments, strict=True):
            if parent is not None and parent not in found:
                found[parent] = np.array(to_host(argument))
    if loss.node is not None:
        found[loss.node] = np.array(loss.numpy())
    return found


def _named(names: Names) -> tuple[dict[Node, str], dict[Node, str]]:
    """For each node its name; for each parameter's node the module that it belongs to."""
    own: dict[Node, str] = {}
    scopes: dict[Node, str] = {}
    for name, value in names.items():
        if isinstance(value, Tensor) and value.node is not None:
            own.setdefault(value.node, name)
    for name, value in names.items():
        if isinstance(value, Module):
            for key, parameter in value.named_parameters():
                if parameter.node is not None:
                    own.setdefault(parameter.node, f"{name}.{key}")
                    scopes.setdefault(parameter.node, f"{name}.{key}".rpartition(".")[0])
    return own, scopes


def _value(
    node: Node,
    name: str,
    place: Mapping[Node, int],
    arrays: Mapping[Node, HostArray],
    scopes: Mapping[Node, str],
    data: Mapping[int, str],
) -> Value:
    arguments: list[HostArray | None] = [arrays.get(p) if p else None for p in node.parents]
    keywords: dict[str, Any] = {}
    constants = [""] * len(arguments)
    if node.call is not None:
        arguments = [np.asarray(to_host(a)) for a in node.call[0]]
        keywords = dict(node.call[1])
        constants = [data.get(id(a), "") for a in node.call[0]]
    scope = next((scopes[p] for p in node.parents if p is not None and p in scopes), "")
    return Value(
        name=name,
        op=node.op.name.lstrip("_") if node.op else "",
        parents=[None if p is None else place[p] for p in node.parents],
        arguments=arguments,
        keywords=keywords,
        constants=constants,
        shape=tuple(node.shape),
        value=arrays.get(node),
        line=node.line() if node.op else "",
        scope=scopes.get(node, scope),
    )
