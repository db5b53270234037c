"""Healthy trainings for other tasks than classes, or with evaluations of their own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from outside.setups import Setup, accuracy, conv, mlp

import minires
from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import (
    answers,
    attributes,
    balanced,
    batches,
    flats,
    images,
    judged_by,
    r_squared,
    rare,
)
from outside_second.register import healthy
from outside_second.trainings import stepped, trained

# --- other tasks -------------------------------------------------------------------------------


@healthy(
    "regression of a price by an output of one number",
    epochs=10,
    judge=judged_by(flats, r_squared),
    good=0.8,
)
def price() -> Setup:
    (x, y), (xv, yv), _ = flats()
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)

    def loss(said: Any, truth: Any) -> Any:
        return F.smooth_l1_loss(said, truth.reshape(-1, 1))

    def evaluate() -> float:
        return r_squared(answers(model, xv), yv)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@healthy(
    "four properties at once, any of which may hold",
    judge=judged_by(attributes, lambda said, truth: float(((said > 0) == (truth > 0)).mean())),
)
def four_properties() -> Setup:
    (x, y), (xv, yv), _ = attributes()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def evaluate() -> float:
        return float(((answers(model, xv) > 0) == (yv > 0)).mean())

    loss = F.binary_cross_entropy_with_logits
    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@healthy(
    "one in twelve is positive, and counts eleven times as much",
    judge=judged_by(rare, lambda said, truth: balanced(said.reshape(-1) > 0, truth > 0)),
    good=0.75,
)
def rare_ones_weighted() -> Setup:
    (x, y), (xv, yv), _ = rare()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    weight = Tensor(np.array([11.0], np.float32))

    def loss(said: Any, truth: Any) -> Any:
        return F.binary_cross_entropy_with_logits(said, truth.reshape(-1, 1), pos_weight=weight)

    def evaluate() -> float:
        return balanced(answers(model, xv).reshape(-1) > 0, yv > 0)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


def rebuilt(model: Any) -> float:
    """How much of the images' variance an autoencoder gives back."""
    inputs = attributes()[2][0]
    return r_squared(answers(model, inputs), inputs)


@healthy("an autoencoder through 16 numbers: the targets are the inputs", 10, rebuilt, 0.7)
def autoencoder() -> Setup:
    x, _, xv, _ = images()
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16), nn.Linear(16, 64)
    )
    optimizer = optim.Adam(model.parameters(), lr=5e-3)

    def loss(said: Any, truth: Any) -> Any:
        return F.mse_loss(said, truth.reshape(len(truth), -1))

    def evaluate() -> float:
        return r_squared(answers(model, xv), xv)

    return Setup(model, batches(x, x), (xv, xv), loss, optimizer, None, evaluate)


# --- evaluations -------------------------------------------------------------------------------


@healthy("the evaluation asks for five shifted copies of each image and averages")
def shifted_copies() -> Setup:
    _, _, xv, yv = images()
    model = conv()

    def evaluate() -> float:
        ways = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)]
        said = sum(answers(model, np.roll(xv, way, (1, 2))) for way in ways)
        return float((said.argmax(1) == yv).mean())

    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)

    def compute(inputs: Any, labels: Any) -> Any:
        moved = np.roll(inputs, rng.integers(-1, 2, 2), (1, 2))
        return F.cross_entropy(model(Tensor(moved)), labels)

    return stepped(model, optimizer, compute, evaluate=evaluate)


@healthy("the evaluation leaves dropout on and averages twenty answers, to know how sure they are")
def dropout_twenty_times() -> Setup:
    _, _, xv, yv = images()
    layers = [nn.Flatten(), nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.3), nn.Linear(96, 10)]
    model = nn.Sequential(*layers)

    def evaluate() -> float:
        model.train()
        with no_grad():
            said = sum(F.softmax(model(Tensor(xv)), -1).numpy() for _ in range(20))
        return float((said.argmax(1) == yv).mean())

    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def compute(inputs: Any, labels: Any) -> Any:
        return F.cross_entropy(model(Tensor(inputs)), labels)

    return stepped(model, optimizer, compute, evaluate=evaluate)


@healthy("a running average of the weights is what is evaluated, in a copy")
def averaged_weights() -> Setup:
    _, _, xv, yv = images()
    model = mlp(64)
    average = copy.deepcopy(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def compute(inputs: Any, labels: Any) -> Any:
        with no_grad():
            for kept, p in zip(average.parameters(), model.parameters(), strict=True):
                kept.copy_(0.9 * kept + 0.1 * p)
        return F.cross_entropy(model(Tensor(inputs)), labels)

    return stepped(model, optimizer, compute, evaluate=lambda: accuracy(average, xv, yv))


@healthy("accuracy is counted by the class and averaged over the classes")
def mean_over_classes() -> Setup:
    _, _, xv, yv = images()
    model = mlp(64)
    optimizer = optim.RMSprop(model.parameters(), lr=2e-3, centered=True)
    setup = trained(model, optimizer)

    def evaluate() -> float:
        return balanced(answers(model, xv).argmax(1), yv)

    return Setup(model, setup.train, setup.valid, setup.loss, optimizer, None, evaluate)


@healthy("noise is drawn by the step itself and shrinks as the training goes on")
def shrinking_noise() -> Setup:
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    seen = 0

    def compute(inputs: Any, labels: Any) -> Any:
        nonlocal seen
        seen += 1
        noise = minires.randn(*inputs.shape) * (0.5 / (1 + seen / 50))
        return F.cross_entropy(model(Tensor(inputs) + noise), labels)

    return stepped(model, optimizer, compute)
