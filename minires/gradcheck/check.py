"""`gradcheck`: hold analytic gradients against numerical ones, in a way that cannot be fooled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np  # host arithmetic in float64

from minires.gradcheck.compare import (
    DIRECTIONS,
    compare_directions,
    compare_elements,
    random_directions,
)
from minires.gradcheck.comparison import Comparison
from minires.gradcheck.entries import Check, Tolerance
from minires.gradcheck.numeric import DIRECTION_STEP, STEP, Lines
from minires.gradcheck.progress import Progress
from minires.gradcheck.report import Report
from minires.gradcheck.subject import Subject, differentiated
from minires.gradcheck.trial import Trial

Mode = Literal["full", "directional"]

COTANGENTS = 2
"""How many random upstream gradients each output is checked with, element by element."""


class GradcheckError(AssertionError):
    """A gradient is wrong; the message is the report, which is also in `report`."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    mode: Mode = "full",
    h: float | None = None,
    atol: float = 1e-9,
    rtol: float = 1e-6,
    seed: int = 0,
    raise_exception: bool = True,
) -> Report:
    """Check the gradients of `fn` at `inputs` against finite differences, in float64.

    For each output a random upstream gradient v is drawn, and v^T J from the backward is compared
    with central differences of <v, fn(inputs)>, for each pair of an output and an input::

        |analytic - numeric| <= atol + rtol * max|numeric|

    v is random, since a v of ones can be blind: the sum of a normalised vector is constant, so its
    gradient is 0, and so is 7 times it. An entry that disagrees is tried with other steps. One that
    still disagrees is excused if the one-sided slopes disagree too, a kink, and the analytic value
    lies between them; if more than 5% of an input's entries are excused, the check fails. Where no
    entry reaches 1e-9 but two steps agree on them, a thousandth of the largest is tolerated.

    Also checked: forward and backward give the same bits when repeated, `backward()` accumulates,
    other memory layouts give the same gradients, and so does asking for some of them only; the
    backward is linear in v and computes in float64; neither inputs nor v are modified.

    A check of more than a second or two shows its progress where standard error is a terminal.

    Parameters
    ----------
    fn : callable
        A function of Tensors, a Module or an op. It returns a Tensor or several, in a tuple, list
        or dict. The parameters of a Module, and those that a function refers to, by itself or in
        modules, are checked as inputs.
    inputs : sequence of Tensor or array
        Of any dtype; floating ones are checked, in float64. Everything else (labels, numbers) is
        passed through. One Tensor or array may stand alone.
    order : int
        The highest derivative to check: 2 includes 1.
    mode : {"full", "directional"}
        Every element by itself, or a few random directions, which costs the same few evaluations
        for any number of elements: for whole networks.
    h : float, optional
        The step relative to the elements' size; by default 6e-6, along a direction 2e-7.
    atol, rtol : float
        The tolerance.
    seed : int
        Of upstream gradients and directions.
    raise_exception : bool
        Raise if the check fails, rather than only report.

    Returns
    -------
    Report
        True if everything is right; its text says what is wrong and where.

    Raises
    ------
    GradcheckError
        If something is wrong.
    TypeError, ValueError
        If there is nothing to check; whatever `fn` raises in its forward.
    """
    if order < 1:
        raise ValueError(f"gradcheck wants order 1 or more, got {order}")
    if mode not in ("full", "directional"):
        raise ValueError(f'gradcheck wants mode "full" or "directional", got {mode!r}')
    if h is not None and not 0 < h < math.inf:
        raise ValueError(f"gradcheck wants a positive step h, got {h}")
    if not (0 <= atol < math.inf and 0 <= rtol < math.inf):
        raise ValueError(f"gradcheck wants tolerances of 0 or more, got atol={atol}, rtol={rtol}")
    if seed < 0:
        raise ValueError(f"gradcheck wants a seed of 0 or more, got {seed}")
    full = mode == "full"
    step = h or (STEP if full else DIRECTION_STEP)
    begin = time.perf_counter()
    subject = Subject(fn, inputs)
    problems: list[str] = []
    late: list[str] = []
    comparisons: list[Comparison] = []
    evaluations = 0
    progress = Progress(subject.name, full)
    # what is not finite is reported
    with subject.surroundings, np.errstate(all="ignore"), progress:
        problem = subject.problem()
        for level in range(1, order + 1):
            rng = np.random.default_rng([seed, level])
            trial = Trial(problem, rng, subject, COTANGENTS if full else 1)
            problems += [f"order {level}: {text}" for text in trial.problems]
            late += [f"order {level}: {text}" for text in trial.late]
            if not trial.gradients:
                break
            elements = sum(a.size for a in problem.point)
            progress.expect(1 + 2 * (elements if full else DIRECTIONS))
            lines = Lines(problem, trial.cotangents, progress.step)
            check = Check(
                problem,
                trial.cotangents,
                trial.gradients,
                lines,
                Tolerance(atol, rtol),
                step,
                level,
                trial.values,
                trial.nonlinear,
            )
            comparisons += compare_elements(check) if full else compare_directions(check, rng)
            evaluations += lines.evaluations
            directions = None if full else random_directions(problem.point, rng)
            problem = differentiated(problem, [vs[0] for vs in trial.cotangents], directions)
    report = Report(
        subject.name,
        tuple(comparisons),
        tuple(problems),
        mode,
        seed,
        evaluations,
        time.perf_counter() - begin,
        tuple(late),
    )
    if raise_exception and not report:
        raise GradcheckError(report)
    return report


def gradgradcheck(fn: Callable[..., Any], inputs: Any, **options: Any) -> Report:
    """`gradcheck` of first and second derivatives: `order=2`."""
    return gradcheck(fn, inputs, order=2, **options)
