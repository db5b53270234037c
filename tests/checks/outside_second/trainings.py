"""Trainings of which several faults and healthy ones are made."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, conv, mlp, standard

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import answers, batches, images, r_squared


def stepped(
    model: Any, optimizer: Any, compute: Any, size: int = 32, evaluate: Any = None
) -> Setup:
    """Digits, with a loss that is computed from inputs and labels."""
    x, y, xv, yv = images()

    def step(inputs: Any, labels: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = compute(inputs, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    train = batches(x, y, size)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, step, evaluate)


def scheduled(model: Any, optimizer: Any, schedule: Any, every: int = 1, size: int = 32) -> Setup:
    """A training whose schedule moves on after so many batches."""
    x, y, xv, yv = images()
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        seen += 1
        if seen % every == 0:
            schedule.step()
        return loss.item()

    return Setup(model, batches(x, y, size), (xv, yv), F.cross_entropy, optimizer, step)


def learning(
    x: Any, y: Any, valid: Any, model: Any = None, size: int = 32, change: Any = None, **how: Any
) -> Setup:
    """A small convolutional network, if no other, trained by Adam."""
    model = model or conv(width=6)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(
        model, batches(x, y, size, change=change, **how), valid, F.cross_entropy, optimizer
    )


def every_other(pixels: np.ndarray, name: str) -> np.ndarray:
    """Standardised, and every other pixel of each axis."""
    return standard(pixels, name)[:, ::2, ::2]


def priced(model: Any, optimizer: Any, x: Any, y: Any, xv: Any, yv: Any) -> Setup:
    """A regression of prices."""

    def loss(said: Any, truth: Any) -> Any:
        return F.mse_loss(said, truth.reshape(-1, 1))

    def evaluate() -> float:
        return r_squared(answers(model, xv), yv)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


def digits_with(model: Any, lr: float = 3e-3, size: int = 32) -> Setup:
    """A model trained by Adam."""
    x, y, xv, yv = images()
    optimizer = optim.Adam(model.parameters(), lr=lr)
    return Setup(model, batches(x, y, size), (xv, yv), F.cross_entropy, optimizer)


def toy_with(model: Any, toy: Any, lr: float = 0.02) -> Setup:
    """The same of toy data."""
    (x, y), valid, _ = toy()
    optimizer = optim.Adam(model.parameters(), lr=lr)
    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer)


class Normed(nn.Module):
    """Two convolutions with batch norm."""

    def __init__(self, momentum: float | None = 0.1, drop: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8, momentum=momentum)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16, momentum=momentum)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.head(self.drop(x.reshape(x.shape[0], -1)))


def usual(
    x: Any, y: Any, valid: Any, model: Any = None, size: int = 32, change: Any = None, **how: Any
) -> Setup:
    model = model or mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(
        model, batches(x, y, size, change=change, **how), valid, F.cross_entropy, optimizer
    )


def trained(
    model: Any, optimizer: Any = None, size: int = 32, loss: Any = F.cross_entropy
) -> Setup:
    """Digits, by Adam if by nothing else."""
    x, y, xv, yv = images()
    optimizer = optimizer or optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y, size), (xv, yv), loss, optimizer)


def adam_on(model: Any, loss: Any, lr: float = 3e-3, size: int = 32, name: str = "digits") -> Setup:
    """A model, Adam and a loss."""
    x, y, xv, yv = images(name)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    return Setup(model, batches(x, y, size), (xv, yv), loss, optimizer)
