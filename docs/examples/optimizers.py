"""SGD, Adam, AdamW and RMSprop on one network: losses after an epoch, and accuracies."""

from __future__ import annotations

import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import models, optim

OPTIMIZERS = {
    "SGD, momentum 0.9": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4),
    "Adam": lambda p: optim.Adam(p, lr=0.005),
    "AdamW": lambda p: optim.AdamW(p, lr=0.005, weight_decay=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.002),
}


def run(images: int = 2000, epochs: int = 4) -> list[Row]:
    train, test = fashion(images), clothes_to_test()
    rows = []
    for name, make in OPTIMIZERS.items():
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        optimizer = make(list(model.parameters()))
        rate = optimizer.param_groups[0]["lr"]
        history = learn(model, train, epochs, optimizer=optimizer)
        rows.append(
            {
                "optimiser": name,
                "peak rate": rate,
                "loss, first epoch": round(history[0].train_loss, 3),
                "loss, last epoch": round(history[-1].train_loss, 3),
                "test %": percent(model, test),
            }
        )
    return rows


def main(images: int = 2000, epochs: int = 4) -> None:
    show(run(images, epochs))


if __name__ == "__main__":
    typer.run(main)
