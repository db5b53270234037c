"""`minires.grad`: gradients as values, with nothing left in any `.grad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires.backend import xp_of
from minires.backward import run_backward
from minires.engine import Variable, make_tensor, unshared
from minires.errors import BackwardError
from minires.from_pytorch import pytorchs_keywords


@pytorchs_keywords
def grad(
    output: Variable,
    inputs: Variable | Sequence[Variable],
    gradient: Any = None,
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
    gradient : Tensor or array_like, optional
        The upstream gradient, of `output`'s shape.
    retain_graph : bool, optional
        Keep the graph for another backward pass; by default it is kept only under `create_graph`.
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
    if gradient is not None and not isinstance(gradient, Variable):
        xp, dtype = xp_of(output.array), output.array.dtype
        gradient = make_tensor(xp.asarray(gradient, dtype=dtype))
    single = isinstance(inputs, Variable)
    wanted = [inputs] if isinstance(inputs, Variable) else list(inputs)
    nodes = []
    for i, x in enumerate(wanted):
        if x.node is None:
            raise BackwardError(f"input {i} of grad does not require a gradient")
        nodes.append(x.node)
    retain = create_graph if retain_graph is None else retain_graph
    collected = run_backward(output, gradient, nodes, retain, create_graph)
    results = [unshared(collected[node]) if node in collected else None for node in nodes]
    return results[0] if single else tuple(results)
