"""Faults of evaluation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from outside.setups import Setup, accuracy, conv, mlp, parts, raw, standard

from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, answers, attributes, batches, images, judged_by
from outside_second.register import IVANOV, OWN, fault
from outside_second.trainings import every_other

JUDGING = "evaluation"


TWO = "two faults at once"


FALSE = "the evaluation is wrong"


def trained_and_judged(model: Any, evaluate: Any, lr: float = 3e-3) -> Setup:
    """Digits, and an evaluation of one's own."""
    x, y, xv, yv = images()
    optimizer = optim.Adam(model.parameters(), lr=lr)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, None, evaluate)


@fault(
    JUDGING,
    "bkong999/COVNet#12",
    "the evaluation goes through the training images and calls that validation accuracy",
    "evaluated on the training data",
    FALSE,
    "training and validation overlap",
    epochs=10,
    judge=accuracy_of("cifar", every_other),
)
def judged_by_training_images(wrong: bool) -> Setup:
    x, y, xv, yv = images("cifar", every_other)
    x, y = x[:800], y[:800]
    model = mlp(128, 64, pixels=768)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)

    def evaluate() -> float:
        return accuracy(model, x, y) if wrong else accuracy(model, xv, yv)

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, None, evaluate)


@fault(
    JUDGING,
    OWN,
    "the prediction is the largest value along the batch and not along the classes",
    "argmax over the wrong axis",
    FALSE,
)
def argmax_of_the_batch(wrong: bool) -> Setup:
    _, _, xv, yv = images()
    model = mlp(48)

    def evaluate() -> float:
        right = 0
        for i in range(0, 290, 10):
            logits = answers(model, xv[i : i + 10])
            right += int((logits.argmax(0 if wrong else 1) == yv[i : i + 10]).sum())
        return right / 290

    return trained_and_judged(model, evaluate)


@fault(
    JUDGING,
    OWN,
    "the validation data are shuffled between collecting predictions and collecting labels",
    "predictions and labels do not belong together",
    FALSE,
    "the validation order changes",
)
def shuffled_in_between(wrong: bool) -> Setup:
    _, _, xv, yv = images()
    model = conv(width=6)
    valid = batches(xv, yv, 50, shuffle=wrong)

    def evaluate() -> float:
        said = np.concatenate([answers(model, x).argmax(1) for x, _ in valid])
        truth = np.concatenate([y for _, y in valid])
        return float((said == truth).mean())

    return trained_and_judged(model, evaluate)


@fault(
    JUDGING,
    OWN,
    "the evaluation uses a copy of the model that was made at the start and never renewed",
    "evaluated on another model",
    FALSE,
    "the evaluated parameters never change",
)
def judged_a_copy(wrong: bool) -> Setup:
    _, _, xv, yv = images()
    model = mlp(48)
    shown = copy.deepcopy(model) if wrong else model
    return trained_and_judged(model, lambda: accuracy(shown, xv, yv))


@fault(
    JUDGING,
    IVANOV,
    "the evaluation forgets to standardise the pixels",
    "training and validation inputs are prepared differently",
    FALSE,
    "validation inputs are not normalised",
)
def pixels_in_the_evaluation(wrong: bool) -> Setup:
    pixels, truth = parts("digits").valid
    model = mlp(64, activation=nn.Tanh)
    prepare = raw if wrong else standard
    return trained_and_judged(model, lambda: accuracy(model, prepare(pixels, "digits"), truth))


@fault(
    JUDGING,
    OWN,
    "the evaluation runs the training step over the validation data, as it was copied from there",
    "trained on the validation data",
    "the evaluation changes the parameters",
    "training and validation overlap",
    epochs=10,
    judge=accuracy_of("cifar", every_other),
)
def trained_in_the_evaluation(wrong: bool) -> Setup:
    x, y, xv, yv = images("cifar", every_other)
    x, y = x[:800], y[:800]
    model = mlp(128, 64, pixels=768)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)

    def run(inputs: Any, labels: Any, update: bool) -> float:
        optimizer.zero_grad()
        logits = model(Tensor(inputs))
        loss = F.cross_entropy(logits, labels)
        if update:
            loss.backward()
            optimizer.step()
        return float((logits.numpy().argmax(1) == labels).mean())

    def step(inputs: Any, labels: Any) -> None:
        run(inputs, labels, True)

    def evaluate() -> float:
        found = [run(xv[i : i + 50], yv[i : i + 50], wrong) for i in range(0, len(xv), 50)]
        return float(np.mean(found))

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step, evaluate)


def exactly(said: np.ndarray, truth: np.ndarray) -> float:
    """The share of images of which all four properties are right."""
    return float(((said > 0) == (truth > 0)).all(1).mean())


@fault(
    JUDGING,
    OWN,
    "an image counts as right if any of its four properties is, where all have to be",
    FALSE,
    "the measure counts too much as right",
    "any instead of all",
    judge=judged_by(attributes, exactly),
    epochs=2,
)
def any_for_all(wrong: bool) -> Setup:
    (x, y), (xv, yv), _ = attributes()
    model = mlp(24)
    model[3] = nn.Linear(24, 4)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def evaluate() -> float:
        hit = (answers(model, xv) > 0) == (yv > 0)
        return float((hit.any(1) if wrong else hit.all(1)).mean())

    loss = F.binary_cross_entropy_with_logits
    return Setup(model, batches(x, y), (xv, yv), loss, optimizer, None, evaluate)


@fault(
    JUDGING,
    OWN,
    "batches of 100 and fewer are counted as the 128 of the training's batches",
    FALSE,
    "accuracy is divided by the wrong number",
)
def divided_wrongly(wrong: bool) -> Setup:
    _, _, xv, yv = images()
    model = mlp(48)

    def evaluate() -> float:
        right = seen = 0
        for i in range(0, len(yv), 100):
            batch = xv[i : i + 100]
            right += int((answers(model, batch).argmax(1) == yv[i : i + 100]).sum())
            seen += 128 if wrong else len(batch)
        return right / seen

    return trained_and_judged(model, evaluate)


@fault(
    JUDGING,
    OWN,
    "the evaluation leaves dropout on, as it only calls no_grad and thinks that this is enough",
    "evaluation in training mode",
    "eval() is missing",
    FALSE,
)
def no_grad_for_eval(wrong: bool) -> Setup:
    _, _, xv, yv = images()
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.7), nn.Linear(64, 32)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))

    def evaluate() -> float:
        if not wrong:
            model.eval()
        with no_grad():
            found = float((model(Tensor(xv)).numpy().argmax(1) == yv).mean())
        model.train()
        return found

    return trained_and_judged(model, evaluate)
