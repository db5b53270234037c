"""Learning rates that change as the training goes on.

A schedule is made after its optimiser and stepped after it, once an epoch or once a batch:

>>> schedule = CosineAnnealingLR(optimizer, T_max=epochs)
>>> for epoch in range(epochs):
...     train_one_epoch(model, optimizer)
...     schedule.step()

Each is a function of the number of steps alone, not of the last rate, so there is nothing to drift:
a schedule restored at step n is the schedule that got there. A rate set by hand lasts until the
next `step`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from minires.from_pytorch import PyTorchsKeywords
from minires.optim.optimizer import Optimizer
from minires.optim.options import count, flag, number


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
        self.optimizer = _checked_optimizer(optimizer)
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._apply(self.options_at(0))

    def lr_at(self, step: int, base_lr: float) -> float:
        """The rate after `step` steps of a group whose base rate is `base_lr`."""
        raise NotImplementedError(f"{type(self).__name__} must define lr_at or options_at")

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
        self._apply(self.options_at(self.last_epoch + 1))
        self.last_epoch += 1

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
        groups = len(_checked_optimizer(optimizer).param_groups)
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


class CosineAnnealingLR(Schedule):
    r"""Half a cosine, from the base rate down to `eta_min`.

    .. math::
        \gamma_n = \eta_{\min} + (\gamma_0 - \eta_{\min}) \frac{1 + \cos(\pi n / T_{\max})}{2}

    After `T_max` steps the rate rises again, as the cosine does (and as in PyTorch).

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates to set.
    T_max : int
        Steps down to the lowest rate, >= 1.
    eta_min : float
        The lowest rate, >= 0.

    References
    ----------
    I. Loshchilov and F. Hutter, *SGDR: stochastic gradient descent with warm restarts*, ICLR 2017,
    equation 5 (without the restarts).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = count("T_max", T_max)
        self.eta_min = number("eta_min", eta_min)
        super().__init__(optimizer)

    def lr_at(self, step: int, base_lr: float) -> float:
        return _cosine(base_lr, self.eta_min, step / self.T_max)


class OneCycleLR(Schedule):
    r"""One cycle: the rate up to `max_lr` and down to almost nothing, momentum the other way.

    With :math:`N` steps in all, the peak is at step :math:`P = \mathrm{pct\_start} \cdot N - 1` and
    the end at :math:`N - 1`. Half a cosine leads from one to the next of

    ==========  ==============================================  =================
    step        rate                                            momentum
    ==========  ==============================================  =================
    0           `max_lr / div_factor`                           `max_momentum`
    P           `max_lr`                                        `base_momentum`
    N - 1       `max_lr / div_factor / final_div_factor`        `max_momentum`
    ==========  ==============================================  =================

    Step it after every batch. The base rates of the optimiser do not matter.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates, and momentum or first beta, to set.
    max_lr : float or list of float
        The highest rate, for all groups or one for each; > 0.
    total_steps : int, optional
        :math:`N`; if not given, `epochs * steps_per_epoch`.
    epochs, steps_per_epoch : int, optional
        Wanted if `total_steps` is not given.
    pct_start : float
        Share of the steps on the way up, between 0 and 1.
    cycle_momentum : bool
        Whether to set the momentum too.
    base_momentum, max_momentum : float or list of float
        The lowest and the highest momentum.
    div_factor, final_div_factor : float
        What divides the rates; > 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range, the number of steps is not given, a list has not one entry for
        each group, or the optimiser has no momentum to cycle.

    References
    ----------
    L. Smith and N. Topin, *Super-convergence: very fast training of neural networks using large
    learning rates*, arXiv 1708.07120, 2018; in the two phases of fastai, as PyTorch's default.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        groups = len(_checked_optimizer(optimizer).param_groups)
        if total_steps is not None:
            self.total_steps = count("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = count("epochs", epochs) * count("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError(
                "OneCycleLR needs total_steps, or both epochs and steps_per_epoch; got "
                f"total_steps={total_steps}, epochs={epochs}, steps_per_epoch={steps_per_epoch}"
            )
        self.max_lrs = _for_each_group("max_lr", max_lr, groups, "(0, inf)")
        self.pct_start = number("pct_start", pct_start, "[0, 1]")
        self.cycle_momentum = flag("cycle_momentum", cycle_momentum)
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"{type(optimizer).__name__} has neither momentum nor betas; "
                "pass cycle_momentum=False"
            )
        self.base_momentums = _for_each_group("base_momentum", base_momentum, groups, "[0, 1)")
        self.max_momentums = _for_each_group("max_momentum", max_momentum, groups, "[0, 1)")
        self.div_factor = number("div_factor", div_factor, "(0, inf)")
        self.final_div_factor = number("final_div_factor", final_div_factor, "(0, inf)")
        super().__init__(optimizer)

    def options_at(self, step: int) -> list[dict[str, Any]]:
        if step > self.total_steps:
            raise ValueError(
                f"OneCycleLR was made for {self.total_steps} steps and cannot make a further one"
            )
        # Step N is allowed: one more `step` than there are batches, after the last of them.
        peak, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        up = step <= peak
        done = _share(step, 0, peak) if up else _share(step, peak, end)

        options = []
        for i, group in enumerate(self.optimizer.param_groups[: len(self.max_lrs)]):
            max_lr = self.max_lrs[i]
            lowest = max_lr / self.div_factor
            final = lowest / self.final_div_factor
            lr = _cosine(lowest, max_lr, done) if up else _cosine(max_lr, final, done)
            new: dict[str, Any] = {"lr": lr}
            if self.cycle_momentum:
                high, low = self.max_momentums[i], self.base_momentums[i]
                momentum = _cosine(high, low, done) if up else _cosine(low, high, done)
                if "betas" in group:
                    new["betas"] = (momentum, group["betas"][1])
                else:
                    new["momentum"] = momentum
            options.append(new)
        return options


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

    def options_at(self, step: int) -> list[dict[str, Any]]:
        following = max(step - self.warmup_steps, 0)
        if self.after is None:
            options: list[dict[str, Any]] = [{"lr": base_lr} for base_lr in self.base_lrs]
        else:
            options = self.after.options_at(following)
        if step < self.warmup_steps:
            risen = step / self.warmup_steps
            for new in options:
                new["lr"] *= self.start_factor + (1 - self.start_factor) * risen
        return options

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
        place = bisect_right(self.milestones, step)
        return self.schedulers[place].options_at(step - [0, *self.milestones][place])

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


_NOT_SHOWN = ("optimizer", "base_lrs")


def _checked_optimizer(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"a schedule needs an Optimizer, got {optimizer!r:.60} of type "
            f"{type(optimizer).__name__}"
        )
    return optimizer


def _for_each_group(name: str, value: Any, groups: int, interval: str) -> list[float]:
    """One number for each group: `value` itself, or its entries."""
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name} has {len(values)} values, the optimiser has {groups} groups")
    return [number(name, v, interval) for v in values]


def _share(step: float, start: float, end: float) -> float:
    """How much of the way from `start` to `end` is done; all of it if there is no way to go."""
    return (step - start) / (end - start) if end > start else 1.0


def _cosine(start: float, end: float, done: float) -> float:
    """From `start` (`done` = 0) to `end` (`done` = 1) along half a cosine."""
    weight = (1 + math.cos(math.pi * done)) / 2
    return weight * start + (1 - weight) * end  # exact at both ends
