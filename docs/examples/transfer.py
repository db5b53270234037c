"""Transfer learning: weights from one task as the start of another with few labels.

A network learns five kinds of clothes; its last layer is then replaced for the other five. Either
only that layer learns (the rest is frozen), or all of it.
"""

from __future__ import annotations

import numpy as np
import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import models, nn
from minires.data import ImageDataset


def kinds(images: ImageDataset, first: int, per_class: int | None = None) -> ImageDataset:
    """The images of five classes from `first` on, renumbered from 0."""
    wanted = range(first, first + 5)
    chosen = [np.flatnonzero(images.labels == k)[:per_class] for k in wanted]
    part = images.subset(np.sort(np.concatenate(chosen)))
    names = images.classes[first : first + 5]
    return ImageDataset(part.images, part.labels - first, names, "five kinds")


def run(images: int = 2000, epochs: int = 4, per_class: int = 10) -> list[Row]:
    whole, tested = fashion(images), clothes_to_test()
    train, test = kinds(whole, 5, per_class), kinds(tested, 5)
    rows = []
    for start in ("random weights", "other clothes, all layers", "other clothes, last layer only"):
        minires.manual_seed(0)
        model = models.resnet8(5, in_channels=1)
        if start != "random weights":
            learn(model, kinds(whole, 0), epochs)
            model.fc = nn.Linear(model.fc.in_features, 5)
        if "only" in start:
            model.requires_grad_(False)
            model.fc.requires_grad_(True)
        learn(model, train, 20, batch_size=10, lr=0.02)
        rows.append(
            {
                "start": start,
                "labels": len(train),
                "weights that learn": sum(p.size for p in model.parameters() if p.requires_grad),
                "test %": percent(model, test),
            }
        )
    return rows


def main(images: int = 2000, epochs: int = 4, per_class: int = 10) -> None:
    show(run(images, epochs, per_class))


if __name__ == "__main__":
    typer.run(main)
