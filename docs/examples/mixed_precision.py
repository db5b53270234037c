"""float32 and mixed precision: the same accuracy, and half the memory for what a step keeps.

On the CPU mixed precision is slower; the memory is what it is about here.
"""

from __future__ import annotations

import typer
from small import NORMALIZE, Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import Tensor, models, optim
from minires.observers import observe
from minires.training import MixedPrecision


def kept_bytes(model: models.ResNet, amp: bool, size: int = 14, batch: int = 32) -> int:
    """Bytes of all results of one forward pass, which the backward pass needs."""
    images = Tensor(NORMALIZE(fashion(batch, size=size).images))
    total = 0

    def count(op: object, arrays: object, constants: object, out: Tensor) -> None:
        nonlocal total
        total += out.data.nbytes

    forward = model
    if amp:
        forward = MixedPrecision(model, optim.SGD(model.parameters(), lr=0.1)).forward
    with observe(count):
        forward(images)
    return total


def run(images: int = 1000, epochs: int = 4) -> list[Row]:
    train, test = fashion(images), clothes_to_test()
    rows = []
    for amp in (False, True):
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        history = learn(model, train, epochs, amp=amp)
        rows.append(
            {
                "precision": "mixed" if amp else "float32",
                "last loss": round(history[-1].train_loss, 4),
                "test %": percent(model, test),
                "KiB of a step's results": round(kept_bytes(model, amp) / 1024),
            }
        )
    return rows


def main(images: int = 1000, epochs: int = 4) -> None:
    show(run(images, epochs))


if __name__ == "__main__":
    typer.run(main)
