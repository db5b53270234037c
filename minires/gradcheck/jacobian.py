"""Gradients taken apart into what each output entry passes to each input entry: no sum hides it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np  # host arithmetic in float64

from minires.gradcheck.alike import CLOSE, Alike, HostArray
from minires.gradcheck.graph import Graph
from minires.gradcheck.numeric import Lines, element_line, element_steps
from minires.gradcheck.places import Names, describe
from minires.gradcheck.subject import Problem

MOST_OUTPUTS = 128
"""Of more output entries that many are looked at, picked at random."""

MOST_INPUTS = 512
MOST_WEIGHTS = 1 << 22
"""Larger problems are left alone: looking closer would take as long as the check itself."""


@dataclass(frozen=True)
class Jacobian:
    """d output / d input, by the backward and by differences, (rows, *shape of the input).

    Attributes
    ----------
    analytic, numeric : array
        Equal at kinks, where there is nothing to tell.
    rows : list of tuple
        The index into the output of each row.
    out_shape : tuple of int
    input : str
    evaluations : int
        Calls of the function that it took.
    """

    analytic: HostArray
    numeric: HostArray
    rows: list[tuple[int, ...]]
    out_shape: tuple[int, ...]
    input: str
    evaluations: int

    @property
    def whole(self) -> bool:
        """Whether every output entry has a row."""
        return len(self.rows) == math.prod(self.out_shape)

    def by_axes(self, matrix: HostArray) -> HostArray:
        """(rows, ...) to (*out_shape, ...), of a whole one."""
        return matrix.reshape((*self.out_shape, *matrix.shape[1:]))

    def wrong(self, alike: Alike) -> HostArray:
        """Which entries differ."""
        return np.asarray(abs(self.analytic - self.numeric) > alike.tolerance)

    @property
    def diagonal(self) -> HostArray:
        """Which entries are d output[i] / d x[i]."""
        same = np.zeros(self.analytic.shape, bool)
        if self.out_shape == self.analytic.shape[1:]:
            for row, index in enumerate(self.rows):
                same[row, *index] = True
        return same


def measure(
    problem: Problem,
    i: int,
    j: int,
    shapes: list[tuple[int, ...]],
    step: float,
    count: Callable[[], None] = lambda: None,
) -> Jacobian | None:
    """Of output `i` and input `j`, unless it is too large.

    `shapes` are all the outputs', `step` is the relative one, and `count` is called after each
    evaluation.
    """
    size, point = math.prod(shapes[i]), problem.point[j]
    if not (
        0 < point.size <= MOST_INPUTS
        and size > 1  # of one output entry the gradient says it all
        and min(size, MOST_OUTPUTS) * sum(map(math.prod, shapes)) <= MOST_WEIGHTS
    ):
        return None
    picked = np.random.default_rng(0).permutation(size)[:MOST_OUTPUTS]
    picked.sort()
    units = np.zeros((len(picked), size))
    units[range(len(picked)), picked] = 1
    units = units.reshape(-1, *shapes[i])
    cotangents = [list(units) if k == i else [np.zeros(s)] for k, s in enumerate(shapes)]
    lines = Lines(problem, cotangents, count)
    mine = slice(i, i + len(picked))  # one row for each output before
    steps = element_steps(lines.point[j], step)
    numeric = np.zeros((len(picked), *point.shape))
    kinks = np.zeros(numeric.shape, bool)
    for index in np.ndindex(point.shape):
        slopes = lines.slopes(element_line(lines.point[j], index), float(steps[index]))
        numeric[:, *index] = slopes.central[mine]
        gap = abs(slopes.right - slopes.left)[mine]
        kinks[:, *index] = ~(gap <= 1e-3 * abs(slopes.central[mine]).max(initial=0) + 1e-6)
    graph = Graph(problem)
    gradients = [graph.gradient(i, unit)[j] for unit in units]
    analytic = np.array([np.zeros(point.shape) if g is None else g for g in gradients])
    if not (np.isfinite(analytic).all() and np.isfinite(numeric[~kinks]).all()):
        return None
    numeric = np.where(kinks, analytic, numeric)
    rows = [tuple(int(k) for k in np.unravel_index(p, shapes[i])) for p in picked]
    return Jacobian(analytic, numeric, rows, shapes[i], problem.inputs[j], lines.evaluations)


def find(jacobian: Jacobian) -> str | None:
    """What is wrong between single entries; None if nothing simple."""
    j, alike = jacobian, _alike(jacobian)
    a, n = j.analytic, j.numeric
    wrong = j.wrong(alike)
    if not wrong.any():
        return None
    if j.whole:
        a, n, wrong = j.by_axes(a), j.by_axes(n), j.by_axes(wrong)
        axes: list[str | None] = [f"axis {k} of the output" for k in range(len(j.out_shape))]
    else:
        axes = [None]
    axes += [f"axis {k} of {j.input}" for k in range(j.analytic.ndim - 1)]
    entries = f"pairs of an output entry and an entry of {j.input}"
    if j.diagonal[j.wrong(alike)].all():
        entries += f" (all of output[i] and {j.input}[i]: a shortcut, x + f(x)?)"
    text = describe(a, n, wrong, Names(axes, entries), alike)
    text = text or _transposed(j, alike) or _rearranged(j, alike) or _rescaled(j, alike)
    return f"d output / d {j.input}, entry by entry: {text}" if text else None


def _alike(j: Jacobian) -> Alike:
    # where all should be 0, the numeric one is but rounding
    scale = max(abs(j.numeric).max(initial=0), abs(j.analytic).max(initial=0) / 1000)
    return Alike(min(CLOSE * scale, abs(j.analytic - j.numeric).max(initial=0) / 10))


def _transposed(j: Jacobian, alike: Alike) -> str | None:
    """An axis of the output in place of one of the input, as where a matrix is not transposed."""
    if not j.whole:
        return None
    a, n = j.by_axes(j.analytic), j.by_axes(j.numeric)
    count = len(j.out_shape)
    for i, k in itertools.product(range(count), range(count, a.ndim)):
        if a.shape[i] == a.shape[k] and alike(a, n.swapaxes(i, k)):
            return (
                f"axis {i} of the output and axis {k - count} of {j.input} exchanged: a matrix "
                "transposed, or not transposed?"
            )
    return None


def _rearranged(j: Jacobian, alike: Alike) -> str | None:
    """The right numbers at the wrong entries, for most of the outputs that are wrong."""
    a, n = (m.reshape(len(j.rows), -1) for m in (j.analytic, j.numeric))
    wrong = (abs(a - n) > alike.tolerance).any(axis=1)
    same = (abs(np.sort(a, axis=1) - np.sort(n, axis=1)) <= alike.tolerance).all(axis=1) & wrong
    if same.sum() < max(2, wrong.sum() / 4):
        return None
    return (
        f"for {same.sum()} of {len(j.rows)} output entries the right numbers at the wrong entries "
        f"of {j.input}: an axis exchanged, a kernel flipped, a stride or padding forgotten?"
    )


def _rescaled(j: Jacobian, alike: Alike) -> str | None:
    """`analytic = c + d * numeric` along an axis of the output: values before a normalisation?"""
    if not j.whole or alike(j.analytic, 0):
        return None
    for axis, length in enumerate(j.out_shape):
        a, n = j.by_axes(j.analytic), j.by_axes(j.numeric)
        count = (abs(n) > alike.tolerance).sum(axis)
        if length < 4 or (count[count > 0] < 4).any():
            continue  # two numbers always fit
        a, n = (m - m.mean(axis, keepdims=True) for m in (a, n))
        square = (n * n).sum(axis, keepdims=True)
        slope = (a * n).sum(axis, keepdims=True) / np.where(square, square, 1)
        if square.max() > length * alike.tolerance**2 and alike(a, slope * n):
            return (
                f"along axis {axis} of the output analytic = c + d * numeric: values from before "
                "or after a normalisation or a scale in place of those between?"
            )
    return None


def find_example(j: Jacobian) -> str | None:
    """The largest entry that should be zero and is not, or the other way about."""
    alike = _alike(j)
    zero, no_zero = abs(j.analytic) <= alike.tolerance, abs(j.numeric) > alike.tolerance
    missing, extra = zero & no_zero, ~zero & ~no_zero
    at_extra = extra.sum() >= missing.sum()
    chosen = extra if at_extra else missing
    if chosen.sum() < max(1, j.wrong(alike).sum() / 4):
        return None
    where_from = abs(np.where(chosen, j.analytic if at_extra else j.numeric, 0))
    row, *index = (int(k) for k in np.unravel_index(where_from.argmax(), chosen.shape))
    out, entry = f"output{list(j.rows[row])}", f"{j.input}{index}"
    count = f"({chosen.sum()} such pairs)"
    if at_extra:
        return (
            f"{out} does not depend on {entry} here, yet passes a gradient on to it {count}: a "
            "mask, a maximum, a stride or an index forgotten?"
        )
    return f"{out} depends on {entry}, yet passes no gradient on to it {count}: is it left out?"


def same_places(j: Jacobian) -> str | None:
    """That at least nothing is left out, nor too much."""
    tolerance = _alike(j).tolerance
    if ((abs(j.analytic) > tolerance) != (abs(j.numeric) > tolerance)).any():
        return None
    return (
        f"each output entry passes a gradient on to the right entries of {j.input}, but with wrong "
        "values: is the formula of the derivative right?"
    )
