"""A small residual network of one's own and a short `fit`: Adam, ten epochs, validation.

On CIFAR-10 with `--cifar FOLDER`, where its official files are; else on Fashion-MNIST.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from small import Row, clothes_to_test, fashion, show

import minires
from minires import Tensor, data, nn, optim


class SmallResNet(nn.Module):
    """A stem, one residual block, pooling and a linear layer that gives logits."""

    def __init__(self, in_channels: int, num_classes: int = 10, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)  # 3 channels to width
        self.bn0, self.bn1, self.bn2 = (nn.BatchNorm2d(width) for _ in range(3))
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.relu, self.add = nn.ReLU(), nn.Add()
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(2), nn.Flatten()
        self.head = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn0(self.stem(x)))
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        x = self.relu(self.add(out, x))  # added once, and rectified after the sum
        return self.head(self.flatten(self.pool(x)))


def run(
    images: int = 2000, epochs: int = 10, cifar: Path | None = None, width: int = 16
) -> list[Row]:
    """Fit, and give each epoch's accuracies."""
    if cifar is None:
        train, test = fashion(images), clothes_to_test()
    else:
        train, test = (data.CIFAR10(cifar, train=part)[:images] for part in (True, False))
    minires.manual_seed(0)
    model = SmallResNet(train.images.shape[-1], width=width)
    normalize = data.Normalize(*data.dataset_statistics(train.images))
    history = minires.fit(
        model,
        train,
        test,
        epochs=epochs,
        batch_size=32,
        optimizer=optim.Adam(model.parameters(), lr=0.003),
        transform=normalize,
        valid_transform=normalize,
        progress=False,
    )
    return [
        {
            "epoch": e.epoch,
            "training %": round(100 * e.train_accuracy, 1),
            "validation %": round(100 * e.valid_accuracy, 1),
        }
        for e in history
    ]


def main(
    images: int = 2000,
    epochs: int = 10,
    cifar: Annotated[Path | None, typer.Option(help="Where CIFAR-10's files are.")] = None,
) -> None:
    show(run(images, epochs, cifar))


if __name__ == "__main__":
    typer.run(main)
