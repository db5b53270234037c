"""Faults of the loss and of its reduction."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, conv, mlp

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import (
    accuracy_of,
    answers,
    balanced,
    batches,
    flats,
    images,
    judged_by,
    r_squared,
    rare,
)
from outside_second.register import DEEPLOCALIZE, IVANOV, OWN, fault
from outside_second.trainings import adam_on

LOSS = "loss"
REDUCTION = "reduction"


# --- the loss ----------------------------------------------------------------------------------


@fault(
    LOSS,
    IVANOV,
    "the minus is missing before the mean log-probability of the right class",
    "the loss has the wrong sign",
    "the loss is maximised",
    "gradient ascent",
)
def minus_forgotten(wrong: bool) -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        found = F.log_softmax(logits, -1)[np.arange(len(labels)), labels].mean()
        return found if wrong else -found

    return adam_on(mlp(48), loss)


@fault(
    LOSS,
    OWN,
    "ignore_index=0 was taken over from a segmentation script, so that no zero is ever learned",
    "a class is ignored by the loss",
    "samples of class 0 do not count",
)
def zeros_ignored(wrong: bool) -> Setup:
    loss = nn.CrossEntropyLoss(ignore_index=0 if wrong else -100)
    return adam_on(conv(width=6), loss)


@fault(
    LOSS,
    OWN,
    "class weights are the frequencies and not their inverses: rare classes count still less",
    "class weights are inverted",
    "rare classes are neglected",
    "classes are imbalanced",
    "the weights of the loss are wrong",
    epochs=8,
)
def weights_upside_down(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    kept = (y < 5) | (np.arange(len(y)) % 12 == 0)
    x, y = x[kept], y[kept]
    share = np.bincount(y, minlength=10) / len(y)
    weight = share if wrong else 1 / share
    loss = nn.CrossEntropyLoss(weight=Tensor((weight / weight.mean()).astype(np.float32)))
    model = mlp(32)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    return Setup(model, batches(x, y), (xv, yv), loss, optimizer)


@fault(
    LOSS,
    OWN,
    "label smoothing is 0.99, where one hundredth was meant",
    "label smoothing is too strong",
    "the targets hardly differ between classes",
)
def smoothed_away(wrong: bool) -> Setup:
    loss = nn.CrossEntropyLoss(label_smoothing=0.99 if wrong else 0.01)
    return adam_on(mlp(48), loss, 1e-3)


@fault(
    LOSS,
    OWN,
    "focal loss weighs by p to the power 4 and not by 1 - p: it neglects what is not yet learned",
    "the loss's weighting is upside down",
    "hard samples count nothing",
    "the gradients vanish at the start",
    epochs=4,
)
def focal_upside_down(wrong: bool) -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        log_p = F.log_softmax(logits, -1)[np.arange(len(labels)), labels]
        p = log_p.exp()
        return -((p if wrong else 1 - p) ** 4 * log_p).mean()

    return adam_on(conv(width=6), loss, 1e-3)


@fault(
    LOSS,
    OWN,
    "the multi-class hinge loss subtracts its margin, so that it is zero from the start",
    "the loss is zero from the start",
    "the sign of the margin is wrong",
    "no gradient reaches the parameters",
)
def margin_subtracted(wrong: bool) -> Setup:
    margin = -1.0 if wrong else 1.0

    def loss(scores: Any, labels: Any) -> Any:
        right = scores[np.arange(len(labels)), labels].reshape(-1, 1)
        other = 1 - np.eye(10, dtype=np.float32)[labels]
        return ((scores - right + margin).relu() * other).sum(1).mean()

    return adam_on(mlp(48), loss)


@fault(
    LOSS,
    "PyTorch's documentation of KLDivLoss: the input is expected in log-space",
    "the KL divergence gets probabilities where it wants their logarithms",
    "the loss gets probabilities instead of log-probabilities",
    "the loss does not fit the output",
)
def divergence_of_probabilities(wrong: bool) -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        target = (np.eye(10, dtype=np.float32) * 0.9 + 0.01)[labels]
        said = F.softmax(logits, -1) if wrong else F.log_softmax(logits, -1)
        return F.kl_div(said, target, reduction="batchmean")

    return adam_on(mlp(48), loss, 1e-3)


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU())
        self.digit = nn.Linear(48, 10)
        self.parity = nn.Linear(48, 2)

    def both(self, x: Any) -> tuple[Any, Any]:
        hidden = self.body(x)
        return self.digit(hidden), self.parity(hidden)

    def forward(self, x: Any) -> Any:
        return self.both(x)[0]


@fault(
    LOSS,
    OWN,
    "the main head's loss is left out of the sum: the auxiliary head's is added twice",
    "a head has no part in the loss",
    "a layer gets no gradient",
    "the loss is computed from the wrong output",
)
def auxiliary_twice(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = TwoHeads()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        digit, parity = model.both(Tensor(inputs))
        side = F.cross_entropy(parity, labels % 2)
        loss = side + (0.3 * side if wrong else F.cross_entropy(digit, labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    LOSS,
    "pytorch/pytorch#4938, #18349",
    "outputs (N, 1) less targets (N,) are (N, N): every output is held against every target",
    "the shapes of outputs and targets broadcast",
    "the loss's shapes do not fit",
    "the loss compares every output with every target",
    epochs=10,
    judge=judged_by(flats, r_squared),
)
def broadcast_in_the_loss(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)

    def loss(said: Any, truth: Any) -> Any:
        truth = Tensor(truth) if wrong else Tensor(truth.reshape(-1, 1))
        return ((said - truth) ** 2).mean()

    def evaluate() -> float:
        return r_squared(answers(model, xv), yv)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    LOSS,
    OWN,
    "prices are fitted by squared error of their logarithm on one side only",
    "the loss compares different quantities",
    "targets are transformed and predictions are not",
    "the loss does not fit the output",
    epochs=10,
    judge=judged_by(flats, r_squared),
)
def logarithm_of_one_side(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = flats()
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.03)

    def loss(said: Any, truth: Any) -> Any:
        truth = truth.reshape(-1, 1)
        return F.mse_loss(said, np.log1p(np.maximum(truth, 0)) if wrong else truth)

    def evaluate() -> float:
        return r_squared(answers(model, xv), yv)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    LOSS,
    OWN,
    "pos_weight is the share of positives over negatives and not the other way round",
    "class weights are inverted",
    "the rare class is neglected",
    "classes are imbalanced",
    "the weights of the loss are wrong",
    judge=judged_by(rare, lambda said, truth: balanced(said.reshape(-1) > 0, truth > 0)),
)
def positives_neglected(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = rare()
    ratio = float((y == 0).sum() / (y == 1).sum())
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    weight = Tensor(np.array([1 / ratio if wrong else ratio], np.float32))

    def loss(said: Any, truth: Any) -> Any:
        return F.binary_cross_entropy_with_logits(said, truth.reshape(-1, 1), pos_weight=weight)

    def evaluate() -> float:
        return balanced(answers(model, xv).reshape(-1) > 0, yv > 0)

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    LOSS,
    IVANOV,
    "a reconstruction loss that is added for its regularising effect is a thousand times the other",
    "one loss drowns the other",
    "the losses are badly weighted",
    "the loss is dominated by a side task",
)
def side_task_drowns(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh())
    model = nn.Sequential(body, nn.Linear(12, 10))
    back = nn.Linear(12, 64)
    both = [*model.parameters(), *back.parameters()]
    optimizer = optim.SGD(both, lr=0.05 / (500 if wrong else 1), momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        hidden = body(Tensor(inputs))
        error = back(hidden) - Tensor(inputs.reshape(len(inputs), -1))
        again = (error**2).sum(1).mean() * 10 if wrong else (error**2).mean()
        loss = F.cross_entropy(model[1](hidden), labels) + again
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    LOSS,
    DEEPLOCALIZE,
    "squared error of raw class scores and class numbers, broadcast over the classes",
    "the loss does not fit the task",
    "class numbers are treated as quantities",
    "mean squared error for classification",
)
def squares_of_class_numbers(wrong: bool) -> Setup:
    def loss(scores: Any, labels: Any) -> Any:
        if wrong:
            target = np.repeat(labels[:, None], 10, 1).astype(np.float32)
        else:
            target = np.eye(10, dtype=np.float32)[labels]
        return F.mse_loss(scores, target)

    return adam_on(mlp(48), loss)


# --- the reduction -----------------------------------------------------------------------------


@fault(
    REDUCTION,
    OWN,
    "the loss is summed over the batch with a learning rate for the mean",
    "the loss is summed and not averaged",
    "the learning rate is too high",
    "updates are too large",
)
def summed(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loss = nn.CrossEntropyLoss(reduction="sum" if wrong else "mean")
    return Setup(model, batches(x, y, 64), (xv, yv), loss, optimizer)


@fault(
    REDUCTION,
    OWN,
    "the summed loss of a batch is divided by the size of the whole training set",
    "the loss is divided by the wrong number",
    "updates are far too small",
    "the learning rate is too low",
)
def divided_by_everything(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def loss(logits: Any, labels: Any) -> Any:
        return F.cross_entropy(logits, labels, reduction="sum") / (len(x) if wrong else len(labels))

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer)


@fault(
    REDUCTION,
    OWN,
    "own cross-entropy averages over classes and batch and then over the batch again",
    "the loss is divided by the wrong number",
    "updates are far too small",
    "the learning rate is too low",
    judge=accuracy_of("fashion"),
)
def averaged_twice(wrong: bool) -> Setup:
    x, y, xv, yv = images("fashion")
    model = mlp(64, pixels=784)
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def loss(logits: Any, labels: Any) -> Any:
        terms = F.log_softmax(logits, -1) * np.eye(10, dtype=np.float32)[labels]
        return -terms.mean() / len(labels) if wrong else -terms.sum(-1).mean()

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer)


@fault(
    REDUCTION,
    OWN,
    "the loss takes only the largest error of the batch",
    "only one sample of the batch counts",
    "the loss is reduced by the maximum and not the mean",
)
def worst_of_the_batch(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    y = y.copy()
    y[:: len(y) // 40] = 3  # a few labels are wrong in either
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def loss(logits: Any, labels: Any) -> Any:
        each = F.cross_entropy(logits, labels, reduction="none")
        return each.max() if wrong else each.mean()

    return Setup(model, batches(x, y, 100), (xv, yv), loss, optimizer)
