"""Faults of dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, mlp, standard, unit

from minires import Tensor, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images
from outside_second.register import OWN, fault
from outside_second.trainings import learning

DTYPE = "dtype"


@fault(
    DTYPE,
    OWN,
    "training inputs in 0..1 are cast to integers when batches are put together",
    "inputs are rounded to integers",
    "inputs lose their fractions",
    "the inputs have the wrong dtype",
    judge=accuracy_of("fashion", unit),
)
def cast_to_integers(wrong: bool) -> Setup:
    x, y, xv, yv = images("fashion", unit)

    def change(a: Any, b: Any) -> Any:
        return (a.astype(np.int64).astype(np.float32) if wrong else a), b

    return learning(x, y, (xv, yv), mlp(64, pixels=784), change=change)


@fault(
    DTYPE,
    "afiaka87/glide-finetune#6, keras-team/keras#11860",
    "the whole model is float16, in which small numbers such as Adam's eps are zero",
    "float16 is too coarse",
    "Adam's eps is zero in float16",
    "float16 weights",
    epochs=5,
    judge=accuracy_of("digits", lambda pixels, name: standard(pixels, name).astype(np.float16)),
    right_judge=accuracy_of("digits"),
)
def half_of_everything(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    if wrong:
        model.half()
        x, xv = x.astype(np.float16), xv.astype(np.float16)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    DTYPE,
    OWN,
    "labels are made truth values on the way, so that all digits but zero are one class",
    "labels are cast to truth values",
    "classes are merged",
    "most classes never come in training",
)
def labels_become_truth(wrong: bool) -> Setup:
    x, y, xv, yv = images()

    def change(a: Any, b: Any) -> Any:
        return a, (b.astype(bool).astype(np.int64) if wrong else b)

    return learning(x, y, (xv, yv), mlp(48), change=change)


@fault(
    DTYPE,
    OWN,
    "the loss is scaled up for float16 and the gradients are never scaled back",
    "gradients are scaled and not scaled back",
    "the loss is scaled",
    "updates are too large",
    "the learning rate is too high",
)
def scaled_and_not_back(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        (loss * 1024).backward()
        for p in model.parameters():
            p.grad = p.grad / (1 if wrong else 1024)
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)
