"""What the examples share: real images that are small, and one way to train and to measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minires
from minires import data, nn, optim
from minires.data import ImageDataset
from minires.training import evaluate

NORMALIZE = data.Normalize([0.286], [0.353])  # Fashion-MNIST's mean and deviation

Row = dict[str, Any]
"""One line of an example's table: column to value."""


def fashion(images: int, train: bool = True, size: int = 14) -> ImageDataset:
    """The first images of Fashion-MNIST, made smaller by averaging blocks: 7, 14 or 28 pixels."""
    part = data.fashion_mini(train)[:images]
    k = 28 // size
    blocks = part.images.reshape(len(part), size, k, size, k, 1).astype(np.float32)
    part.images = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return part


TEST_IMAGES = 1000


def clothes_to_test(size: int = 14) -> ImageDataset:
    """The images that no example trains on."""
    return fashion(TEST_IMAGES, train=False, size=size)


def learn(
    model: nn.Module,
    train: ImageDataset,
    epochs: int,
    *,
    lr: float = 0.1,
    weight_decay: float = 5e-4,
    optimizer: optim.Optimizer | None = None,
    transform: Callable[..., Any] = NORMALIZE,
    batch_size: int = 32,
    **options: Any,
) -> minires.training.History:
    """Train on all of `train`, by default with SGD and one cycle of the learning rate."""
    batch_size = min(batch_size, len(train))
    if optimizer is None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = optim.SGD(parameters, lr, momentum=0.9, weight_decay=weight_decay)
    peak = optimizer.param_groups[0]["lr"]
    momentum = isinstance(optimizer, optim.SGD)
    schedule = optim.OneCycleLR(
        optimizer,
        max_lr=peak,
        total_steps=epochs * (len(train) // batch_size),
        cycle_momentum=momentum,
    )
    return minires.fit(
        model,
        train,
        None,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        schedule=schedule,
        transform=transform,
        progress=False,
        **options,
    )


def percent(model: nn.Module, images: ImageDataset) -> float:
    """How many of the images the model gets right."""
    return round(100 * evaluate(model, images, transform=NORMALIZE).accuracy, 1)


def show(rows: list[Row]) -> None:
    """Print a table."""
    widths = {k: max(len(k), *(len(f"{row[k]}") for row in rows)) for k in rows[0]}
    print("  ".join(key.ljust(width) for key, width in widths.items()))
    for row in rows:
        print("  ".join(f"{row[key]}".ljust(width) for key, width in widths.items()))
