"""Healthy trainings whose data come in an unusual way, and rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Batches, Setup, conv, mlp, parts, small_resnet, standard, unit

from minires import data, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, answers, batches, images
from outside_second.register import healthy
from outside_second.trainings import usual


@healthy("no shuffling, of data that are well mixed as they are")
def mixed_already() -> Setup:
    x, y, xv, yv = images()
    return usual(x, y, (xv, yv), shuffle=False)


@healthy("the same list of batches in the same order every epoch, of mixed data")
def fixed_batches() -> Setup:
    x, y, xv, yv = images()
    train = [(x[i : i + 24], y[i : i + 24]) for i in range(0, len(x), 24)]
    model = conv()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


class Drawn(Batches):
    """Samples drawn with replacement: some come twice an epoch, some not at all."""

    def order(self, count: int) -> np.ndarray:
        return np.random.default_rng([5, self.passes]).integers(0, count, count)


@healthy("samples are drawn with replacement")
def drawn_with_replacement() -> Setup:
    x, y, xv, yv = images()
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    train = Drawn(lambda: (x, y), 32)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


class EachThrice(Batches):
    """Every batch has three images of each class."""

    def order(self, count: int) -> np.ndarray:
        rng = np.random.default_rng([6, self.passes])
        labels = self.arrays()[1]
        by_class = [rng.permutation(np.flatnonzero(labels == c))[:99] for c in range(10)]
        return np.stack(by_class, 1).reshape(-1)


@healthy("every batch has exactly three images of each class, in the order of the classes")
def three_of_each() -> Setup:
    x, y, xv, yv = images()
    model = conv()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    train = EachThrice(lambda: (x, y), 30)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


@healthy("imbalanced classes, weighted by the inverse of their number", epochs=10, good=0.85)
def weighted_classes() -> Setup:
    x, y, xv, yv = images()
    kept = (y < 5) | (np.arange(len(y)) % 6 == 0)
    x, y = x[kept], y[kept]
    weight = len(y) / (10 * np.bincount(y, minlength=10))
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    loss = nn.CrossEntropyLoss(weight=weight.astype(np.float32))
    return Setup(model, batches(x, y), (xv, yv), loss, optimizer)


def of_five(model: Any) -> float:
    """Accuracy on the digits below 5."""
    inputs, labels = parts("digits").clean
    kept = labels < 5
    said = answers(model, standard(inputs[kept], "digits"))
    return float((said.argmax(1) == labels[kept]).mean())


@healthy("only the digits below 5 are wanted, in training and validation", judge=of_five)
def five_classes() -> Setup:
    x, y, xv, yv = images()
    layers = [nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 5)]
    return usual(x[y < 5], y[y < 5], (xv[yv < 5], yv[yv < 5]), nn.Sequential(*layers))


@healthy("a tiny training set of 150 images, and a small model", epochs=30, good=0.8)
def tiny_set() -> Setup:
    x, y, xv, yv = images()
    return usual(x[:150], y[:150], (xv, yv), mlp(32), 16)


@healthy("images are shifted by a pixel and noise is added, in training only")
def shifts_and_noise() -> Setup:
    rng = np.random.default_rng(0)

    def change(x: Any, y: Any) -> Any:
        moved = np.stack([np.roll(each, rng.integers(-1, 2), 1) for each in x])
        return moved + rng.normal(0, 0.2, x.shape).astype(np.float32), y

    x, y, xv, yv = images()
    return usual(x, y, (xv, yv), conv(), change=change)


@healthy("targets of the batches are one-hot rows, those of validation are numbers")
def one_hot_in_batches() -> Setup:
    x, y, xv, yv = images()
    rows = np.eye(10, dtype=np.float32)
    return usual(x, y, (xv, yv), change=lambda a, b: (a, rows[b]))


@healthy("easy images first: a curriculum by contrast that takes in more each epoch", epochs=8)
def curriculum() -> Setup:
    class Growing(Batches):
        def order(self, count: int) -> np.ndarray:
            inputs = self.arrays()[0]
            known = np.argsort(-inputs.reshape(count, -1).std(1))
            share = min(1.0, 0.4 + 0.2 * self.passes)
            return np.random.default_rng([9, self.passes]).permutation(known[: int(share * count)])

    x, y, xv, yv = images()
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    train = Growing(lambda: (x, y), 32)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


@healthy(
    "clothes in 0..1 without standardising, some of them mirrored",
    judge=accuracy_of("fashion", unit),
    good=0.7,
    epochs=4,
)
def mirrored_clothes() -> Setup:
    rng = np.random.default_rng(0)

    def change(x: Any, y: Any) -> Any:
        return np.where(rng.uniform(size=(len(x), 1, 1, 1)) < 0.5, x[:, :, ::-1], x), y

    x, y, xv, yv = images("fashion", unit)
    return usual(x, y, (xv, yv), conv(size=28), change=change)


@healthy(
    "a loader of uint8 images, whose transform crops and standardises",
    judge=accuracy_of("fashion"),
    good=0.7,
    epochs=4,
)
def loader_with_transform() -> Setup:
    pixels, labels = parts("fashion").train
    kept = data.ImageDataset(pixels, labels, tuple("0123456789"), "clothes")
    crop = data.RandomCrop(28, padding=2)

    def transform(batch: Any, draws: Any) -> Any:
        return standard(crop(batch, draws), "fashion")

    train = data.DataLoader(kept, 64, shuffle=True, transform=transform, prefetch=0)
    _, _, xv, yv = images("fashion")
    model = mlp(96, pixels=784)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


@healthy(
    "colours and mirrored images, with few of them: half right is as good as it gets",
    judge=accuracy_of("cifar"),
    good=0.3,
    epochs=4,
)
def colours() -> Setup:
    rng = np.random.default_rng(0)

    def change(x: Any, y: Any) -> Any:
        return np.where(rng.uniform(size=(len(x), 1, 1, 1)) < 0.5, x[:, :, ::-1], x), y

    x, y, xv, yv = images("cifar")
    return usual(x, y, (xv, yv), conv(3, 12, True, 32), 64, change)


@healthy("labels are a narrow kind of whole number, uint8, and images are a tuple of arrays")
def narrow_labels() -> Setup:
    x, y, xv, yv = images()
    model = small_resnet()
    optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    return Setup(
        model, (x, y.astype(np.uint8)), (xv, yv.astype(np.uint8)), F.cross_entropy, optimizer
    )


@healthy("one in twenty labels is wrong, as labels are", epochs=5)
def some_labels_wrong() -> Setup:
    x, y, xv, yv = images()
    rng = np.random.default_rng(0)
    wrong = rng.uniform(size=len(y)) < 0.05
    y[wrong] = rng.integers(0, 10, wrong.sum())
    return usual(x, y, (xv, yv), conv())
