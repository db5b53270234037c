"""The same gradients asked for in other ways, of which a rule may know only some.

A gradient does not depend on how its arrays lie in memory, on who else wants one, or on the size of
the upstream gradient, in which it is linear. None of this shows in a comparison with numerical
derivatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np  # host arithmetic in float64

from minires.gradcheck.graph import Arrange, Gradient, Graph, alike, close, host
from minires.gradcheck.linearity import Finding, find_nonlinear
from minires.gradcheck.subject import Gradients, HostArray, Problem

FEW = 5
"""Up to how many inputs each is differentiated by alone, and not only every other one."""


class Differences(NamedTuple):
    """What is wrong, in words, and more of some of it.

    Attributes
    ----------
    problems : list of str
    nonlinear : list of Finding
        What concerns linearity and precision.
    late : list of str
        What wrong values, if there are any, may explain.
    """

    problems: list[str]
    nonlinear: list[Finding]
    late: list[str]


def find_differences(
    problem: Problem,
    values: Sequence[HostArray],
    cotangents: Sequence[Sequence[HostArray]],
    gradients: Gradients,
) -> Differences:
    """What is wrong beside the values.

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
    graph = Graph(problem)
    nonlinear = find_nonlinear(graph, vs, known)
    late = _by_wanted(graph, vs, known)  # before other forwards write to what this one has saved
    found = [f.of(graph.name(f.output, f.input)) for f in nonlinear]
    # whatever is rounded depends on the order of sums, and so on the layout
    rounded = {(f.output, f.input) for f in nonlinear if np.isfinite(f.explains)}
    found += _by_layout(problem, "non-contiguous", strided, values, vs, known, rounded)
    if any(a.ndim > 1 for a in [*problem.point, *vs]):
        found += _by_layout(problem, "Fortran-ordered", _fortran, values, vs, known, rounded)
    return Differences(list(dict.fromkeys(found + late)), nonlinear, late)


def _by_layout(
    problem: Problem,
    name: str,
    arrange: Arrange,
    values: Sequence[HostArray],
    vs: Sequence[HostArray],
    known: Sequence[Gradient],
    rounded: Iterable[tuple[int, int]],
) -> list[str]:
    """Inputs and upstream gradients that lie otherwise in memory."""
    graph, found = Graph(problem, arrange), []
    for i, (out, value) in enumerate(zip(graph.outs, values, strict=True)):
        if not close(host(out), value):
            found.append(f"{name} inputs change {graph.name(i)}")
    for i, v in enumerate(vs):
        for j, g in enumerate(graph.gradient(i, arrange(v))):
            if not alike(g, known[i][j]) and (i, j) not in rounded:
                found.append(f"{name} inputs change {graph.name(i, j)}")
    return found


def _by_wanted(graph: Graph, vs: Sequence[HostArray], known: Sequence[Gradient]) -> list[str]:
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
                if not alike(g, known[i][j]):
                    found.append(f"{graph.name(i, j)} is another if not every input's is wanted")
    return found


def _fortran(array: HostArray) -> HostArray:
    """A copy in which the first axis is contiguous, as in a transposed array."""
    return array.copy(order="F")


def strided(array: HostArray) -> HostArray:
    """The same values in memory that is not contiguous and runs backwards along the last axis."""
    if array.ndim == 0:
        return array.copy()
    buffer = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan)
    view = buffer[..., ::-2]
    view[...] = array
    return view
