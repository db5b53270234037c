"""One schedule after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from minires.optim.lr_scheduler.schedule import Schedule
from minires.optim.optimizer import Optimizer
from minires.optim.options import count


class SequentialLR(Schedule):
    """Schedules one after the other, each with steps of its own from 0 on.

    All start from the base rates of the first, so that it does not matter in which order they were
    made. Do not step them yourself.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    schedulers : list of Schedule
    milestones : list of int
        From which step on each of them but the first holds.

    Raises
    ------
    TypeError, ValueError
        If one is no schedule of this optimiser, depends on more than the number of steps, or the
        milestones are not one fewer and rising.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]
    ) -> None:
        self.schedulers = list(schedulers)
        self.milestones = [count("a milestone", m) for m in milestones]
        if not self.schedulers or len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"{len(self.schedulers)} schedules want one milestone fewer, got {milestones}"
            )
        if sorted(set(self.milestones)) != self.milestones:
            raise ValueError(f"milestones must rise, got {milestones}")
        for schedule in self.schedulers:
            if type(schedule).step is not Schedule.step:
                raise TypeError(f"SequentialLR wants schedules of steps alone, got {schedule!r}")
            if schedule.optimizer is not optimizer:
                raise ValueError("schedulers must be schedules of the same optimizer")
        for schedule in self.schedulers:
            schedule.base_lrs = list(self.schedulers[0].base_lrs)
        super().__init__(optimizer)
        self.base_lrs = list(self.schedulers[0].base_lrs)

    def options_at(self, step: int) -> list[dict[str, Any]]:
        schedule, own_step = self._at(step)
        return schedule.options_at(own_step)

    def _take_over(self, step: int) -> None:
        schedule, own_step = self._at(step)
        schedule._take_over(own_step)

    def _at(self, step: int) -> tuple[Schedule, int]:
        """The schedule that holds then, and which of its own steps that is."""
        place = bisect_right(self.milestones, step)
        return self.schedulers[place], step - [0, *self.milestones][place]

    def _numbers(self) -> dict[str, Any]:
        return {k: v for k, v in super()._numbers().items() if k != "schedulers"}

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, the base rates and the milestones, and the same of each schedule."""
        inside = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": inside}

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._check_state(state_dict)
        inside = state_dict.get("schedulers", [])
        if len(inside) != len(self.schedulers):
            raise ValueError(
                f"SequentialLR.load_state_dict: the state is of {len(inside)} schedules, not of "
                f"{len(self.schedulers)}"
            )
        for schedule, state in zip(self.schedulers, inside, strict=True):
            schedule._check_state(state)

    def _restore(self, state_dict: Mapping[str, Any]) -> None:
        super()._restore(state_dict)
        for schedule, state in zip(self.schedulers, state_dict["schedulers"], strict=True):
            schedule._restore(state)
