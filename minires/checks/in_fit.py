"""What `fit` looks at before and in its first step: warnings, never an error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minires.checks.free_logits import is_probabilities
from minires.checks.report import Finding, Report, broken
from minires.checks.run import checkup
from minires.checks.settings import decay_and_momentum, dropout
from minires.checks.setup import Setup, host
from minires.checks.structure import (
    layers_in_lists,
    layers_once,
    parameters_in_optimizer,
)
from minires.optim import Optimizer
from minires.tensors import Tensor


class CheckWarning(UserWarning):
    """A check found something broken; the training goes on all the same."""


def warn(finding: Finding) -> None:
    """The finding as a warning, of one line."""
    where = f" (at {finding.line})" if finding.line else ""
    advice = f": {finding.advice}" if finding.advice else ""
    warnings.warn(f"{finding.message}{where}{advice}", CheckWarning, stacklevel=4)


def warn_of_structure(model: Any, optimizer: Optimizer) -> None:
    """The checks that run nothing."""
    for finding in (
        parameters_in_optimizer(model, optimizer),
        layers_in_lists(model, optimizer),
        layers_once(model),
        decay_and_momentum(optimizer),
        dropout(model),
    ):
        if finding.verdict == "broken":
            warn(finding)


@contextmanager
def first_outputs_looked_at(model: Any) -> Iterator[None]:
    """In the block the first forward's outputs are looked at, for a softmax before the loss."""
    message = (
        "double softmax: each row of the model's outputs sums to 1, and cross-entropy takes a "
        "softmax of its own"
    )
    advice = "return logits, the last layer's values as they are"

    def look(module: Any, args: Any, out: Any) -> None:
        handle.remove()
        if isinstance(out, Tensor) and is_probabilities(host(out)):
            warn(broken("outputs are logits", message, advice))

    handle = model.register_forward_hook(look)
    try:
        yield
    finally:
        handle.remove()


def whole_checkup(make: Callable[[], Setup], seed: int) -> Report | None:
    """All checks, as warnings; None if the checkup itself could not be done."""
    try:
        report = checkup(make, seed=seed)
    except Exception as error:
        warnings.warn(
            f"the checkup stopped with {type(error).__name__}: {error}", CheckWarning, stacklevel=3
        )
        return None
    for finding in report.broken:
        warn(finding)
    return report
