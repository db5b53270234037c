"""Faults of inputs and their scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, conv, mlp, parts, raw, standard, unit

from minires import nn, optim
from minires.nn import functional as F
from outside_second.material import (
    accuracy_of,
    answers,
    batches,
    flats,
    images,
    judged_by,
    r_squared,
)
from outside_second.register import DIFFERENT, HOLDEN, IVANOV, KARPATHY, OWN, TAXONOMY, fault
from outside_second.trainings import learning, priced

INPUTS = "inputs and scaling"


@fault(
    INPUTS,
    HOLDEN,
    "pixels from 0 to 255 go into a network without normalisation, with SGD",
    "inputs are not normalised",
    "inputs are too large",
    judge=accuracy_of("digits", raw),
    right_judge=accuracy_of("digits"),
)
def pixels_as_they_are(wrong: bool) -> Setup:
    x, y, xv, yv = images(prepare=raw if wrong else standard)
    model = mlp(64, 64)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    INPUTS,
    "creativeworksofknowledge.com, eval mode: mismatched preprocessing",
    "training images are standardised, validation images are pixels from 0 to 255",
    DIFFERENT,
    "validation inputs are not normalised",
)
def only_training_standardised(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    if wrong:
        xv = raw(parts("digits").valid[0], "digits")
    model = mlp(64, activation=nn.Tanh)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


def with_the_wrong_numbers(pixels: np.ndarray, name: str) -> np.ndarray:
    return (unit(pixels, name) - 78.0) / 94.0


@fault(
    INPUTS,
    IVANOV,
    "pixels in 0..1 are standardised with the mean and deviation of those in 0..255",
    "inputs hardly vary",
    "inputs are normalised with the wrong statistics",
    "inputs are nearly constant",
    judge=accuracy_of("digits", with_the_wrong_numbers),
    right_judge=accuracy_of("digits"),
)
def wrong_statistics(wrong: bool) -> Setup:
    x, y, xv, yv = images(prepare=with_the_wrong_numbers if wrong else standard)
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


def floored(pixels: np.ndarray, name: str) -> np.ndarray:
    return (pixels // 255).astype(np.float32)


@fault(
    INPUTS,
    TAXONOMY,
    "integers are divided by // 255, which leaves ones where the pixel was full and else zeros",
    "integer division destroys the inputs",
    "most of the inputs are zero",
    "inputs hardly vary",
    judge=accuracy_of("fashion", floored),
    right_judge=accuracy_of("fashion", unit),
)
def floor_division(wrong: bool) -> Setup:
    x, y, xv, yv = images("fashion", floored if wrong else unit)
    return learning(x, y, (xv, yv), mlp(64, pixels=784))


def reshaped(pixels: np.ndarray, name: str) -> np.ndarray:
    stored = standard(pixels, name).transpose(0, 3, 1, 2)  # as in the file
    return stored.reshape(pixels.shape)


@fault(
    INPUTS,
    KARPATHY,
    "images (N, 3, 32, 32) become (N, 32, 32, 3) by reshape and not by transpose",
    "pixels are scrambled",
    "reshape instead of transpose",
    "channels and pixels are mixed up",
    epochs=5,
    judge=accuracy_of("cifar", reshaped),
    right_judge=accuracy_of("cifar"),
)
def reshaped_not_transposed(wrong: bool) -> Setup:
    x, y, xv, yv = images("cifar", reshaped if wrong else standard)
    model = conv(3, 12, True, 32)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y, 64), (xv, yv), F.cross_entropy, optimizer)


@fault(
    INPUTS,
    HOLDEN,
    "rooms, square metres, days and metres go into the network in their own units",
    "inputs are not normalised",
    "features have very different scales",
    epochs=12,
    judge=judged_by(flats, r_squared),
)
def units_as_they_are(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()
    first = nn.Identity() if wrong else nn.BatchNorm1d(4)
    model = nn.Sequential(first, nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    return priced(model, optimizer, x, y, xv, yv)


@fault(
    INPUTS,
    OWN,
    "features are standardised along each row, which mixes metres with rooms",
    "inputs are normalised along the wrong axis",
    "inputs hardly vary",
    epochs=12,
    judge=judged_by(flats, r_squared),
)
def standardised_by_row(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()

    class Rows(nn.Module):
        def forward(self, x: Any) -> Any:
            spread = x.var(axis=1, keepdims=True).sqrt()
            return (x - x.mean(axis=1, keepdims=True)) / spread

    first = Rows() if wrong else nn.BatchNorm1d(4)
    model = nn.Sequential(first, nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    return priced(model, optimizer, x, y, xv, yv)


@fault(
    INPUTS,
    IVANOV,
    "some flats have no distance, and NaN stands in its place",
    "NaN in the inputs",
    "the inputs are not finite",
    epochs=8,
    judge=judged_by(flats, r_squared),
)
def missing_values(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()
    x = x.copy()
    x[::173, 3] = np.nan if wrong else np.median(x[:, 3])
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)
    return priced(model, optimizer, x, y, xv, yv)


@fault(
    INPUTS,
    HOLDEN,
    "prices in cents as targets of squared error with plain SGD",
    "targets are not scaled",
    "targets are too large",
    "the loss is too large",
    epochs=10,
    judge=judged_by(flats, r_squared),
)
def prices_in_cents(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()
    scale = 100.0 if wrong else 0.01
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Any) -> Any:
            return self.inner(x) if self.training else self.inner(x) / scale

    whole = Scaled()

    def loss(said: Any, truth: Any) -> Any:
        return F.mse_loss(said, truth.reshape(-1, 1) * scale)

    def evaluate() -> float:
        return r_squared(answers(whole, xv), yv)

    return Setup(whole, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    INPUTS,
    OWN,
    "training images are read with rows and columns exchanged, validation images are not",
    DIFFERENT,
    "the axes of the images are swapped",
)
def turned_in_training(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    return learning(x.swapaxes(1, 2) if wrong else x, y, (xv, yv))
