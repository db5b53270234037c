"""The schedules where PyTorch has them: `optim.lr_scheduler.StepLR` is `optim.StepLR`."""

from typing import TYPE_CHECKING

from minires.from_pytorch import module_getattr
from minires.optim.plateau import ReduceLROnPlateau
from minires.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    Schedule,
    SequentialLR,
    StepLR,
)

LRScheduler = Schedule

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
