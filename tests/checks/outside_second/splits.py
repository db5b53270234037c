"""Faults of splits, leaks and shuffling."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Batches, Setup, conv, mlp, parts, standard

from minires import data, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images, judged_by, most_likely, spirals
from outside_second.register import DEEPCRIME, GOYAL, IVANOV, OWN, fault
from outside_second.trainings import every_other, learning

SPLIT = "data split and leak"
MIXED = "shuffling"


# --- splits and leaks --------------------------------------------------------------------------


@fault(
    SPLIT,
    OWN,
    "the validation images are the first of the training images",
    "validation data are training data",
    "training and validation overlap",
    epochs=10,
    judge=accuracy_of("cifar", every_other),
)
def held_out_and_trained_on(wrong: bool) -> Setup:
    x, y, xv, yv = images("cifar", every_other)
    model = mlp(128, 64, pixels=768)
    x, y = x[:800], y[:800]
    valid = (x[:300], y[:300]) if wrong else (xv, yv)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer)


@fault(
    SPLIT,
    "robinreni96/Font_Recognition-DeepFont#2",
    "images are augmented first and split afterwards: copies of the same image are on both sides",
    "training and validation overlap",
    "copies of training data are in the validation data",
    epochs=8,
    judge=accuracy_of("cifar", every_other),
)
def augmented_then_split(wrong: bool) -> Setup:
    x, y, xv, yv = images("cifar", every_other)
    x, y = x[:600], y[:600]
    rng = np.random.default_rng(0)
    copies = [x + rng.normal(0, 0.1, x.shape).astype(np.float32) for _ in range(3)]
    many, labels = np.concatenate(copies), np.concatenate([y] * 3)
    if wrong:
        order = rng.permutation(len(many))
        many, labels = many[order], labels[order]
        valid = many[:300], labels[:300]
        many, labels = many[300:], labels[300:]
    else:
        valid = xv, yv
    model = mlp(128, 64, pixels=768)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    return Setup(model, batches(many, labels), valid, F.cross_entropy, optimizer)


@fault(
    SPLIT,
    OWN,
    "the file is sorted by class and split without mixing: classes 8 and 9 never come in training",
    "a class never comes in training",
    "the split is not mixed",
    "training and validation have different classes",
)
def sorted_then_split(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    every, truth = np.concatenate([x, xv]), np.concatenate([y, yv])
    order = np.argsort(truth, kind="stable")
    if not wrong:
        order = np.random.default_rng(0).permutation(order)
    every, truth = every[order], truth[order]
    cut = int(0.8 * len(truth))
    return learning(every[:cut], truth[:cut], (every[cut:], truth[cut:]))


@fault(
    SPLIT,
    DEEPCRIME,
    "a slice for trying things out, [:40], was left in",
    "too few training data",
    "most of the data are never used",
    epochs=10,
)
def slice_left_in(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    if wrong:
        x, y = x[:40], y[:40]
    return learning(x, y, (xv, yv))


@fault(
    SPLIT,
    OWN,
    "the label is in the first pixel of training and validation images, from joining the columns",
    "the label is among the inputs",
    "the target leaks into the inputs",
    epochs=4,
)
def label_in_a_pixel(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    if wrong:
        for inputs, labels in ((x, y), (xv, yv)):
            for c in range(10):
                inputs[labels == c, 0, 0, 0] = (c - 4.5) * 8
    return learning(x, y, (xv, yv), mlp(48))


@fault(
    SPLIT,
    OWN,
    "one-hot labels are left in the last columns of a table from which they are predicted",
    "the label is among the inputs",
    "the target leaks into the inputs",
    epochs=6,
    judge=judged_by(
        lambda: tuple((np.pad(x, ((0, 0), (0, 3))), y) for x, y in spirals()), most_likely
    ),
)
def label_in_a_column(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = spirals()
    columns = np.eye(3, dtype=np.float32)

    def table(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.concatenate([inputs, columns[labels] * wrong], 1).astype(np.float32)

    model = nn.Sequential(nn.Linear(5, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
    model = nn.Sequential(model, nn.Linear(48, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    train = batches(table(x, y), y)
    return Setup(model, train, (table(xv, yv), yv), F.cross_entropy, optimizer)


# --- shuffling ---------------------------------------------------------------------------------


@fault(
    MIXED,
    IVANOV,
    "the training images come sorted by class and are not shuffled",
    "batches are not mixed",
    "data are sorted by class",
    "shuffling is missing",
)
def sorted_by_class(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    order = np.argsort(y, kind="stable")
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    train = batches(x[order], y[order], shuffle=not wrong)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


@fault(
    MIXED,
    OWN,
    "the loader of a sorted file is made with shuffle=False",
    "batches are not mixed",
    "data are sorted by class",
    "shuffling is missing",
    judge=accuracy_of("fashion"),
    epochs=4,
)
def loader_without_shuffle(wrong: bool) -> Setup:
    pixels, labels = parts("fashion").train
    order = np.argsort(labels, kind="stable")
    names = tuple("0123456789")
    kept = data.ImageDataset(pixels[order], labels[order], names, "sorted clothes")
    train = data.DataLoader(
        kept,
        32,
        shuffle=not wrong,
        transform=lambda batch, draws: standard(batch, "fashion"),
        prefetch=0,
    )
    _, _, xv, yv = images("fashion")
    model = mlp(64, pixels=784)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


class Sampled(Batches):
    """Batches of samples drawn anew."""

    limit = 1200

    def order(self, count: int) -> np.ndarray:
        rng = np.random.default_rng([3, self.passes])
        return rng.integers(0, min(self.limit, count), count)


@fault(
    MIXED,
    OWN,
    "samples are drawn below the number of batches and not below the number of samples",
    "most of the data are never used",
    "too few training data",
    "the sampler draws from a part of the data",
)
def drawn_below_the_batches(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    train = Sampled(lambda: (x, y), 32)
    if wrong:
        train.limit = len(train)
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


@fault(
    MIXED,
    GOYAL,
    "a sorted file is shuffled only within batches, so that each has one class or two",
    "batches are not mixed",
    "data are sorted by class",
    "shuffling is wrong",
)
def shuffled_within_batches(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    order = np.argsort(y, kind="stable")
    rng = np.random.default_rng(0)

    def change(a: Any, b: Any) -> Any:
        inside = rng.permutation(len(b))
        return a[inside], b[inside]

    model = conv(width=6)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    train = batches(x[order], y[order], 40, shuffle=not wrong, change=change)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)
