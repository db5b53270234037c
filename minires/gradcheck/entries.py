"""One input's entries, or slopes along directions, held against numerical ones and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np  # host arithmetic in float64

from minires.gradcheck import hints, jacobian
from minires.gradcheck.comparison import Comparison
from minires.gradcheck.linearity import Finding
from minires.gradcheck.numeric import Lines, Place
from minires.gradcheck.subject import Gradients, HostArray, Problem

SMALL = 1e-9
"""Below this an absolute tolerance would hide everything; it is meant for rounding around 0."""

MOST_KINKS = 0.05
"""The share of an input's entries that may be excused as kinks."""


@dataclass(frozen=True)
class Tolerance:
    """`|analytic - numeric| <= atol + rtol * max|numeric|`, the maximum over a pair's entries."""

    atol: float
    rtol: float

    def of(self, numeric: HostArray) -> HostArray:
        """(rows, entries) to (rows,)."""
        finite = np.where(np.isfinite(numeric), abs(numeric), 0)
        tolerance = self.atol + self.rtol * finite.max(axis=1, initial=0)
        return np.asarray(np.maximum(tolerance, np.finfo(np.float64).tiny))


@dataclass(frozen=True)
class Check:
    """One order of derivatives at one point: what all comparisons share."""

    problem: Problem
    cotangents: list[list[HostArray]]  # by output
    gradients: Gradients
    lines: Lines
    tolerance: Tolerance
    step: float
    order: int
    values: list[HostArray]  # of the outputs
    nonlinear: list[Finding]

    @property
    def rows(self) -> list[tuple[int, int]]:
        """(output, cotangent) of each row of `lines`."""
        return [(i, k) for i, vs in enumerate(self.cotangents) for k in range(len(vs))]

    def cause(self, output: int, i: int | None, error: float) -> str | None:
        """What is known to put values of one gradient off by so much, relative to the largest."""
        for f in self.nonlinear:
            if (f.output, f.input) == (output, i) and error <= f.explains:
                return f.text
        return None


