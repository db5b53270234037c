"""The learning-rate range test: a picture of a symptom, never a verdict.

Reach: none. That another rate does better may come of the loss, the inputs, the layers or the rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from minires.checks.learning import Runner, epochs
from minires.checks.report import Finding, Rates, holds, not_checked
from minires.checks.setup import Clock, Setup


@contextmanager
def at_rate(optimizer: Any, factor: Callable[[], float]) -> Iterator[None]:
    """Each `step` in the block runs at `factor()` times its rate, whatever a schedule says."""
    plain = optimizer.step

    def step(*args: Any, **kwargs: Any) -> Any:
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] *= factor()
        try:
            return plain(*args, **kwargs)
        finally:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    optimizer.step = step
    try:
        yield
    finally:
        vars(optimizer).pop("step", None)


def rate_range(
    setup: Setup, clock: Clock, seed: int, steps: int = 36
) -> tuple[Finding, Rates | None]:
    """The loss while the rate rises from 1e-4 to 1e3 times one's own (Smith 2017)."""
    check = "learning-rate range"
    factors = list(np.geomspace(1e-4, 1e3, steps))
    runner = Runner(setup)
    with at_rate(setup.optimizer, lambda: factors[min(len(runner.course.losses), steps - 1)]):
        course = runner.run(islice(epochs(setup.train, seed), steps), clock, steps)
    losses = course.losses
    if len(losses) < steps // 2:
        why = course.raised or f"there was time for {len(losses)} of {steps} rates only"
        if not course.finite:
            why = f"the loss is not finite from {factors[len(losses) - 1]:.2g} times your rate on"
        return not_checked(check, why), None
    own = setup.optimizer.param_groups[0]["lr"]
    rates = Rates([float(f) for f in factors[: len(losses)]], losses, float(own))
    known = [(loss, f) for loss, f in zip(losses, factors, strict=False) if math.isfinite(loss)]
    least, at = min(known)
    finding = holds(
        check,
        f"a symptom only, which many causes share: while the rate rises, the loss is least "
        f"({least:.3g}, from {losses[0]:.3g}) at {at:.2g} times your rate",
        {"least": least, "at": float(at), "first": losses[0]},
    )
    return finding, rates
