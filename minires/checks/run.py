"""`checkup(make)`: every check in turn, each with a fresh set-up, within a time."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

import numpy as np

from minires.checks.evaluation import (
    accuracy,
    evaluation_takes,
    own_evaluation,
    validation_follows,
)
from minires.checks.forward import check_forward, look
from minires.checks.inputs import check_inputs
from minires.checks.learning import (
    LEARNS,
    Course,
    Runner,
    commonest,
    epochs,
    learns_one_batch,
    learns_training,
    learnt_well,
    one_batch,
)
from minires.checks.loss_alone import check_loss
from minires.checks.one_change import changed, changes
from minires.checks.own_gradient import decay_is_small, loss_is_stepped
from minires.checks.places import own_line
from minires.checks.rates import rate_range
from minires.checks.report import Finding, Rates, Report
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
    sliced,
    textbook_step,
)
from minires.checks.steps import check_trace
from minires.checks.structure import check_structure, images_for_batch_norm
from minires.checks.trace import Tracer

_NOTHING = Finding("", "not checked", "")

IMAGES = 64  # of the batch that one forward and the loss are tried with


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
        setup = made(self.make)
        with kept(setup):
            yield setup

    def group(self, check: Callable[[Setup], Iterable[Finding]]) -> None:
        """One group of checks; what the user's own code raises is said, not raised."""
        name = check.__name__.replace("_", " ")
        if self.clock.left <= 0:
            reason = f"the {self.clock.seconds:g} s are spent"
            self.findings.append(Finding(name, "not checked", reason))
            return
        with ExitStack() as stack:
            setup = stack.enter_context(self.fresh())  # what make raises is the caller's to see
            try:
                self.findings.extend(check(setup))
            except SetupError:
                raise
            except Exception as error:
                self.findings.append(self.raised(name, error))

    def raised(self, name: str, error: Exception) -> Finding:
        """That the user's code, or one of the layers that it calls, raises; once for each error."""
        text = f"it raises {type(error).__name__}: {' '.join(str(error).split())}"
        if any(f.message == text for f in self.findings):
            return Finding(name, "not checked", text)
        frames = traceback.extract_tb(error.__traceback__)
        own = [own_line(f"{f.filename}:{f.lineno}") for f in frames]
        return Finding(
            name,
            "broken",
            text,
            {"error": type(error).__name__},
            next((line for line in reversed(own) if line), ""),
            "read the message: this stops the training",
        )

    # -------------------------------------------------------------- the groups

    def structure(self, setup: Setup) -> Iterable[Finding]:
        yield from check_structure(setup.model, setup.optimizer)

    def data(self, setup: Setup) -> Iterable[Finding]:
        yield from check_inputs(setup.train, setup.valid, self.clock.share(0.3), self.seed)

    def one_batch(self, setup: Setup) -> Iterable[Finding]:
        inputs, labels = self.batch(setup)
        yield images_for_batch_norm(setup.model, len(host(inputs)))
        inputs, labels = sliced(inputs, IMAGES), sliced(labels, IMAGES)
        seen = look(setup.model, inputs)
        yield from check_forward(setup.model, inputs, labels, setup.loss, seen)
        yield from check_loss(setup.loss, labels, seen.outputs, self.seed)

    def steps(self, setup: Setup) -> Iterable[Finding]:
        step = textbook_step(setup)
        some = list(islice(batches(setup.train, self.seed), 3))
        if not some:
            raise SetupError("train has no batch")
        tracer = Tracer(setup.model, setup.optimizer)
        with tracer:
            for i in range(3):
                step(*some[i % len(some)])
        yield from check_trace(tracer, setup.step)
        if tracer.steps:
            yield loss_is_stepped(setup, tracer.steps[0], *some[0])
            yield decay_is_small(setup, tracer.steps[0])

    def training(self, setup: Setup) -> Iterable[Finding]:
        """A short run, then one's own evaluation: by then the model is better than guessing."""
        seen: list[tuple[Any, Any]] = []
        labels: list[np.ndarray[Any, Any]] = []

        def noted() -> Iterator[tuple[Any, Any]]:
            for inputs, answers in epochs(setup.train, self.seed):
                if sum(len(host(y)) for _, y in seen) < 500 and len(seen) < 50:
                    seen.append((inputs, answers))
                labels.append(host(answers))
                yield inputs, answers

        def until(course: Course) -> bool:
            return len(course.losses) >= 20 and bool(course.right) and course.end()[1] > 0.8

        course = Runner(setup).run(noted(), self.clock.share(0.35), 200, until)
        yield learns_training(course, labels)
        clock = self.clock.share(0.4)
        ours = None
        if setup.valid is not None and evaluation_takes(setup, clock):
            ours = accuracy(setup.model, batches(setup.valid), clock)
        yield validation_follows(setup, course, seen, ours, clock)
        classes = np.concatenate([np.ravel(y) for y in labels]) if labels else np.zeros(0)
        yield from own_evaluation(setup, ours, commonest(classes))

    def by_heart(self, setup: Setup) -> Iterable[Finding]:
        """One batch, as it is and, if it is not learnt, with one setting changed at a time."""
        batch = self.batch(setup)
        course = one_batch(setup, batch, self.clock.share(0.4))
        elsewhere = next(f for f in [*self.findings, _NOTHING] if f.check in (LEARNS, ""))
        finding = learns_one_batch(course, batch[1], learnt_well(elsewhere))
        yield finding
        if finding.verdict == "broken":
            scale = next((f.numbers["scale"] for f in self.findings if "scale" in f.numbers), None)
            for change in changes(setup, batch[0], scale):
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
