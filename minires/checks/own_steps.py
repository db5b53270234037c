"""Some of one's own steps, traced until there were three updates, and every check of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np

from minires.checks.gradients import arrive, reach, silent_parameters
from minires.checks.learning import epochs
from minires.checks.own_gradient import decay_is_small, loss_is_stepped
from minires.checks.report import Finding, not_checked
from minires.checks.setup import Clock, Setup, SetupError, host, textbook_step
from minires.checks.steps import images_for_batch_norm, mode, order
from minires.checks.trace import Tracer
from minires.checks.updates import move, scheduled, units_differ

UPDATES = 3
CALLS = 72  # of the step, until nobody accumulates any more
LONGER = 30  # steps in which a layer that is left out at random gets a gradient


def traced(
    setup: Setup, clock: Clock, seed: int, calls: int = CALLS
) -> tuple[Tracer, list[tuple[Any, Any]]]:
    """Steps until there were three updates, and their batches."""
    step, tracer = textbook_step(setup), Tracer(setup.model, setup.optimizer, UPDATES)
    taken: list[tuple[Any, Any]] = []
    with tracer:
        for batch in islice(epochs(setup.train, seed), calls):
            step(*batch)
            taken.append(batch)
            by_hand = len(taken) >= UPDATES and tracer.moved() and not tracer.steps
            if not tracer.active or by_hand or (clock.left <= 0 and tracer.steps):
                break
    if not taken:
        raise SetupError("train has no batch")
    return tracer, taken


def check_own_steps(setup: Setup, clock: Clock, seed: int) -> Iterator[Finding]:
    """Every check of the steps."""
    tracer, batches = traced(setup, clock, seed)
    yield mode(tracer)
    yield images_for_batch_norm(tracer)
    ordered = order(tracer, setup.step)
    waits = not tracer.steps and "backward" in ordered.numbers.get("events", ())
    if ordered.verdict == "broken" and waits and len(batches) < CALLS:
        reason = f"there was no update in {len(batches)} steps, and {clock.over}"
        ordered = not_checked(ordered.check, reason)
    yield ordered
    names, looked = silent_parameters(tracer), max(len(tracer.seen), 1)
    idle = None
    if names and tracer.steps and not _rests(tracer):
        idle, more = still_idle(setup, names, clock, seed + 1)
        looked += more
    yield reach(tracer, idle, looked)
    follows = not_checked("step follows the loss", "the step updates after several batches")
    if len(batches) == len(tracer.steps) or not tracer.steps:
        follows = loss_is_stepped(setup, tracer.seen, batches)
    yield follows
    yield arrive(tracer, follows.numbers.get("own"))
    yield move(tracer)
    yield units_differ(tracer)
    if tracer.steps:
        yield decay_is_small(setup, tracer.steps[0], batches[0][1])


def _rests(tracer: Tracer) -> bool:
    """Whether the rate is 0 for now."""
    return not any(r for s in tracer.steps for r in s.rates) and scheduled(tracer.optimizer)


def still_idle(setup: Setup, names: list[str], clock: Clock, seed: int) -> tuple[list[str], int]:
    """Which of these parameters more steps neither move nor give a gradient, and how many steps."""
    step = textbook_step(setup)
    parameters = dict(setup.model.named_parameters())
    start = {n: host(parameters[n]).copy() for n in names}
    count = 0
    for batch in islice(epochs(setup.train, seed), LONGER):
        with suppress(Exception):  # a schedule that has come to its end, for one
            step(*batch)
        count += 1
        names = [n for n in names if _is_idle(parameters[n], start[n])]
        if not names or clock.left <= 0:
            break
    return names, count


def _is_idle(parameter: Any, start: np.ndarray[Any, Any]) -> bool:
    gradient = parameter.grad
    if gradient is not None and host(gradient).any():
        return False
    return np.array_equal(host(parameter), start, equal_nan=True)
