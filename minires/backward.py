"""The walk back through the graph: `Tensor.backward` and `minires.grad`."""

from __future__ import annotations

from collections.abc import Container, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from minires.backend import xp_of
from minires.engine import BackwardError, GradMode, Node, Variable, as_array, make_tensor, raw
from minires.kernels import add
from minires.kernels.threads import one_blas_thread


def grad(
    output: Variable,
    inputs: Variable | Sequence[Variable],
    gradient: Variable | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> Any:
    """The gradients of `output` with respect to `inputs`, leaving every `.grad` as it is.

    Only what lies between the two is computed.

    Parameters
    ----------
    output : Tensor
        What to differentiate; of one element unless `gradient` is given.
    inputs : Tensor or sequence of Tensor
        With respect to what: leaves or intermediate results that require a gradient.
    gradient : Tensor, optional
        The upstream gradient, of `output`'s shape.
    retain_graph : bool, optional
        Keep the graph for another walk; by default it is kept only under `create_graph`.
    create_graph : bool
        Make the gradients differentiable in their turn.

    Returns
    -------
    Tensor or tuple of (Tensor or None)
        One for one tensor, a tuple for a sequence; None where `output` does not depend on an input.

    Raises
    ------
    BackwardError
        If an input requires no gradient, or the graph has been freed.
    """
    single = isinstance(inputs, Variable)
    wanted = [inputs] if isinstance(inputs, Variable) else list(inputs)
    nodes = []
    for i, x in enumerate(wanted):
        if x.node is None:
            raise BackwardError(f"input {i} of grad does not require a gradient")
        nodes.append(x.node)
    retain = create_graph if retain_graph is None else retain_graph
    collected = run_backward(output, gradient, nodes, retain, create_graph)
    results = [_own(g) for g in map(collected.get, nodes)]
    return results[0] if single else tuple(results)


def run_backward(
    root: Variable,
    gradient: Variable | None,
    targets: Sequence[Node] | None,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Node, Any]:
    """Walk from `root` to its leaves, each node after all its consumers.

    Parameters
    ----------
    root : Variable
        Where the walk starts.
    gradient : Variable or None
        The gradient with respect to `root`; None stands for 1 and wants a root of one element.
    targets : sequence of Node or None
        Collect the gradients of these nodes only; None accumulates into every leaf's `grad`.
    retain_graph : bool
        Keep what the nodes saved, for another walk. Otherwise each node frees it once used.
    create_graph : bool
        Run the rules on Tensors, so that the gradients can be differentiated again.

    Returns
    -------
    dict
        The targets' gradients, arrays (Tensors under `create_graph`); absent where there is none.
    """
    if root.node is None:
        raise BackwardError(
            "this tensor is not in a graph: nothing that it was computed from has "
            "requires_grad=True, or it was computed under no_grad or detached"
        )
    wanted = None if targets is None else set(targets)
    nodes = ancestors(root.node)
    useful = None if wanted is None else _useful(nodes, wanted)  # None: all of them
    grads: dict[Node, Any] = {root.node: _seed(root, gradient, create_graph)}
    owned: set[Node] = set()  # nodes whose sum in `grads` is an array that nobody else holds
    collected: dict[Node, Any] = {}
    with GradMode(create_graph), one_blas_thread():
        while nodes:
            node = nodes.pop()  # the youngest first, so all its consumers have been visited
            g = grads.pop(node, None)
            if g is None:
                continue
            if node.op is None or not node.op.on_scalars:
                g = as_array(g)
            if node.hooks:
                g = _run_hooks(node, g, create_graph)
            if wanted is None:
                if node.retains_grad:
                    _accumulate(node, g)
            elif node in wanted:
                collected[node] = as_array(g)
            if node.op is None:
                continue
            parents = node.parents
            if wanted is None or useful is None:
                needs = [p is not None for p in parents]
            else:
                if node not in useful:
                    continue
                needs = [p in useful for p in parents]
                if not any(needs):
                    # wanted itself, and nothing before it, unless it is freed and nobody knows
                    known = node.kept is not None or len(collected) == len(wanted)
                    if known:
                        continue
            for place, grad in enumerate(node.op.backward(node, g, needs, create_graph)):
                parent = parents[place]
                if parent is None or grad is None:
                    continue
                total = grads.get(parent)
                if total is None:
                    grads[parent] = grad
                elif create_graph or isinstance(total, np.generic):
                    grads[parent] = total + grad
                else:
                    grads[parent] = add(total, grad, out=total if parent in owned else None)
                    owned.add(parent)
            if not retain_graph:
                node.kept, node.call, node.parents = None, None, ()
    return collected


def ancestors(root: Node) -> list[Node]:
    """Every node that `root` was computed from, oldest first.

    A node is younger than its parents, so this order is topological, and no recursion is needed:
    chains of any length work.
    """
    seen = {root}
    stack = [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=attrgetter("order"))


def _useful(nodes: Sequence[Node], wanted: set[Node]) -> Container[Node | None]:
    """The nodes through which a gradient reaches a wanted one.

    Of a freed node nobody knows what was behind it: it counts, so that the walk finds the error.
    """
    useful: set[Node] = set()
    for node in nodes:
        freed = node.op is not None and node.kept is None
        if freed or node in wanted or any(p in useful for p in node.parents if p is not None):
            useful.add(node)
    return useful


def _seed(root: Variable, gradient: Variable | None, create_graph: bool) -> Any:
    data = root.data
    if gradient is None:
        if data.size != 1:
            raise BackwardError(
                f"backward without a gradient wants a tensor of one element, such as a loss; this "
                f"one has shape {data.shape}: pass backward(gradient=...)"
            )
        gradient = make_tensor(xp_of(data).ones_like(data))
    if gradient.data.shape != data.shape:
        raise BackwardError(
            f"backward got a gradient of shape {gradient.data.shape} for a tensor of {data.shape}"
        )
    xp_of(data, gradient.data)
    seed: Any = gradient if create_graph else gradient.data
    return seed.astype(data.dtype) if seed.dtype != data.dtype else seed


def _run_hooks(node: Node, g: Any, create_graph: bool) -> Any:
    boxed = g if create_graph else make_tensor(as_array(g))
    for hook in tuple(node.hooks or ()):  # a hook may remove itself
        replacement = hook(boxed)
        if replacement is None:
            continue
        if not isinstance(replacement, Variable) or replacement.data.shape != node.shape:
            got = getattr(replacement, "shape", type(replacement).__name__)
            raise BackwardError(
                f"a hook on a tensor of shape {node.shape} returned {got}: it may return a Tensor "
                "of that shape, or None"
            )
        boxed = replacement
    return boxed if create_graph else boxed.data


def _accumulate(node: Node, g: Any) -> None:
    """Add to a leaf's gradient, or to one that `retain_grad` asked for."""
    if node.grad is None:
        node.grad = _own(g)
    elif isinstance(g, Variable):
        node.grad = node.grad + g  # type: ignore[operator]
    else:
        node.grad = make_tensor(xp_of(g).asarray(node.grad.data + g))


def _own(g: Any) -> Variable | None:
    """The gradient as a Tensor that shares its array with nobody: `a + b` gives each its own."""
    if g is None:
        return None
    data = raw(g)
    return make_tensor(xp_of(data).array(data), g.node if isinstance(g, Variable) else None)
