"""Dropout and weight decay against overfitting, on too few images for too many epochs."""

from __future__ import annotations

import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import models, nn

CASES = {
    "neither": (0.0, 0.0),
    "weight decay": (0.0, 2e-2),
    "dropout": (0.5, 0.0),
    "both": (0.5, 2e-2),
}


def run(images: int = 300, epochs: int = 20) -> list[Row]:
    train, test = fashion(images), clothes_to_test()
    rows = []
    for name, (p, weight_decay) in CASES.items():
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        model.flatten = nn.Sequential(nn.Flatten(), nn.Dropout(p))  # before the last layer
        learn(model, train, epochs, weight_decay=weight_decay)
        right = percent(model, train)
        rows.append(
            {
                "against overfitting": name,
                "weight decay": weight_decay,
                "dropout": p,
                "training %": right,
                "test %": percent(model, test),
                "gap": round(right - percent(model, test), 1),
            }
        )
    return rows


def main(images: int = 300, epochs: int = 20) -> None:
    show(run(images, epochs))


if __name__ == "__main__":
    typer.run(main)
