"""Trainings with two faults at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, accuracy, mlp, raw, standard

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images
from outside_second.parameters import Listed
from outside_second.register import DEEPLOCALIZE, KARPATHY, OWN, TAXONOMY, fault

TWO = "two faults at once"


@fault(
    TWO,
    KARPATHY,
    "softmax before cross-entropy, and a hundredth of the learning rate that SGD needs",
    "softmax is applied twice",
    "the loss wants logits and gets probabilities",
    "the learning rate is too low",
)
def softmax_and_slow(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    if wrong:
        model = nn.Sequential(model, nn.Softmax(-1))
    optimizer = optim.SGD(model.parameters(), lr=1e-3 if wrong else 0.1)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    TWO,
    TAXONOMY,
    "hidden layers in a plain list, and gradients that are never set to zero",
    "layers kept in a list are not registered",
    "parameters missing from the optimiser",
    "zero_grad is missing",
    "gradients accumulate over steps",
)
def listed_and_accumulated(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Listed(wrong)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        if not wrong:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    TWO,
    DEEPLOCALIZE,
    "pixels from 0 to 255 into sigmoids, with SGD at a low rate",
    "inputs are not normalised",
    "inputs are too large",
    "activations are saturated",
    "the learning rate is too low",
    judge=accuracy_of("digits", raw),
    right_judge=accuracy_of("digits"),
)
def pixels_into_sigmoids(wrong: bool) -> Setup:
    x, y, xv, yv = images(prepare=raw if wrong else standard)
    model = mlp(48, 48, activation=nn.Sigmoid if wrong else nn.ReLU)
    optimizer = optim.SGD(model.parameters(), lr=0.01 if wrong else 0.1)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    TWO,
    OWN,
    "labels are shuffled against the images, and the evaluation uses the training data",
    "inputs and labels do not belong together",
    "evaluated on the training data",
    "labels are random",
)
def random_and_unseen(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    if wrong:
        y = np.random.default_rng(0).permutation(y)
    model = mlp(96, 96)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def evaluate() -> float:
        return accuracy(model, x, y) if wrong else accuracy(model, xv, yv)

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, None, evaluate)
