"""What all schedules have in common: groups of rates as a function of the number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from minires.from_pytorch import PyTorchsKeywords, no_attribute
from minires.optim.optimizer import Optimizer
from minires.optim.options import number


class Schedule(PyTorchsKeywords):
    """The base of the schedules: a subclass says what the rate is after n steps.

    Making a schedule sets the rates for the first step of the optimiser.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups' options to set. Each group's rate at this moment is its base rate.

    Attributes
    ----------
    last_epoch : int
        How often `step` has been called (PyTorch's name: they need not be epochs).
    base_lrs : list of float
        The base rate of each group.

    Raises
    ------
    TypeError
        If `optimizer` is no Optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = checked_optimizer(optimizer)
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._apply(self.options_at(0))

    def lr_at(self, step: int, base_lr: float) -> float:
        """The rate after `step` steps of a group whose base rate is `base_lr`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define lr_at(self, step, base_lr), the rate after so many "
            "steps (where PyTorch's define get_lr), or options_at"
        )

    if not TYPE_CHECKING:  # a type checker knows that an unknown name is wrong

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("optim.lr_scheduler.LRScheduler", self, name)

    def options_at(self, step: int) -> list[dict[str, Any]]:
        """The options that the schedule sets after `step` steps, for each group."""
        return [{"lr": self.lr_at(step, base_lr)} for base_lr in self.base_lrs]

    def step(self) -> None:
        """Count one step, and set the optimiser's options for the next.

        Raises
        ------
        ValueError
            If the optimiser has got or lost groups since the schedule was made.
        """
        self._take_over(self.last_epoch)
        self._apply(self.options_at(self.last_epoch + 1))
        self.last_epoch += 1

    def _take_over(self, step: int) -> None:
        """Let a rate that another has set be where the schedule is: see the package's docstring."""
        if type(self).lr_at is Schedule.lr_at:  # what is set does not depend on the base rate alone
            return
        for i, group in enumerate(self.optimizer.param_groups[: len(self.base_lrs)]):
            lr, at = group["lr"], partial(self.lr_at, step)
            if lr != at(self.base_lrs[i]):  # it is a straight line in the base rate
                slope = at(1.0) - at(0.0)
                self.base_lrs[i] = (lr - at(0.0)) / slope if slope else self.base_lrs[i]

    def get_last_lr(self) -> list[float]:
        """The rate of each group that the schedule set last."""
        return [options["lr"] for options in self.options_at(self.last_epoch)]

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, the base rates and the settings: JSON can hold them."""
        return {"schedule": type(self).__name__} | {
            key: list(value) if isinstance(value, list) else value
            for key, value in self._numbers().items()
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there, with the settings that were saved, and set the optimiser's options.

        If the state does not fit, nothing is changed.

        Raises
        ------
        ValueError
            If the state is of another kind of schedule, lacks something, or has other groups.
        """
        self._check_state(state_dict)
        self._restore(state_dict)
        self._apply(self.options_at(self.last_epoch))

    def __repr__(self) -> str:
        settings = (f"{k}={v!r}" for k, v in vars(self).items() if k not in _NOT_SHOWN)
        return f"{type(self).__name__}({', '.join(settings)})"

    def _numbers(self) -> dict[str, Any]:
        """All that the schedule knows, save the objects that it works with."""
        return {k: v for k, v in vars(self).items() if not isinstance(v, Optimizer | Schedule)}

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        name = type(self).__name__
        if state_dict.get("schedule") != name:
            raise ValueError(
                f"{name}.load_state_dict: the state is of a schedule {state_dict.get('schedule')!r}"
            )
        if missing := set(self._numbers()) - set(state_dict):
            raise ValueError(f"{name}.load_state_dict: the state lacks {sorted(missing)}")
        groups = len(self.optimizer.param_groups)
        if len(state_dict["base_lrs"]) != groups:
            raise ValueError(
                f"{name}.load_state_dict: the state is of {len(state_dict['base_lrs'])} groups, "
                f"the optimiser has {groups}"
            )

    def _restore(self, state_dict: Mapping[str, Any]) -> None:
        for key in self._numbers():
            value = state_dict[key]
            setattr(self, key, list(value) if isinstance(value, list) else value)

    def _apply(self, options: Sequence[dict[str, Any]]) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(options):
            raise ValueError(
                f"{type(self).__name__} was made for {len(options)} parameter groups, the "
                f"optimiser now has {len(groups)}: make the schedule after the last add_param_group"
            )
        for group, new in zip(groups, options, strict=True):
            group.update(new)


_NOT_SHOWN = ("optimizer", "base_lrs")


def checked_optimizer(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"a schedule needs an Optimizer, got {optimizer!r:.60} of type "
            f"{type(optimizer).__name__}"
        )
    return optimizer


def for_each_group(name: str, value: Any, groups: int, interval: str) -> list[float]:
    """One number for each group: `value` itself, or its entries."""
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name} has {len(values)} values, the optimiser has {groups} groups")
    return [number(name, v, interval) for v in values]
