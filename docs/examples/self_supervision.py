"""Learn from images without labels: by how much was each turned? (Gidaris et al. 2018.)

The network that can tell 0, 90, 180 and 270 degrees apart is then fine-tuned on a few labels, and
compared with one that has seen only those.
"""

from __future__ import annotations

import numpy as np
import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import models, nn
from minires.data import ImageDataset

TURNS = ("0", "90", "180", "270")


def turned(images: ImageDataset) -> ImageDataset:
    """Each image four times, with its turn as its label."""
    pictures = np.concatenate([np.rot90(images.images, k, axes=(1, 2)) for k in range(4)])
    labels = np.repeat(np.arange(4), len(images))
    return ImageDataset(np.ascontiguousarray(pictures), labels, TURNS, "turned")


def few(images: ImageDataset, per_class: int) -> ImageDataset:
    """The first images of each class."""
    chosen = [np.flatnonzero(images.labels == k)[:per_class] for k in range(len(images.classes))]
    return images.subset(np.sort(np.concatenate(chosen)))


def run(
    images: int = 2000, epochs: int = 4, per_class: int = 5, fine_tuning: int = 30
) -> list[Row]:
    whole, test = fashion(images), clothes_to_test()
    labelled = few(whole, per_class)
    rows = []
    for pretrained in (False, True):
        minires.manual_seed(0)
        model = models.resnet8(4 if pretrained else 10, in_channels=1)
        turns = ""
        if pretrained:
            learn(model, turned(whole), epochs, batch_size=64)
            turns = f"{percent(model, turned(test))}"
            model.fc = nn.Linear(model.fc.in_features, 10)
        learn(model, labelled, fine_tuning, batch_size=10, lr=0.02)
        rows.append(
            {
                "start": "turns of unlabelled images" if pretrained else "random weights",
                "labels": len(labelled),
                "turns right %": turns,
                "test %": percent(model, test),
            }
        )
    return rows


def main(images: int = 2000, epochs: int = 4, per_class: int = 5) -> None:
    show(run(images, epochs, per_class))


if __name__ == "__main__":
    typer.run(main)
