"""`checkup(make)`: every check in turn, each with a fresh set-up, within a time."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from minires.checks.evaluation import (
    accuracy,
    evaluation_takes,
    modes_agree,
    validation_follows,
)
from minires.checks.inputs import check_inputs
from minires.checks.learning import (
    LEARNS,
    SYMPTOMS,
    Course,
    Runner,
    commonest,
    epochs,
    learns_one_batch,
    learns_training,
    learnt_well,
    one_batch,
)
from minires.checks.loss_alone import NAMES as LOSS
from minires.checks.one_batch import check_one_batch
from minires.checks.one_change import changed, changes, frozen_layers, rates
from minires.checks.own_evaluation import own_evaluation, weights_of
from minires.checks.own_steps import check_own_steps, traced
from minires.checks.places import line_of, noted, own_line
from minires.checks.rates import rate_range
from minires.checks.report import Finding, Rates, Report, broken, not_checked
from minires.checks.settings import check_settings
from minires.checks.setup import (
    Clock,
    Setup,
    SetupError,
    batches,
    host,
    kept,
    kept_random,
    made,
    seeded,
)
from minires.checks.structure import check_structure

_NOTHING = not_checked("", "")


def checkup(make: Callable[[], Any], *, seconds: float = 10.0, seed: int = 0) -> Report:
    """Check a training before it is run, or one that does not learn.

    Parameters
    ----------
    make : callable
        Without arguments; gives a fresh `Setup` (or a dict with its names). It is called once for
        each group of checks, so that none sees what another has done.
    seconds : float
        About how long it may take. What there was no time for is "not checked".
    seed : int
        Of every random draw.

    Returns
    -------
    Report
        Facts with their numbers: what holds, what is broken, what could not be checked, and why.
        It names no most likely cause. Random state, weights and statistics are afterwards what they
        were.

    Raises
    ------
    TypeError, ValueError
        If `seconds` or `seed` makes no sense, or `make` gives no set-up.

    Examples
    --------
    >>> def make():
    ...     model = models.resnet8(in_channels=1)
    ...     train, valid = data.split(data.digits(), 0.2)
    ...     optimizer = optim.SGD(model.fc.parameters(), lr=0.1)
    ...     return minires.Setup(model, train, valid, nn.CrossEntropyLoss(), optimizer)
    >>> print(minires.checkup(make))
    """
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise ValueError(f"seconds must be a number above 0, got {seconds!r}")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, got {seed!r}")
    return _Checkup(make, float(seconds), int(seed)).run()


class _Checkup:
    """One call of `checkup`."""

    def __init__(self, make: Callable[[], Any], seconds: float, seed: int) -> None:
        self.make, self.seed = make, seed
        self.clock = Clock(seconds)
        self.findings: list[Finding] = []
        self.found_rates: Rates | None = None
        self.making = 0.0  # seconds that `make` takes

    def run(self) -> Report:
        with kept_random(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            for group in (
                *(self.structure, self.data, self.one_batch, self.steps, self.training),
                *(self.by_heart, self.rates),
            ):
                self.group(group)
        return Report(self.findings, self.clock.spent, self.found_rates)

    @contextmanager
    def fresh(self) -> Iterator[Setup]:
        seeded(self.seed)
        timer = Clock(0.0)
        with noted():
            setup = made(self.make)
        self.making = timer.spent
        with kept(setup):
            yield setup

    def group(self, check: Callable[[Setup], Iterable[Finding]]) -> None:
        """One group of checks; what the user's own code raises is said, not raised."""
        name = check.__name__.replace("_", " ")
        if self.clock.left <= self.making:
            reason = f"time ran out: the {self.clock.seconds:g} s are spent"
            self.findings.append(not_checked(name, reason))
            return
        with ExitStack() as stack:
            setup = stack.enter_context(self.fresh())  # what make raises is the caller's to see
            try:
                for finding in check(setup):
                    self.findings.append(self.placed(finding, name, setup))
            except SetupError:
                raise
            except Exception as error:
                self.findings.append(self.raised(name, error, setup))

    def placed(self, finding: Finding, group: str, setup: Setup) -> Finding:
        """With the line of what the check looks at, where it names no other."""
        if finding.verdict != "broken" or finding.line:
            return finding
        subject: Any = {"data": setup.train, "structure": setup.optimizer}.get(group, setup.step)
        if group == "one batch":
            subject = setup.loss if finding.check in LOSS else setup.model
        line = line_of(subject) or line_of(setup.optimizer) or line_of(self.make)
        return replace(finding, line=line)

    def raised(self, name: str, error: Exception, setup: Setup) -> Finding:
        """That the user's code, or one of the layers that it calls, raises; once for each error.

        A step of one's own may call the model in another way than we do: only the step tells.
        """
        text = f"it raises {type(error).__name__}: {' '.join(str(error).split())}"
        ours = setup.step is not None and name != "steps"
        if ours or any(f.message == text for f in self.findings):
            return not_checked(name, text)
        frames = traceback.extract_tb(error.__traceback__)
        own = [own_line(f"{f.filename}:{f.lineno}") for f in frames]
        return broken(
            name,
            text,
            "read the message: this stops the training",
            next((line for line in reversed(own) if line), ""),
            {"error": type(error).__name__},
        )

    # -------------------------------------------------------------- the groups

    def structure(self, setup: Setup) -> Iterable[Finding]:
        """Before and, if something is missing that others may move, after some steps."""
        found = list(check_structure(setup.model, setup.optimizer))
        if any(f.verdict == "broken" for f in found):
            with suppress(Exception):
                tracer, _ = traced(setup, self.clock.share(0.1), self.seed, 12)
                found = list(check_structure(setup.model, setup.optimizer, tracer))
        yield from found
        yield from check_settings(setup.model, setup.optimizer)

    def data(self, setup: Setup) -> Iterable[Finding]:
        yield from check_inputs(setup.train, setup.valid, self.clock.share(0.3), self.seed)

    def one_batch(self, setup: Setup) -> Iterable[Finding]:
        yield from check_one_batch(setup, self.batch(setup), self.clock.share(0.35), self.seed)

    def steps(self, setup: Setup) -> Iterable[Finding]:
        yield from check_own_steps(setup, self.clock.share(0.25), self.seed)

    def training(self, setup: Setup) -> Iterable[Finding]:
        """A short run, then one's own evaluation: by then the model is better than guessing."""
        seen: list[tuple[Any, Any]] = []
        labels: list[np.ndarray[Any, Any]] = []

        def remembered() -> Iterator[tuple[Any, Any]]:
            for inputs, answers in epochs(setup.train, self.seed):
                if sum(len(host(y)) for _, y in seen) < 500 and len(seen) < 50:
                    seen.append((inputs, answers))
                labels.append(host(answers))
                yield inputs, answers

        def until(course: Course) -> bool:
            return len(course.losses) >= 20 and bool(course.right) and course.end()[1] > 0.8

        start = weights_of(setup.model)
        course = Runner(setup).run(remembered(), self.clock.share(0.35), 200, until)
        yield learns_training(course, labels)
        clock, timer = self.clock.share(0.4), Clock(math.inf)
        train = accuracy(setup.model, seen, clock) if seen and course.finite else None
        ours = None
        if setup.valid is not None and evaluation_takes(setup, clock):
            ours = accuracy(setup.model, batches(setup.valid), clock)
        yield validation_follows(course, seen, train, ours)
        yield modes_agree(setup.model, seen, train, clock)
        classes = np.concatenate([np.ravel(y) for y in labels]) if labels else np.zeros(0)
        if setup.evaluate is not None and timer.spent > self.clock.left:
            yield not_checked("evaluation counts right", self.clock.over)
            return
        keys = train.keys if train else set()
        yield from own_evaluation(setup, start, ours, keys, commonest(classes))

    def by_heart(self, setup: Setup) -> Iterable[Finding]:
        """One batch, as it is and, if it is not learnt, with one setting changed at a time."""
        batch = self.batch(setup)
        course = one_batch(setup, batch, self.clock.share(0.4))
        elsewhere = next(f for f in [*self.findings, _NOTHING] if f.check in (LEARNS, ""))
        finding = learns_one_batch(course, batch[1], learnt_well(elsewhere))
        yield finding
        yield frozen_layers(self.fresh, self.seed, self.clock)
        if "broken" in (finding.verdict, elsewhere.verdict):
            known = {k: v for f in self.findings for k, v in f.numbers.items()}
            scale, effect = known.get("scale", math.nan), known.get("in effect", 1.0)
            for change in (*changes(setup, batch[0], scale, effect), *rates(setup)):
                known_cause = {f.check for f in self.findings if f.verdict == "broken"} - SYMPTOMS
                if change.name == "learning rate" and known_cause:
                    break
                found = changed(change, self.fresh, course, elsewhere, self.seed, self.clock)
                if found is not None:
                    yield found

    def rates(self, setup: Setup) -> Iterable[Finding]:
        finding, self.found_rates = rate_range(setup, self.clock.share(0.9, 2.0), self.seed)
        yield finding

    def batch(self, setup: Setup) -> tuple[Any, Any]:
        for batch in batches(setup.train, self.seed):
            return batch
        raise SetupError("train has no batch")
