"""Learning rates that change as the training goes on.

A schedule is made after its optimiser and stepped after it, once an epoch or once a batch:

>>> schedule = CosineAnnealingLR(optimizer, T_max=epochs)
>>> for epoch in range(epochs):
...     train_one_epoch(model, optimizer)
...     schedule.step()

Each is a function of the base rate and the number of steps, not of the last rate, so there is
nothing to drift: a schedule restored at step n is the schedule that got there. A rate that somebody
else has set, by hand or by another schedule, is where it goes on from: the base rate becomes the
one with which the schedule would have come to it, as PyTorch's schedules multiply what they find.
"""

from typing import TYPE_CHECKING

from minires.from_pytorch import module_getattr
from minires.optim.lr_scheduler.cosine import CosineAnnealingLR, OneCycleLR
from minires.optim.lr_scheduler.plateau import ReduceLROnPlateau
from minires.optim.lr_scheduler.schedule import Schedule
from minires.optim.lr_scheduler.sequential import SequentialLR
from minires.optim.lr_scheduler.steps import ExponentialLR, LambdaLR, MultiStepLR, StepLR
from minires.optim.lr_scheduler.warmup import LinearWarmup

LRScheduler = _LRScheduler = Schedule

if not TYPE_CHECKING:
    __getattr__ = module_getattr("optim.lr_scheduler", __name__)

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
]