class Entries:
    """Entries of the gradient with respect to one input, or slopes along directions.

    They are computed for all rows at once.
    """

    def __init__(
        self,
        check: Check,
        places: Sequence[Place],
        steps: Sequence[float],
        retries: Sequence[Sequence[float]],
        analytic: HostArray,
    ) -> None:
        count = len(places)
        self.check = check
        self.analytic = analytic  # (rows, entries)
        self.steps = steps
        shape = (len(check.rows), count)
        right, left, self.numeric = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for e, (place, step) in enumerate(zip(places, steps, strict=True)):
            slopes = check.lines.slopes(place, step)
            right[:, e], left[:, e], self.numeric[:, e] = slopes
        self.nearest = _nearest_slope(analytic, right, left, self.numeric)
        # where one-sided slopes differ by more than the slope, as where f jumps, it is no scale
        self.smooth = abs(right - left) <= abs(self.numeric)
        self.most = self._most(places, steps)  # (rows,)
        self.tolerance = self._tolerance()  # (rows,)
        self.kinks = np.zeros(self.numeric.shape, bool)
        self.excused = np.zeros(self.numeric.shape, bool)
        self._settle(places, retries)
        self.errors = self._errors()

    def _most(self, places: Sequence[Place], steps: Sequence[float]) -> HostArray:
        """The largest tolerance: of gradients that are small but no rounding, a thousandth."""
        sizes = np.nan_to_num(abs(self.numeric), nan=np.inf).max(axis=1, initial=0)
        most = np.full(len(sizes), np.inf)
        if not ((sizes > 0) & (sizes < SMALL)).any():
            return most
        longer = np.zeros(self.numeric.shape)
        for e, (place, step) in enumerate(zip(places, steps, strict=True)):
            longer[:, e] = self.check.lines.slopes(place, 10 * step).central
        with np.errstate(invalid="ignore"):
            apart = abs(longer - self.numeric).max(axis=1, initial=0)
        real = (sizes > 0) & (sizes < SMALL) & (apart < 1e-4 * sizes)
        return np.where(real, 1e-3 * sizes, most)

    def _tolerance(self) -> HostArray:
        of_all = self.check.tolerance.of(np.where(self.smooth, self.numeric, 0))
        return np.minimum(of_all, self.most)

    def _errors(self) -> HostArray:
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(abs(self.analytic - self.numeric), nan=np.inf)

    def _settle(self, places: Sequence[Place], retries: Sequence[Sequence[float]]) -> None:
        """Try other steps where there is disagreement, the worst first, until one is certain."""
        excess = (self._errors() / self.tolerance[:, None]).max(axis=0)  # (entries,)
        for e in np.argsort(-excess, kind="stable"):
            if excess[e] <= 1:
                break
            verdict = self.check.lines.settle(
                places[e], retries[e], self.analytic[:, e], self.tolerance
            )
            doubtful = ~(self._errors()[:, e] <= self.tolerance)
            self.numeric[:, e] = np.where(doubtful, verdict.numeric, self.numeric[:, e])
            # the first step may have given NaN here, and this be the largest entry of all
            self.smooth[:, e] = ~verdict.kink
            self.tolerance = self._tolerance()
            wrong = doubtful & ~(self._errors()[:, e] <= self.tolerance)
            self.kinks[:, e] = wrong & verdict.kink
            self.excused[:, e] = wrong & verdict.kink & verdict.between
            if (wrong & ~verdict.kink).any():
                break

    def comparisons(
        self,
        name: str,
        shape: tuple[int, ...] | None,
        i: int | None,
        numeric: Sequence[HostArray] = (),
    ) -> list[Comparison]:
        """One per output: that of its worst cotangent.

        `shape` is the input's, None where entries are directions; `i` is the input, None for many.
        `numeric` are the numeric gradients with respect to all inputs, each (rows, entries).
        """
        return [
            self._comparison(output, label, name, shape, i, numeric)
            for output, label in enumerate(self.check.problem.name_outputs())
        ]

    def _comparison(
        self,
        output: int,
        label: str,
        name: str,
        shape: tuple[int, ...] | None,
        i: int | None,
        numeric: Sequence[HostArray],
    ) -> Comparison:
        check = self.check
        rows = [r for r, (o, _) in enumerate(check.rows) if o == output]
        r = max(rows, key=self._badness)
        wrong = (self.errors[r] > self.tolerance[r]) & ~self.excused[r]
        places = wrong.shape if shape is None else shape
        comparison = Comparison(
            order=check.order,
            output=label,
            input=name,
            analytic=self.analytic[r].reshape(places),
            numeric=self.numeric[r].reshape(places),
            tolerance=float(self.tolerance[r]),
            wrong=wrong.reshape(places),
            excused=self.excused[r].reshape(places),
            too_many_kinks=bool(self.excused[r].sum() > MOST_KINKS * wrong.size),
            directional=shape is None,
        )
        if comparison.passed:
            return comparison
        evidence = hints.Evidence(
            numeric=self.nearest[r].reshape(places),
            kinks=self.kinks[r].reshape(places),
            shapes=[a.shape for a in check.problem.point] + [check.cotangents[output][0].shape],
            none=i is not None and check.gradients[output][check.rows[r][1]][i] is None,
            cause=check.cause(output, i, comparison.relative_error),
            noise=float(check.lines.noise(max(self.steps))[r]),
        )
        if i is not None and shape is not None:
            evidence = self._look_closer(evidence, output, r, i, numeric)
        return comparison.with_hint(hints.find(comparison, evidence))

    def _look_closer(
        self, evidence: hints.Evidence, output: int, r: int, i: int, numeric: Sequence[HostArray]
    ) -> hints.Evidence:
        """The evidence of one input's entries, with all that a rule may have made them of."""
        check = self.check
        point, names = check.problem.point, check.problem.inputs
        upstream = check.cotangents[output][check.rows[r][1]]
        return replace(
            evidence,
            x=point[i],
            upstream=upstream,
            known={
                **dict(zip(names, point, strict=True)),
                "out": check.values[output],
                "g": upstream,
            },
            others={
                name: n[r].reshape(x.shape)
                for j, (name, n, x) in enumerate(zip(names, numeric, point, strict=True))
                if j != i
            },
            jacobian=lambda: self._jacobian(output, i),
        )

    def _jacobian(self, output: int, i: int) -> jacobian.Jacobian | None:
        lines, shapes = self.check.lines, [v.shape for v in self.check.values]
        measured = jacobian.measure(
            self.check.problem, output, i, shapes, self.check.step, lines.step
        )
        lines.evaluations += measured.evaluations if measured else 0
        return measured

    def _badness(self, r: int) -> float:
        """How far a row is from passing: above 1 it fails."""
        excess = np.where(self.excused[r], 0, self.errors[r] / self.tolerance[r])
        kinks = self.excused[r].sum() / max(MOST_KINKS * excess.size, 1e-9)
        return float(max(excess.max(initial=0), kinks))


def _nearest_slope(
    analytic: HostArray, right: HostArray, left: HostArray, central: HostArray
) -> HostArray:
    """The central slopes, but at kinks the one-sided ones that are nearer to the analytic ones.

    For hints, so that a kink here and there does not hide a pattern. A gap between the one-sided
    slopes of a thousandth of the largest slope counts as a kink: curvature makes far smaller ones.
    """
    with np.errstate(invalid="ignore"):
        kink = (
            abs(right - left) > 1e-3 * np.nan_to_num(abs(central)).max(axis=1, initial=0)[:, None]
        )
        nearer = np.where(abs(analytic - right) < abs(analytic - left), right, left)
    return np.where(kink, nearer, central)
