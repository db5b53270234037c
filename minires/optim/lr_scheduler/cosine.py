"""Rates along half a cosine: down once, or up and down again with momentum the other way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minires.optim.lr_scheduler.schedule import Schedule, checked_optimizer, for_each_group
from minires.optim.optimizer import Optimizer
from minires.optim.options import count, flag, number


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
        return cosine(base_lr, self.eta_min, step / self.T_max)


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
        groups = len(checked_optimizer(optimizer).param_groups)
        if total_steps is not None:
            self.total_steps = count("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = count("epochs", epochs) * count("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError(
                "OneCycleLR needs total_steps, or both epochs and steps_per_epoch; got "
                f"total_steps={total_steps}, epochs={epochs}, steps_per_epoch={steps_per_epoch}"
            )
        self.max_lrs = for_each_group("max_lr", max_lr, groups, "(0, inf)")
        self.pct_start = number("pct_start", pct_start, "[0, 1]")
        self.cycle_momentum = flag("cycle_momentum", cycle_momentum)
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"{type(optimizer).__name__} has neither momentum nor betas; "
                "pass cycle_momentum=False"
            )
        self.base_momentums = for_each_group("base_momentum", base_momentum, groups, "[0, 1)")
        self.max_momentums = for_each_group("max_momentum", max_momentum, groups, "[0, 1)")
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
        done = share(step, 0, peak) if up else share(step, peak, end)

        options = []
        for i, group in enumerate(self.optimizer.param_groups[: len(self.max_lrs)]):
            max_lr = self.max_lrs[i]
            lowest = max_lr / self.div_factor
            final = lowest / self.final_div_factor
            lr = cosine(lowest, max_lr, done) if up else cosine(max_lr, final, done)
            new: dict[str, Any] = {"lr": lr}
            if self.cycle_momentum:
                high, low = self.max_momentums[i], self.base_momentums[i]
                momentum = cosine(high, low, done) if up else cosine(low, high, done)
                if "betas" in group:
                    new["betas"] = (momentum, group["betas"][1])
                else:
                    new["momentum"] = momentum
            options.append(new)
        return options


def share(step: float, start: float, end: float) -> float:
    """How much of the way from `start` to `end` is done; all of it if there is no way to go."""
    return (step - start) / (end - start) if end > start else 1.0


def cosine(start: float, end: float, done: float) -> float:
    """From `start` (`done` = 0) to `end` (`done` = 1) along half a cosine."""
    weight = (1 + math.cos(math.pi * done)) / 2
    return weight * start + (1 - weight) * end  # exact at both ends
