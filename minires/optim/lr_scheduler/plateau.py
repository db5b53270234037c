"""A learning rate that falls when nothing improves any more."""

from __future__ import annotations

from typing import Any

from minires.optim.lr_scheduler.schedule import Schedule
from minires.optim.optimizer import Optimizer
from minires.optim.options import count, number


class ReduceLROnPlateau(Schedule):
    """The rate times `factor` when a metric has not improved for more than `patience` steps.

    Unlike other schedules it depends on what `step` is told, and it goes on from the rate that the
    optimiser has.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    mode : {"min", "max"}
        Whether lower or higher is better.
    factor : float
        Factor of a drop, between 0 and 1.
    patience : int
        How many steps without improvement are put up with.
    threshold : float
        What counts as an improvement: a share of the best so far, or with `threshold_mode="abs"`
        a difference.
    threshold_mode : {"rel", "abs"}
    cooldown : int
        Steps after a drop in which none is counted.
    min_lr : float
        The lowest rate.
    eps : float
        A drop by no more than this is left out.

    Attributes
    ----------
    best : float or None
        The best metric so far.
    num_bad_epochs : int
        Steps since then that count.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                'mode must be "min" or "max", and threshold_mode "rel" or "abs", got '
                f"{mode!r} and {threshold_mode!r}"
            )
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = number("factor", factor, "(0, 1)")
        self.patience = count("patience", patience, least=0)
        self.threshold = number("threshold", threshold)
        self.cooldown = count("cooldown", cooldown, least=0)
        self.min_lr = number("min_lr", min_lr)
        self.eps = number("eps", eps)
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0
        self.lrs: list[float] | None = None
        super().__init__(optimizer)

    def options_at(self, step: int) -> list[dict[str, Any]]:
        """The rates as they are: they depend on what has been measured."""
        return [{"lr": lr} for lr in self.lrs or self.base_lrs]

    def step(self, metric: Any = None) -> None:
        """Count one step that came to this metric, a number or a tensor of one.

        Raises
        ------
        TypeError
            If there is none.
        """
        if metric is None:
            raise TypeError("ReduceLROnPlateau.step wants what was measured, such as a loss")
        value = float(metric)
        if self._better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        if self.num_bad_epochs > self.patience:
            lower = [max(lr * self.factor, self.min_lr) for lr in lrs]
            lrs = [new if lr - new > self.eps else lr for lr, new in zip(lrs, lower, strict=True)]
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._apply([{"lr": lr} for lr in lrs])
        self.lrs = lrs
        self.last_epoch += 1

    def _better(self, value: float) -> bool:
        if self.best is None:
            return value == value  # NaN is not
        sign = 1 if self.mode == "min" else -1
        margin = self.threshold if self.threshold_mode == "abs" else self.threshold * self.best
        return sign * value < sign * (self.best - sign * margin)
