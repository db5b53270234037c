"""The backward pass: from a result to its leaves, each node after all that used it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from minires import errors
from minires.backend import xp_of
from minires.engine import Node, Variable, make_tensor, unshared
from minires.grad_mode import GradMode
from minires.gradient_hooks import run_hooks
from minires.kernels import add
from minires.kernels.machinery.threads import one_blas_thread
from minires.observers import watching
from minires.run_rule import run_rule
from minires.scalars import as_array


def run_backward(
    root: Variable,
    gradient: Variable | None,
    targets: Sequence[Node] | None,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Node, Any]:
    """Pass gradients from `root` to its leaves: differentiation in reverse mode.

    Parameters
    ----------
    root : Variable
        Where to begin.
    gradient : Variable or None
        The gradient with respect to `root`; None stands for 1 and wants a root of one element.
    targets : sequence of Node or None
        Collect the gradients of these nodes only; None accumulates into every leaf's `grad`.
    retain_graph : bool
        Keep what the nodes saved, for another pass. Otherwise each node frees it once used.
    create_graph : bool
        Run the rules on Tensors, so that the gradients can be differentiated again.

    Returns
    -------
    dict
        The targets' gradients, arrays (Tensors under `create_graph`); absent where there is none.
    """
    if root.node is None:
        raise errors.no_graph()
    nodes = topological_order(root.node)
    wanted = None if targets is None else set(targets)
    useful = set(nodes) if wanted is None else _leading_to(wanted, nodes)
    grads: dict[Node, Any] = {root.node: _seed(root, gradient, create_graph)}
    own: set[Node] = set()  # nodes whose sum in `grads` is an array that nobody else holds
    collected: dict[Node, Any] = {}
    with GradMode(create_graph), one_blas_thread():
        while nodes:
            node = nodes.pop()  # the youngest: all that used it have been visited
            if (g := grads.pop(node, None)) is None:
                continue
            if node.op is None or not node.op.arithmetic:
                g = as_array(g)
            if node.hooks:
                own.discard(node)  # a hook may keep what it sees
                g = run_hooks(node, g, create_graph)
            if wanted is None:
                if node.retains_grad:
                    _accumulate(node, g, owned=node in own)
            elif node in wanted:
                collected[node] = as_array(g)
            needs = tuple([parent in useful for parent in node.parents])
            if True not in needs:
                if node.freed and wanted != collected.keys():
                    raise errors.freed(node)
                continue
            fresh = node.op is not None and node.op.fresh and not create_graph
            fresh = fresh and watching.backward is None  # which may keep what it sees
            for place, grad in enumerate(run_rule(node, g, needs, create_graph)):
                if grad is not None and (parent := node.parents[place]) is not None:
                    if fresh and parent not in grads:
                        own.add(parent)
                    _add(grads, own, parent, grad, create_graph)
            if not retain_graph:
                node.kept, node.call, node.parents = None, None, ()
    return collected


def topological_order(root: Node) -> list[Node]:
    """Every node that `root` was computed from, and itself, oldest first.

    A node is younger than its parents. No recursion is needed: chains of any length work.
    """
    seen = {root}
    stack = [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=attrgetter("order"))


def _leading_to(wanted: set[Node], nodes: Sequence[Node]) -> set[Node]:
    """The nodes through which a gradient reaches a wanted one.

    Of a freed node nobody knows what was before it: it counts, so that the pass finds the error.
    """
    useful: set[Node] = set()
    for node in nodes:
        if node.freed or node in wanted or not useful.isdisjoint(node.parents):
            useful.add(node)
    return useful


def _seed(root: Variable, gradient: Variable | None, create_graph: bool) -> Any:
    """The gradient to begin with, in the root's dtype."""
    if gradient is None:
        if root.array.size != 1:
            raise errors.no_seed(root.array.shape)
        gradient = make_tensor(xp_of(root.array).ones_like(root.array))
    elif gradient.array.shape != root.array.shape:
        raise errors.wrong_seed(root.array.shape, gradient.array.shape)
    xp_of(root.array, gradient.array)  # an error if they are on different devices
    seed: Any = gradient if create_graph else gradient.array
    return seed if seed.dtype == root.array.dtype else seed.astype(root.array.dtype)


def _add(grads: dict[Node, Any], own: set[Node], node: Node, grad: Any, create_graph: bool) -> None:
    """Add a gradient to a node's sum in `grads`, in place where the sum is an array of our own."""
    total = grads.get(node)
    if total is None:
        grads[node] = grad
    elif create_graph or not total.ndim:  # NumPy's scalars cannot be added to in place
        grads[node] = total + grad
    else:
        grads[node] = add(total, grad, out=total if node in own else None)
        own.add(node)


def _accumulate(node: Node, g: Any, owned: bool) -> None:
    """Add to the `grad` of a leaf, or of a result that `retain_grad` asked for.

    `owned` says that nobody else holds `g`; a result's goes on to its rule, which may pass it on.
    """
    if node.grad is None:
        node.grad = make_tensor(g) if owned and node.op is None else unshared(g)
    elif isinstance(g, Variable):
        node.grad = node.grad + g  # type: ignore[operator]
    else:
        node.grad = make_tensor(xp_of(g).asarray(node.grad.array + g))
