"""Optimisers, gradient clipping and learning-rate schedules, with PyTorch's names and meanings.

A training step is

>>> optimizer.zero_grad()
>>> loss = loss_function(model(images), labels)
>>> loss.backward()
>>> clip_grad_norm_(model.parameters(), 1.0)  # if at all
>>> optimizer.step()
>>> schedule.step()  # after each batch, or each epoch, as its numbers count
"""

from typing import TYPE_CHECKING

from minires.from_pytorch import module_getattr
from minires.optim import lr_scheduler
from minires.optim.adam import Adam, AdamW
from minires.optim.clipping import clip_grad_norm_, clip_grad_value_
from minires.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)
from minires.optim.optimizer import Optimizer
from minires.optim.rmsprop import RMSprop
from minires.optim.sgd import SGD

if not TYPE_CHECKING:
    __getattr__ = module_getattr("optim", __name__)

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]
