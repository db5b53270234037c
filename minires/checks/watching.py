"""`with minires.watch(model, optimizer, loss):` the first three steps of anybody's own loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import numpy as np

from minires.checks.forward import Seen
from minires.checks.free_logits import FreeLogits
from minires.checks.gradients import arrive, reach
from minires.checks.outputs import outputs_fit_loss
from minires.checks.report import Finding, Report
from minires.checks.settings import check_settings
from minires.checks.setup import Clock, kept_random
from minires.checks.steps import images_for_batch_norm, mode, order
from minires.checks.structure import check_structure
from minires.checks.trace import Step, Tracer
from minires.checks.updates import move, units_differ
from minires.nn import Module
from minires.optim import Optimizer

STEPS = 3


class Watch:
    """Looks at the first steps of a loop, says once what is broken, and is gone.

    Attributes
    ----------
    report : Report or None
        What was found, after the third update or at the end of the block.
    """

    def __init__(self, model: Any, optimizer: Optimizer, loss: Any = None) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"watch wants a Module, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"watch wants an Optimizer, got {type(optimizer).__name__}")
        if loss is not None and not callable(loss):
            raise TypeError(f"loss must be callable, got {type(loss).__name__}")
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.report: Report | None = None
        self._tracer = Tracer(model, optimizer, STEPS, self._look)

    def __enter__(self) -> Self:
        self._clock = Clock(0.0)
        self._tracer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tracer.remove()
        if self.report is None and (self._tracer.steps or self._tracer.now.events):
            self._look()

    def _look(self) -> None:
        """Judge what was seen; whatever goes wrong in here is no concern of the loop's."""
        findings: list[Finding] = []
        with suppress(Exception), kept_random(), np.errstate(all="ignore"):
            for findings_of in (self._structure, self._steps, self._outputs):
                with suppress(Exception):
                    findings.extend(findings_of())
        self.report = Report(findings, self._clock.spent)
        if self.report.broken:
            count = len(self._tracer.steps)
            print(f"watch, after {count} step{'s' if count != 1 else ''}:")
            for finding in self.report.broken:
                print(finding)

    def _structure(self) -> Iterator[Finding]:
        tracer = self._tracer if self._tracer.steps else None
        yield from check_structure(self.model, self.optimizer, tracer)
        yield from check_settings(self.model, self.optimizer)

    def _steps(self) -> Iterator[Finding]:
        for check in (order, mode, images_for_batch_norm, reach, arrive, move, units_differ):
            yield check(self._tracer)

    def _outputs(self) -> Iterator[Finding]:
        first: Step = (self._tracer.steps or [self._tracer.now])[0]
        out = first.outputs
        if self.loss is None or out is None or out.ndim < 2 or first.inputs is None:
            return
        labels = np.random.default_rng(0).integers(0, out.shape[-1], out.shape[:-1])
        seen = Seen(out.astype(np.float64), first.lines.get("forward", ""), first.operation)
        free = FreeLogits(self.loss, labels, seen.outputs)
        yield outputs_fit_loss(self.model, first.inputs, free, seen)


def watch(model: Any, optimizer: Optimizer, loss: Callable[[Any, Any], Any] | None = None) -> Watch:
    """Look at the first three steps of one's own loop, and print once what is broken in them.

    After the third update every hook is taken away: the rest of the loop runs as without. The
    training's bits are the same with and without.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
    loss : callable, optional
        `loss(logits, labels)`: with it a softmax before a loss that has its own is seen too.

    Returns
    -------
    Watch
        For a `with` block; its `report` has all findings.

    Raises
    ------
    TypeError
        If the model, the optimizer or the loss is none.

    Examples
    --------
    >>> with minires.watch(model, optimizer, loss):
    ...     for images, labels in loader:
    ...         ...
    """
    return Watch(model, optimizer, loss)
