"""`checkup(make)`: every check in turn, each with a fresh set-up, within a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from minires.checks.forward import check_forward, look
from minires.checks.loss_alone import check_loss
from minires.checks.report import Finding, Report
from minires.checks.setup import (
    Clock,
    Setup,
    SetupError,
    batches,
    kept,
    kept_random,
    made,
    seeded,
    sliced,
    textbook_step,
)
from minires.checks.steps import check_trace, decay_is_small, loss_is_stepped
from minires.checks.structure import check_structure
from minires.checks.trace import Tracer

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

    def run(self) -> Report:
        with kept_random(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            for group in (self.structure, self.one_batch, self.steps):
                self.group(group)
        return Report(self.findings, self.clock.spent)

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
        try:
            with self.fresh() as setup:
                self.findings.extend(check(setup))
        except (SetupError, KeyboardInterrupt):
            raise
        except Exception as error:
            self.findings.append(raised(name, error))

    # -------------------------------------------------------------- the groups

    def structure(self, setup: Setup) -> Iterable[Finding]:
        yield from check_structure(setup.model, setup.optimizer)

    def one_batch(self, setup: Setup) -> Iterable[Finding]:
        inputs, labels = self.batch(setup)
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

    def batch(self, setup: Setup) -> tuple[Any, Any]:
        for batch in batches(setup.train, self.seed):
            return batch
        raise SetupError("train has no batch")


def raised(name: str, error: Exception) -> Finding:
    """That the user's code, or one of his layers, raises."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    from minires.checks.places import own_line

    own = [own_line(f"{f.filename}:{f.lineno}") for f in frames]
    line = next((text for text in reversed(own) if text), "")
    text = " ".join(str(error).split())
    return Finding(
        name, "broken", f"it raises {type(error).__name__}: {text}", {"error": type(error).__name__},
        line, "read the message: this stops the training",
    )
