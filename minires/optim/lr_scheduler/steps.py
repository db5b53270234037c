"""Rates that fall by factors: at certain steps, at every step, or as a function says."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minires.optim.lr_scheduler.schedule import Schedule, checked_optimizer
from minires.optim.optimizer import Optimizer
from minires.optim.options import count, number


class StepLR(Schedule):
    r"""The rate times `gamma` every `step_size` steps.

    .. math::
        \gamma_n = \gamma_0 \cdot \mathrm{gamma}^{\lfloor n / \mathrm{step\_size} \rfloor}

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    step_size : int
        Steps between two drops, >= 1.
    gamma : float
        Factor of a drop, > 0.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count("step_size", step_size)
        self.gamma = number("gamma", gamma, "(0, inf)")
        super().__init__(optimizer)

    def lr_at(self, step: int, base_lr: float) -> float:
        return float(base_lr * self.gamma ** (step // self.step_size))


class MultiStepLR(Schedule):
    r"""The rate times `gamma` at each milestone.

    .. math::
        \gamma_n = \gamma_0 \cdot \mathrm{gamma}^{\,|\{m \in \mathrm{milestones} : m \le n\}|}

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    milestones : iterable of int
        The steps from which a lower rate holds; one that comes twice counts twice.
    gamma : float
        Factor of a drop, > 0.

    Notes
    -----
    The rates of K. He, X. Zhang, S. Ren and J. Sun, *Deep residual learning for image recognition*,
    CVPR 2016, section 4.2, are `milestones=[32_000, 48_000]`, stepped every batch.
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        if not isinstance(milestones, Iterable):
            raise TypeError(f"milestones must be a list of integers, got {milestones!r}")
        self.milestones = sorted(count("a milestone", m, least=0) for m in milestones)
        self.gamma = number("gamma", gamma, "(0, inf)")
        super().__init__(optimizer)

    def lr_at(self, step: int, base_lr: float) -> float:
        return float(base_lr * self.gamma ** bisect_right(self.milestones, step))


class ExponentialLR(Schedule):
    r"""The rate times `gamma` every step.

    .. math::
        \gamma_n = \gamma_0 \cdot \mathrm{gamma}^n

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    gamma : float
        Factor of a step, > 0.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number("gamma", gamma, "(0, inf)")
        super().__init__(optimizer)

    def lr_at(self, step: int, base_lr: float) -> float:
        return float(base_lr * self.gamma**step)


class LambdaLR(Schedule):
    """The base rate times a function of the number of steps.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    lr_lambda : callable, or list of callable
        `lr_lambda(n)` is the factor after n steps; a list has one for each group. A saved state
        does not hold it.

    Raises
    ------
    TypeError, ValueError
        If it is no function, or a list has not one for each group.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
    ) -> None:
        groups = len(checked_optimizer(optimizer).param_groups)
        given = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        if not all(map(callable, given)):
            raise TypeError("lr_lambda must be a function of the number of steps, or several")
        if len(given) != groups:
            raise ValueError(f"lr_lambda has {len(given)} functions for {groups} groups")
        self.lr_lambdas = given
        super().__init__(optimizer)

    def options_at(self, step: int) -> list[dict[str, Any]]:
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [{"lr": float(lr * factor(step))} for lr, factor in pairs]

    def _numbers(self) -> dict[str, Any]:
        return {k: v for k, v in super()._numbers().items() if k != "lr_lambdas"}
