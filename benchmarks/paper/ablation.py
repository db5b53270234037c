"""One small table: what becomes of ResNet-20 when one of its choices is changed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minires
from benchmarks.paper.results import Table
from benchmarks.paper.training import Settings, announce, load_images, train
from minires import models, nn
from minires.training import TrainingError

SLOW = 0.01  # a rate at which a network without batch norm trains


def without_batch_norm(model: models.ResNet) -> models.ResNet:
    """The same network with every batch norm replaced by the identity."""
    for module in model.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return model


Build = Callable[..., models.ResNet]

# name -> (how to build it, seed, learning rate or None for the settings')
VARIANTS: dict[str, tuple[Build, int, float | None]] = {
    "shortcut A": (lambda *a: models.create("resnet20", *a), 0, None),
    "no shortcut (plain)": (lambda *a: models.create("plain20", *a), 0, None),
    "shortcut B": (lambda *a: models.create("resnet20", *a, shortcut="B"), 0, None),
    "shortcut C": (lambda *a: models.create("resnet20", *a, shortcut="C"), 0, None),
    "pre-activation": (lambda *a: models.create("preact_resnet20", *a), 0, None),
    "zero gamma": (lambda *a: models.create("resnet20", *a, zero_gamma=True), 0, None),
    "without batch norm": (
        lambda *a: without_batch_norm(models.create("resnet20", *a)),
        0,
        None,
    ),
    "without batch norm, lower rate": (
        lambda *a: without_batch_norm(models.create("resnet20", *a)),
        0,
        SLOW,
    ),
    "shortcut A, lower rate": (lambda *a: models.create("resnet20", *a), 0, SLOW),
    "shortcut A, second seed": (lambda *a: models.create("resnet20", *a), 1, None),
    "shortcut A, third seed": (lambda *a: models.create("resnet20", *a), 2, None),
}
"""The first is the paper's network; the last two say how much is chance."""


def ablation(settings: Settings, data_dir: Path | None, work: Path, out: Path) -> None:
    """Train every variant and write each one's row to `out`."""
    images = load_images(settings, data_dir)
    table = Table(out, settings.as_dict())
    started = time.perf_counter()
    for name, (build, shift, lr) in VARIANTS.items():
        if name in table:
            continue
        announce(name, started)
        own = dataclasses.replace(settings, seed=settings.seed + shift)
        minires.manual_seed(own.seed)
        model = build(len(images.train.classes), images.channels)
        row: dict[str, Any] = {
            "parameters": sum(p.size for p in model.parameters()),
            "lr": settings.lr if lr is None else lr,
            "seed": own.seed,
        }
        try:
            row |= train(model, images, own, work / name.replace(" ", "-"), lr)
            print(f"  training error {row['train_error'][-1]}%, test {row['test_error']}%")
        except TrainingError as error:
            row["failed"] = str(error)
            print(f"  {error}")
        table.add(name, row)
