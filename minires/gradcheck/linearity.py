"""What a rule makes of its upstream gradient, in which a gradient is linear, in full precision.

Only the first cause is told: a rule that ignores the upstream gradient is not linear in it either,
and one that rounds to float32 is linear to seven digits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np  # host arithmetic in float64

from minires.gradcheck.graph import Gradient, Graph, close
from minires.gradcheck.subject import HostArray

SCALE = 2.0**40
"""What parts of an upstream gradient are multiplied with, or divided by: exact, being 2^n."""

PRECISION = {"float16": 1e-2, "float32": 1e-6}
"""What these leave uncertain, sums and all, of the largest entry."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with the gradient of one output with respect to one input.

    Attributes
    ----------
    output, input : int
    text : str
        As a hint says it.
    explains : float
        How large a relative error of the values may come from it.
    """

    output: int
    input: int
    text: str
    explains: float = math.inf

    def of(self, name: str) -> str:
        """The text, of a gradient with a name."""
        begin, _, rest = self.text.partition("it is ")
        return f"{name}: {self.text}" if begin else f"{name} is {rest}"


def find_nonlinear(
    graph: Graph, vs: Sequence[HostArray], known: Sequence[Gradient]
) -> list[Finding]:
    """At most one finding for each output and input, given the gradients known for `vs`."""
    found = []
    for i, v in enumerate(vs):
        in_parts = _in_parts(graph, i, v)
        rounded = graph.gradient(i, _rounded(v, "float32"))
        largest = max((abs(g).max(initial=0) for g in known[i] if g is not None), default=0)
        for j, g in enumerate(known[i]):
            if g is None:
                continue
            # what cancels leaves a few last bits, and those fit into float32
            cancels = abs(g).max(initial=0) <= max(1e-9, 1e-6 * largest)
            narrow = None if cancels else _narrow(g, rounded[j])
            if narrow or not close(in_parts[j], g):
                of = functools.partial(_gradient, graph, i, j)
                found.append(Finding(i, j, *_cause(of, v, g, in_parts[j], narrow)))
    return found


def _in_parts(graph: Graph, i: int, v: HostArray) -> list[HostArray]:
    """The gradients put together of two: those of every other entry of the upstream gradient.

    The even entries far larger, the odd ones far smaller, and all negated.
    """
    even = (np.arange(v.size) % 2 == 0).reshape(v.shape)
    large = graph.gradient(i, np.where(even, -v * SCALE, 0.0))
    small = graph.gradient(i, np.where(even, 0.0, -v / SCALE))
    return [
        np.zeros(leaf.shape) - (0 if s is None else s * SCALE) - (0 if b is None else b / SCALE)
        for leaf, b, s in zip(graph.leaves, large, small, strict=True)
    ]


def _gradient(graph: Graph, i: int, j: int, v: HostArray) -> HostArray:
    gradient = graph.gradient(i, v)[j]
    return np.zeros(graph.leaves[j].shape) if gradient is None else gradient


def _narrow(g: HostArray, of_rounded: HostArray | None) -> str | None:
    """The dtype to which a gradient is rounded, or its upstream gradient first, if there is one."""
    for dtype in PRECISION:
        if np.array_equal(g, _rounded(g, dtype)):
            return dtype
    return "float32" if of_rounded is not None and np.array_equal(g, of_rounded) else None


def _cause(
    of: Callable[[HostArray], HostArray],
    v: HostArray,
    g: HostArray,
    in_parts: HostArray,
    narrow: str | None,
) -> tuple[str, float]:
    """The first of the reasons there may be, and the relative error that it explains.

    `of` gives the gradient for another upstream gradient than v.
    """
    largest = abs(g).max(initial=0)
    if g.any() and np.array_equal(of(-v * np.linspace(2, 3, v.size).reshape(v.shape)), g):
        return (
            "the upstream gradient is ignored: another one gives the same analytic gradient (the "
            "chain rule's factor g forgotten?)"
        ), math.inf
    if narrow:
        return (
            f"it is computed in {narrow} though every input is float64: np.zeros_like(x) keeps the "
            "dtype"
        ), PRECISION[narrow]
    if abs(of(0 * v)).max(initial=0) > 1e-12 + 1e-8 * largest:
        return (
            "it is not linear in the upstream gradient: where all of that is 0, it is not 0 (a "
            "part of the rule ignores it: a factor g forgotten?)"
        ), math.inf
    if (abs(in_parts - g) <= PRECISION["float32"] * largest).all():
        return (
            "it is right to seven digits only, as if computed in float32, though every input is "
            "float64"
        ), PRECISION["float32"]
    if not close(-of(-v), g):
        return (
            "it is not linear in the upstream gradient: a negated one does not negate it (abs, a "
            "square, a mask where g > 0?)"
        ), math.inf
    return (
        "it is not linear in the upstream gradient: entries that are 0, negated, "
        f"{SCALE:.0e} times larger or smaller count for more or less (clipped, rounded to 0, "
        "divided by?)"
    ), math.inf


def _rounded(array: HostArray, dtype: str) -> HostArray:
    with np.errstate(over="ignore"):
        return array.astype(dtype).astype(np.float64)
