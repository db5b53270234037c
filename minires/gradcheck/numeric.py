"""Numerical derivatives: finite differences along lines, and what they say of kinks.

For a function f of float64 arrays, a cotangent v and a direction u, let phi(t) = <v, f(x + t u)>.
Then phi'(0) = <J(x)^T v, u>, which is what an analytic gradient is held against. It is estimated by

    right   = (phi(h) - phi(0)) / h
    left    = (phi(0) - phi(-h)) / h
    central = (phi(h) - phi(-h)) / 2h = phi'(0) + h^2 phi'''(0) / 6 + O(h^4)

(Abramowitz and Stegun 1964, 25.3.21). Rounding adds about eps |phi| / h, so that in float64 the
best h is near eps^(1/3), 6e-6, times the scale on which phi changes (Nocedal and Wright 2006,
section 8.1). At a kink right and left disagree, however small h is; where phi is merely curved they
differ by h phi'', which vanishes with h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np  # host arithmetic in float64

from minires.backend import to_host
from minires.grad_mode import no_grad
from minires.gradcheck.subject import HostArray, Problem

STEP = float(np.finfo(np.float64).eps ** (1 / 3))
"""The default step, relative to the scale of what is stepped along."""

DIRECTION_STEP = STEP / 30
"""The default step along a direction: shorter, since a network's many kinks lie close together."""

RETRIES = (30.0, 1.0, 1 / 30, 1e-3)
"""Where central difference and gradient disagree, these multiples of the step are tried."""

Place = Callable[[float], float]
"""`place(t)` brings the point to x + t u and returns the exact t, rounding included."""


class Slopes(NamedTuple):
    """One-sided and central slopes, each (rows,): one row per output and cotangent."""

    right: HostArray
    left: HostArray
    central: HostArray


class Verdict(NamedTuple):
    """What several steps say of entries where the first one disagreed, each (rows,).

    Attributes
    ----------
    numeric : array
        The central difference that comes closest to the analytic value.
    kink : array of bool
        Whether the one-sided slopes disagree at the smallest step too.
    between : array of bool
        Whether the analytic value lies between them, as every subgradient does.
    """

    numeric: HostArray
    kink: HostArray
    between: HostArray


class Lines:
    """Slopes of a problem's outputs, weighted by cotangents, along lines through its point.

    Parameters
    ----------
    problem : Problem
    cotangents : sequence of sequence of array
        For each output its cotangents. Rows are counted output by output, cotangent by cotangent.
    step : callable, optional
        Called after each evaluation.

    Attributes
    ----------
    point : list of array
        A copy of the problem's point, which `place` moves about in.
    evaluations : int
        How often the function has been called.
    step : callable
    """

    def __init__(
        self,
        problem: Problem,
        cotangents: Sequence[Sequence[HostArray]],
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self.point = [a.copy() for a in problem.point]
        self.evaluations = 0
        self._problem = problem
        self.step = step
        sizes = [vs[0].size for vs in cotangents]
        self._weights = np.zeros((sum(map(len, cotangents)), sum(sizes)))  # (rows, output elements)
        row = 0
        for i, vs in enumerate(cotangents):
            for v in vs:
                self._weights[row, sum(sizes[:i]) : sum(sizes[: i + 1])] = v.ravel()
                row += 1
        self._base = self._evaluate()
        self._magnitude = abs(self._weights) @ abs(self._base)  # (rows,)

    def slopes(self, place: Place, step: float) -> Slopes:
        """The slopes along the line that `place` moves on."""
        up = place(step)
        above = self._evaluate()
        down = -place(-step)
        below = self._evaluate()
        place(0)
        with np.errstate(all="ignore"):  # out of the domain: NaN, and a smaller step is tried
            rise = self._weights @ (above - self._base)
            fall = self._weights @ (self._base - below)
            return Slopes(rise / up, fall / down, (rise + fall) / (up + down))

    def noise(self, step: float) -> HostArray:
        """How far off rounding of the outputs can put a slope, (rows,)."""
        return np.asarray(4 * np.finfo(np.float64).eps * self._magnitude / step)

    def settle(
        self, place: Place, steps: Sequence[float], analytic: HostArray, tolerance: HostArray
    ) -> Verdict:
        """Look closer at a line where the analytic slope and the central difference disagree.

        A step too large sees curvature or a kink nearby, one too small sees rounding: only who
        disagrees with every one of `steps`, the largest first, is wrong.
        """
        tries = [self.slopes(place, step) for step in steps]
        centrals = np.array([t.central for t in tries])  # (tries, rows)
        errors = np.nan_to_num(abs(centrals - analytic), nan=np.inf)
        best = errors.argmin(axis=0)
        rows = np.arange(len(best))
        right, left, _ = tries[-1]
        gap, wide_gap = abs(right - left), abs(tries[0].right - tries[0].left)
        noise = self.noise(steps[-1])
        low, high = np.minimum(right, left) - tolerance, np.maximum(right, left) + tolerance
        return Verdict(
            centrals[best, rows],
            (gap > tolerance + noise) & (gap > wide_gap / 2),
            (low <= analytic) & (analytic <= high),
        )

    def _evaluate(self) -> HostArray:
        self.evaluations += 1
        with no_grad(), np.errstate(all="ignore"):
            outs = self._problem.call(self._problem.tensors(self.point))
        self.step()
        return np.concatenate([to_host(out.data).ravel() for out in outs])


def element_line(array: HostArray, index: tuple[int, ...]) -> Place:
    """The line that moves one element."""
    middle = array[index]

    def place(t: float) -> float:
        array[index] = middle + t
        return float(array[index] - middle)

    return place


def direction_line(arrays: Sequence[HostArray], direction: Sequence[HostArray]) -> Place:
    """The line that moves every element at once."""
    middle = [a.copy() for a in arrays]

    def place(t: float) -> float:
        for array, start, u in zip(arrays, middle, direction, strict=True):
            array[...] = start + t * u
        return t

    return place


def spread(array: HostArray) -> float:
    """The scale on which a function of this array is expected to change: its deviation."""
    return float(array.std()) if array.size else 0.0


def retry_steps(step: float, value: float = 0.0) -> list[float]:
    """Longer and shorter steps than `step`; one that suits the element's own size, if smaller."""
    steps = [step * factor for factor in RETRIES]
    own = STEP * abs(value)
    return [*steps, own] if 0 < own < steps[-1] else steps


def element_steps(array: HostArray, step: float) -> HostArray:
    """For each element `step` times its size or the array's spread, whichever is larger."""
    scale = np.maximum(abs(array), spread(array))
    return step * np.where(scale > 0, scale, 1.0)
