"""Higher resolution: what it costs, what it brings, and a network used at another than it learnt.

A residual network ends in a mean over the image, so the same weights take any size.
"""

from __future__ import annotations

import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import models, nn


def run(images: int = 1500, epochs: int = 4) -> list[Row]:
    test = {size: clothes_to_test(size) for size in (7, 14, 28)}
    rows = []

    def row(name: str, model: nn.Module, size: int) -> None:
        cost = nn.summary(model, (size, size, 1)).multiply_adds
        rows.append(
            {
                "trained at": name,
                "tested at": size,
                "multiply-adds": cost,
                "test %": percent(model, test[size]),
            }
        )

    for size in (7, 14, 28):
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        learn(model, fashion(images, size=size), epochs)
        row(f"{size}", model, size)
        if size == 14:
            row("14", model, 28)
            learn(model, fashion(images, size=28), 1, lr=0.02)
            row("14, then one epoch at 28", model, 28)
    return rows


def main(images: int = 1500, epochs: int = 4) -> None:
    show(run(images, epochs))


if __name__ == "__main__":
    typer.run(main)
