"""A forward pass of what is checked, to be differentiated in several ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np  # host arithmetic in float64

from minires.backend import to_device, to_host
from minires.gradcheck.subject import HostArray, Problem
from minires.gradients import grad
from minires.tensors import Tensor

Gradient = list[HostArray | None]
"""One output's, by input, for one upstream gradient."""

Arrange = Callable[[HostArray], HostArray]
"""A copy of an array that may lie otherwise in memory."""


class Graph:
    """One forward pass at the problem's point, whose graph stays.

    Attributes
    ----------
    leaves, outs : list of Tensor
    """

    def __init__(self, problem: Problem, arrange: Arrange = np.copy) -> None:
        self.leaves = problem.tensors([arrange(a) for a in problem.point], requires_grad=True)
        self.outs = problem.call(self.leaves)
        self._inputs = problem.inputs
        self._outputs = problem.name_outputs()

    def gradient(self, i: int, v: HostArray, wanted: Sequence[int] | None = None) -> Gradient:
        """Output i's, with respect to the `wanted` inputs or to all."""
        out = self.outs[i]
        leaves = self.leaves if wanted is None else [self.leaves[j] for j in wanted]
        return vjp(out, leaves, Tensor(to_device(v, out.device)))

    def name(self, i: int, j: int | None = None) -> str:
        """What output i, or its gradient with respect to input j, is called."""
        if j is None:
            return f"the {self._outputs[i]}"
        return f"the gradient of the {self._outputs[i]} by {self._inputs[j]}"


def vjp(out: Tensor, leaves: Sequence[Tensor], v: Tensor) -> Gradient:
    """v^T J with respect to each leaf, on the host; the graph stays."""
    if not out.requires_grad:
        return [None] * len(leaves)
    return [None if g is None else host(g) for g in grad(out, leaves, v, retain_graph=True)]


def host(tensor: Tensor) -> HostArray:
    """A Tensor's array, on the host."""
    return to_host(tensor.data)


def close(a: HostArray, b: HostArray) -> bool:
    """Equal up to rounding in another order."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        near = abs(a - b) <= 1e-12 + 1e-8 * abs(b).max(initial=0)
    return bool((near | (np.isnan(a) & np.isnan(b))).all())


def alike(a: HostArray | None, b: HostArray | None) -> bool:
    """`close`, of gradients that may be missing."""
    return a is b if a is None or b is None else close(a, b)
