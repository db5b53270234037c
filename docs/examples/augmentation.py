"""Crops and flips: the training gets harder; does the test get better?"""

from __future__ import annotations

import typer
from small import NORMALIZE, Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import data, models

CASES = {
    "none": NORMALIZE,
    "flip": data.Compose([data.RandomHorizontalFlip(), NORMALIZE]),
    "crop": data.Compose([data.RandomCrop(14, padding=1), NORMALIZE]),
    "crop and flip": data.Compose(
        [data.RandomCrop(14, padding=1), data.RandomHorizontalFlip(), NORMALIZE]
    ),
}


def run(images: int = 600, epochs: int = 16) -> list[Row]:
    train, test = fashion(images), clothes_to_test()
    rows = []
    for name, transform in CASES.items():
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        history = learn(model, train, epochs, transform=transform)
        rows.append(
            {
                "augmentation": name,
                "training %, as seen": round(100 * history[-1].train_accuracy, 1),
                "test %": percent(model, test),
            }
        )
    return rows


def main(images: int = 600, epochs: int = 16) -> None:
    show(run(images, epochs))


if __name__ == "__main__":
    typer.run(main)
