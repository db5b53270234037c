"""A rate that rises at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minires.optim.lr_scheduler.schedule import Schedule
from minires.optim.optimizer import Optimizer
from minires.optim.options import count, number


class LinearWarmup(Schedule):
    r"""A straight rise to the base rate, then another schedule, or the base rate.

    With :math:`W` warm-up steps and :math:`s` the `start_factor`:

    .. math::
        \gamma_n = \gamma_0 \left(s + (1 - s) \frac{n}{W}\right) \;\text{for}\; n < W,
        \qquad \gamma_n = \mathrm{after}_{n - W} \;\text{for}\; n \ge W

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    warmup_steps : int
        :math:`W`, >= 1.
    start_factor : float
        The share of the base rate to start at, between 0 and 1.
    after : Schedule, optional
        What follows; its first rates are what the warm-up rises to. Do not step it yourself:

        >>> LinearWarmup(optimizer, 5, after=CosineAnnealingLR(optimizer, T_max=epochs - 5))

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range, or `after` is no schedule of this optimiser.

    References
    ----------
    P. Goyal et al., *Accurate, large minibatch SGD: training ImageNet in 1 hour*, arXiv 1706.02677,
    2017, section 2.2.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        start_factor: float = 1 / 3,
        after: Schedule | None = None,
    ) -> None:
        self.warmup_steps = count("warmup_steps", warmup_steps)
        self.start_factor = number("start_factor", start_factor, "[0, 1]")
        if after is not None and not isinstance(after, Schedule):
            raise TypeError(f"after must be a schedule, got {after!r}")
        if after is not None and after.optimizer is not optimizer:
            raise ValueError("after must be a schedule of the same optimizer")
        self.after = after
        super().__init__(optimizer)

    def lr_at(self, step: int, base_lr: float) -> float:
        """The rate without what follows."""
        risen = step / self.warmup_steps
        if risen >= 1:
            return base_lr
        return base_lr * (self.start_factor + (1 - self.start_factor) * risen)

    def options_at(self, step: int) -> list[dict[str, Any]]:
        if self.after is None:
            return super().options_at(step)
        options = self.after.options_at(max(step - self.warmup_steps, 0))
        return [{**new, "lr": self.lr_at(step, new["lr"])} for new in options]

    def _take_over(self, step: int) -> None:
        if self.after is None:
            super()._take_over(step)
        elif step >= self.warmup_steps:
            self.after._take_over(step - self.warmup_steps)

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, the base rates and the settings, and the same of `after`."""
        after = None if self.after is None else self.after.state_dict()
        return {**super().state_dict(), "after": after}

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._check_state(state_dict)
        after = state_dict.get("after")
        if self.after is not None and after is not None:
            self.after._check_state(after)
        elif after is not self.after:
            raise ValueError(
                f"LinearWarmup.load_state_dict: what follows the warm-up is {after!r} in the "
                f"state, {self.after!r} here"
            )

    def _restore(self, state_dict: Mapping[str, Any]) -> None:
        super()._restore(state_dict)
        if self.after is not None:
            self.after._restore(state_dict["after"])
