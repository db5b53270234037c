"""The same gradients asked for in other ways, of which a rule may know only some.

A gradient does not depend on how its arrays lie in memory, on who else wants one, or on the size of
the upstream gradient, in which it is linear. None of this shows in a comparison with numerical
derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np  # host arithmetic in float64

from minires.backend import to_device, to_host
from minires.gradcheck.subject import Gradients, HostArray, Problem
from minires.gradients import grad
from minires.tensors import Tensor

SCALE = 2.0**40
"""What parts of an upstream gradient are multiplied with, or divided by: exact, being 2^n."""

FEW = 5
"""Up to how many inputs each is differentiated by alone, and not only every other one."""

Gradient = list[HostArray | None]
"""One output's, by input, for one upstream gradient."""

Arrange = Callable[[HostArray], HostArray]
"""A copy of an array that may lie otherwise in memory."""


def find_differences(
    problem: Problem,
    values: Sequence[HostArray],
    cotangents: Sequence[Sequence[HostArray]],
    gradients: Gradients,
) -> list[str]:
    """What is wrong, in words.

    Parameters
    ----------
    problem : Problem
    values : sequence of array
        The outputs.
    cotangents : sequence of sequence of array
        By output; the first of each is used.
    gradients : Gradients
        Those of `cotangents`.
    """
    vs = [of_output[0] for of_output in cotangents]
    known = [of_output[0] for of_output in gradients]
    found = _by_layout(problem, "non-contiguous", strided, values, vs, known)
    if any(a.ndim > 1 for a in [*problem.point, *vs]):
        found += _by_layout(problem, "Fortran-ordered", _fortran, values, vs, known)
    graph = _Graph(problem)
    found += _by_wanted(graph, vs, known)
    found += _by_size(graph, vs, known)
    found += _by_precision(graph, vs, known)
    return list(dict.fromkeys(found))


class _Graph:
    """A forward pass, to be differentiated in several ways."""

    def __init__(self, problem: Problem, arrange: Arrange = np.copy) -> None:
        self.inputs = problem.inputs
        self.leaves = problem.tensors([arrange(a) for a in problem.point], requires_grad=True)
        self.outs = problem.call(self.leaves)
        self.outputs = problem.name_outputs()

    def gradient(self, i: int, v: HostArray, wanted: Sequence[int] | None = None) -> Gradient:
        """Output i's, by the `wanted` inputs or by all."""
        out = self.outs[i]
        leaves = self.leaves if wanted is None else [self.leaves[j] for j in wanted]
        return vjp(out, leaves, Tensor(to_device(v, out.device)))


def _by_layout(
    problem: Problem,
    name: str,
    arrange: Arrange,
    values: Sequence[HostArray],
    vs: Sequence[HostArray],
    known: Sequence[Gradient],
) -> list[str]:
    """Inputs and upstream gradients that lie otherwise in memory."""
    graph = _Graph(problem, arrange)
    outputs, found = graph.outputs, []
    for i, (out, value) in enumerate(zip(graph.outs, values, strict=True)):
        if not close(host(out), value):
            found.append(f"{name} inputs change the {outputs[i]}")
    for i, v in enumerate(vs):
        for j, g in enumerate(graph.gradient(i, arrange(v))):
            if not _alike(g, known[i][j]):
                found.append(
                    f"{name} inputs change the gradient of the {outputs[i]} by {graph.inputs[j]}"
                )
    return found


def _by_wanted(graph: _Graph, vs: Sequence[HostArray], known: Sequence[Gradient]) -> list[str]:
    """Only some of the gradients, for which a rule may leave out the work for the others."""
    count = len(graph.leaves)
    if count == 1:
        return []
    everything = range(count)
    parts = [[j] for j in everything] if count <= FEW else [everything[::2], everything[1::2]]
    found = []
    for i, v in enumerate(vs):
        for wanted in parts:
            for j, g in zip(wanted, graph.gradient(i, v, wanted), strict=True):
                if not _alike(g, known[i][j]):
                    found.append(
                        f"the gradient of the {graph.outputs[i]} by {graph.inputs[j]} is another "
                        "if not every input's is wanted"
                    )
    return found


def _by_size(graph: _Graph, vs: Sequence[HostArray], known: Sequence[Gradient]) -> list[str]:
    """Every other entry of the upstream gradient far larger and negated, the others far smaller."""
    found = []
    for i, v in enumerate(vs):
        even = (np.arange(v.size) % 2 == 0).reshape(v.shape)
        large = graph.gradient(i, np.where(even, -v * SCALE, 0.0))
        small = graph.gradient(i, np.where(even, 0.0, v / SCALE))
        for j, g in enumerate(known[i]):
            if g is None:
                continue
            parts = [np.zeros_like(g) if p is None else p for p in (large[j], small[j])]
            if not close(parts[1] * SCALE - parts[0] / SCALE, g):
                found.append(
                    f"the gradient of the {graph.outputs[i]} by {graph.inputs[j]} is not linear in "
                    f"the upstream gradient: entries that are 0, negated, {SCALE:.0e} times "
                    "larger or smaller count for more or less (clipped, rounded to 0, divided by?)"
                )
    return found


def _by_precision(graph: _Graph, vs: Sequence[HostArray], known: Sequence[Gradient]) -> list[str]:
    """The upstream gradient rounded to float32, which only a rule that rounds it cannot tell."""
    found = []
    for i, v in enumerate(vs):
        rounded = graph.gradient(i, _rounded(v))
        largest = [abs(g).max(initial=0) for g in known[i] if g is not None]
        for j, (g, other) in enumerate(zip(known[i], rounded, strict=True)):
            if (
                g is None
                or other is None
                or abs(g).max(initial=0) <= max(1e-9, 1e-6 * max(largest))
            ):
                continue  # what cancels leaves a few last bits, and those fit into float32
            if np.array_equal(g, other) or np.array_equal(g, _rounded(g)):
                found.append(
                    f"the gradient of the {graph.outputs[i]} by {graph.inputs[j]} is computed in "
                    "float32 though every input is float64: np.zeros_like(x) keeps the dtype"
                )
    return found


def _rounded(array: HostArray) -> HostArray:
    return array.astype(np.float32).astype(np.float64)


# ---------------------------------------------------------------------- shared with trial.py


def vjp(out: Tensor, leaves: Sequence[Tensor], v: Tensor) -> Gradient:
    """v^T J by each leaf, on the host; the graph stays."""
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


def _fortran(array: HostArray) -> HostArray:
    """A copy in which the first axis is contiguous, as in a transposed array."""
    return array.copy(order="F")


def _alike(a: HostArray | None, b: HostArray | None) -> bool:
    return a is b if a is None or b is None else close(a, b)


def strided(array: HostArray) -> HostArray:
    """The same values in memory that is not contiguous and runs backwards along the last axis."""
    if array.ndim == 0:
        return array.copy()
    buffer = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan)
    view = buffer[..., ::-2]
    view[...] = array
    return view
