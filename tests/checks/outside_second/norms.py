"""Faults of batch norm, dropout and the two modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, accuracy, mlp

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images
from outside_second.register import IVANOV, KARPATHY, OWN, fault
from outside_second.trainings import Normed, digits_with

NORM = "batch norm and modes"


@fault(
    NORM,
    "discuss.pytorch.org 7146, What does model.eval() do for batchnorm layer?",
    "batch norm's momentum is 0.001, so that its averages are still those of the start",
    "running statistics lag behind",
    "batch norm's momentum is wrong",
    "training and evaluation disagree",
    epochs=3,
)
def averages_too_slow(wrong: bool) -> Setup:
    model = Normed(0.001 if wrong else 0.1)
    x, y, xv, yv = images()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, xv = x * 4 + 2, xv * 4 + 2
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    NORM,
    KARPATHY,
    "the model is switched to evaluation after the first validation and never back",
    "training in evaluation mode",
    "train() is missing",
    "batch norm does not learn its statistics",
)
def never_back_to_training(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Normed(drop=0.2)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    if wrong:
        model.eval()

    def step(inputs: Any, labels: Any) -> float:
        if wrong:
            model.eval()
        else:
            model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x * 20, y), (xv * 20, yv), F.cross_entropy, optimizer, step)


@fault(
    NORM,
    KARPATHY,
    "the evaluation, one image at a time, runs in training mode",
    "evaluation in training mode",
    "eval() is missing",
    "training and evaluation disagree",
)
def judged_in_training_mode(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Normed()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def evaluate() -> float:
        model.train(wrong)
        found = accuracy(model, xv, yv, size=1 if wrong else 100)
        model.train()
        return found

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, None, evaluate)


class Functional(nn.Module):
    """Dropout as a function."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 10)
        self.wrong = wrong

    def forward(self, x: Any) -> Any:
        h = F.relu(self.one(x.reshape(x.shape[0], -1)))
        h = F.dropout(h, 0.7) if self.wrong else F.dropout(h, 0.7, self.training)
        return self.two(h)


@fault(
    NORM,
    "karpathy/nanoGPT#240, delip/PyTorchNLPBook#28",
    "F.dropout is called without self.training and drops in evaluation as well",
    "dropout in evaluation mode",
    "the model is random in evaluation mode",
    "training and evaluation disagree",
)
def always_dropping(wrong: bool) -> Setup:
    return digits_with(Functional(wrong), 2e-3)


@fault(
    NORM,
    OWN,
    "batch norm's weights start at zero in a network without a shortcut: every ReLU is shut",
    "units are dead",
    "weights start at zero",
    "no gradient reaches a part of the model",
)
def zero_gamma_without_shortcut(wrong: bool) -> Setup:
    model = Normed()
    if wrong:
        for bn in (model.bn1, model.bn2):
            nn.init.zeros_(bn.weight)
    return digits_with(model)


@fault(
    NORM,
    OWN,
    "batch norm with two images a batch, whose statistics are hardly any",
    "batches are too small for batch norm",
    "training and evaluation disagree",
    epochs=2,
)
def norm_of_two(wrong: bool) -> Setup:
    return digits_with(Normed(), 3e-3, 2 if wrong else 32)


@fault(
    NORM,
    IVANOV,
    "each batch has images of one class only, and batch norm takes away what they share",
    "batches are not mixed",
    "batches of a single class",
    "training and evaluation disagree",
)
def batches_of_one_class(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = Normed()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    rng = np.random.default_rng(0)
    order = np.argsort(y, kind="stable") if wrong else rng.permutation(len(y))
    parts = np.split(order, 40)
    rng.shuffle(parts)
    train = [(x[part], y[part]) for part in parts]
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer)


@fault(
    NORM,
    OWN,
    "batch norm stands behind the last layer and normalises the logits without weights of its own",
    "batch norm on the outputs",
    "the outputs cannot grow",
    judge=accuracy_of("digits"),
)
def normed_logits(wrong: bool) -> Setup:
    model = nn.Sequential(mlp(48), nn.BatchNorm1d(10, affine=False) if wrong else nn.Identity())
    return digits_with(model, 2e-3, 16)
