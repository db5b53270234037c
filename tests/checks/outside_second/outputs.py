"""Faults of what the model puts out for the loss."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from outside.setups import Setup, conv, mlp

from minires import nn, optim
from minires.nn import functional as F
from outside_second.material import (
    answers,
    attributes,
    batches,
    circles,
    flats,
    images,
    judged_by,
    r_squared,
)
from outside_second.register import HOLDEN, KARPATHY, OWN, TAXONOMY, fault
from outside_second.trainings import adam_on

OUTPUT = "output activation"
TWICE = "softmax is applied twice"


@fault(
    OUTPUT,
    KARPATHY,
    "the model ends with softmax, and cross-entropy takes the softmax of that",
    TWICE,
    "the loss wants logits and gets probabilities",
    epochs=4,
)
def softmax_twice(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    if wrong:
        model = nn.Sequential(model, nn.Softmax(-1))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


class Looped(nn.Module):
    """Layers from a loop."""

    def __init__(self, last: Any) -> None:
        super().__init__()
        widths = [64, 32, 32, 10]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(widths)])
        self.last = last

    def forward(self, x: Any) -> Any:
        x = x.reshape(x.shape[0], -1)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.last(self.layers[-1](x))


@fault(
    OUTPUT,
    TAXONOMY,
    "the loop that builds the layers puts a ReLU behind the last one too",
    "ReLU on the outputs",
    "the output activation does not fit the loss",
    "outputs are dead",
)
def relu_at_the_end(wrong: bool) -> Setup:
    model = Looped(nn.ReLU() if wrong else nn.Identity())
    return adam_on(model, F.cross_entropy)


@fault(
    OUTPUT,
    TAXONOMY,
    "the model ends with a sigmoid, the loss takes logits, and above 0 counts as yes",
    "the loss wants logits and gets probabilities",
    "sigmoid is applied twice",
    "the decision threshold does not fit the output",
    judge=judged_by(circles, lambda said, truth: float(((said[:, 0] > 0) == truth).mean())),
    epochs=10,
)
def sigmoid_twice(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = circles()
    layers = [nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 1)]
    model = nn.Sequential(*layers, *([nn.Sigmoid()] if wrong else []))
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def loss(said: Any, labels: Any) -> Any:
        return F.binary_cross_entropy_with_logits(said, labels[:, None].astype(np.float32))

    def evaluate() -> float:
        return float(((answers(model, xv)[:, 0] > 0) == yv).mean())

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    OUTPUT,
    "ttsugriy.github.io, Stage 3: common mistakes (softmax on the wrong axis)",
    "log-softmax runs over the batch and not over the classes",
    "softmax over the wrong axis",
    "samples of a batch influence one another",
)
def softmax_over_the_batch(wrong: bool) -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        return F.nll_loss(F.log_softmax(logits, 0 if wrong else -1), labels)

    return adam_on(mlp(32), loss)


@fault(
    OUTPUT,
    "runebook.dev, PyTorch's Softmax and CrossEntropyLoss",
    "negative log-likelihood is given probabilities and not their logarithms",
    "the loss wants log-probabilities and gets probabilities",
    "the logarithm is missing",
)
def likelihood_of_probabilities(wrong: bool) -> Setup:
    last = nn.Softmax(-1) if wrong else nn.LogSoftmax(-1)
    x, y, xv, yv = images()
    model = nn.Sequential(mlp(32, 32), last)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    return Setup(model, batches(x, y), (xv, yv), F.nll_loss, optimizer)


@fault(
    OUTPUT,
    HOLDEN,
    "prices of hundreds are to come out of a tanh",
    "the output activation cannot reach the targets",
    "the output is saturated",
    "targets are not scaled",
    epochs=10,
    judge=judged_by(flats, r_squared),
)
def prices_from_tanh(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()
    layers = [nn.BatchNorm1d(4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1)]
    model = nn.Sequential(*layers, *([nn.Tanh()] if wrong else []))
    optimizer = optim.Adam(model.parameters(), lr=0.03)

    def loss(said: Any, truth: Any) -> Any:
        return F.mse_loss(said, truth.reshape(-1, 1))

    def evaluate() -> float:
        return r_squared(answers(model, xv), yv)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    OUTPUT,
    OWN,
    "logits are divided by a temperature of 1000, left from distillation",
    "logits are scaled down too far",
    "the temperature is wrong",
    "gradients are too small",
    "the learning rate is too low",
)
def too_hot(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    temperature = 1000.0 if wrong else 2.0

    def loss(logits: Any, labels: Any) -> Any:
        return F.cross_entropy(logits / temperature, labels)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer)


@fault(
    OUTPUT,
    OWN,
    "dropout with p = 0.8 sits behind the last layer and erases logits",
    "dropout on the outputs",
    "dropout is too strong",
)
def dropped_logits(wrong: bool) -> Setup:
    drop = nn.Dropout(0.8)
    layers = [nn.Flatten(), nn.Linear(64, 48), nn.ReLU()]
    last = nn.Linear(48, 10)
    model = nn.Sequential(*layers, *([last, drop] if wrong else [nn.Dropout(0.2), last]))
    return adam_on(model, F.cross_entropy, 1e-3)


@fault(
    OUTPUT,
    OWN,
    "four properties that may hold together come out of a softmax",
    "softmax for a multi-label task",
    "the output activation does not fit the loss",
    judge=judged_by(attributes, lambda said, truth: float(((said > 0.5) == truth).mean())),
)
def properties_compete(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = attributes()
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 48),
        nn.ReLU(),
        nn.Linear(48, 4),
        nn.Softmax(-1) if wrong else nn.Sigmoid(),
    )
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def evaluate() -> float:
        return float(((answers(model, xv) > 0.5) == yv).mean())

    train = batches(x, y)
    return Setup(model, train, (xv, yv), F.binary_cross_entropy, optimizer, None, evaluate)


@fault(
    OUTPUT,
    OWN,
    "scores are clamped to 0..1 before the loss, and no gradient passes where they leave that",
    "outputs are clamped",
    "outputs are saturated",
    "the gradient is cut off",
)
def clamped(wrong: bool) -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        scores = logits.clip(0, 1) if wrong else logits
        return F.mse_loss(scores, np.eye(10, dtype=np.float32)[labels])

    return adam_on(mlp(48), loss)
