"""Every check of one batch: a forward, what comes of it, and the loss at outputs like these.

The time of the first forward says how many images there is time for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np

from minires.checks.between_images import (
    depends_on_image,
    evaluation_repeats,
    nonlinear,
    one_number,
)
from minires.checks.forward import NoTensorError, Seen, finite, look
from minires.checks.free_logits import FreeLogits
from minires.checks.layers import normalised, units_alive
from minires.checks.learning import epochs
from minires.checks.loss_alone import check_loss
from minires.checks.outputs import outputs_fit_loss
from minires.checks.report import Finding, not_checked
from minires.checks.setup import Clock, Setup, host, sliced, textbook_step

IMAGES, FEWEST = 64, 8
STEPS = 12  # of one's own, before a network is called linear or of one number
FORWARDS = 30  # about as many as all of these checks take


def check_one_batch(
    setup: Setup, batch: tuple[Any, Any], clock: Clock, seed: int
) -> Iterator[Finding]:
    """The findings, as long as there is time."""
    inputs, labels, model = sliced(batch[0], IMAGES), sliced(batch[1], IMAGES), setup.model
    try:
        timer = Clock(0.0)
        seen = look(model, inputs)
        count = int(len(host(inputs)) * clock.left / (FORWARDS * timer.spent + 1e-9))
        if count < len(host(inputs)):
            inputs, labels = (sliced(v, max(count, FEWEST)) for v in (inputs, labels))
            seen = look(model, inputs)
    except NoTensorError as error:
        yield not_checked("one batch", str(error))
        return
    given = host(inputs)
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        yield not_checked("forward is finite", "the inputs are not finite")
        return
    first = finite(seen)
    yield first
    free = FreeLogits(setup.loss, labels, seen.outputs, seed, clock)
    if first.verdict != "broken":
        for name, check in _of_forward(model, inputs, free, seen):
            yield from [not_checked(name, clock.over)] if clock.left <= 0 else check()
    yield from check_loss(free, setup.step is not None)
    if first.verdict != "broken":
        yield from _of_steps(setup, inputs, seen, clock, seed)


def _of_steps(setup: Setup, inputs: Any, seen: Seen, clock: Clock, seed: int) -> Iterator[Finding]:
    """What starts at zero and hides the rest may do so before the first steps only."""
    model = setup.model
    checks: dict[str, Callable[[], Finding]] = {
        "width": lambda: one_number(model, inputs, seen.outputs),
        "network is not linear": lambda: nonlinear(model, inputs),
    }
    step, took = textbook_step(setup), False
    for name, check in checks.items():
        found = not_checked(name, clock.over) if clock.left <= 0 else check()
        if found.verdict == "broken" and not took:
            took = True
            with suppress(Exception):  # some steps need what this set-up lacks
                for batch in islice(epochs(setup.train, seed), STEPS):
                    step(*batch)
            again = check()
            found = again if again.verdict == "holds" else found
        yield found


def _of_forward(
    model: Any, inputs: Any, free: FreeLogits, seen: Seen
) -> Iterator[tuple[str, Callable[[], Iterable[Finding]]]]:
    yield "outputs are logits", lambda: [outputs_fit_loss(model, inputs, free, seen)]
    yield "images differ at the output", lambda: [depends_on_image(model, inputs, seen)]
    yield "units alive", lambda: [units_alive(seen)]
    yield "batch norm normalises", lambda: [normalised(seen)]
    yield "evaluation repeats", lambda: evaluation_repeats(model, inputs)
