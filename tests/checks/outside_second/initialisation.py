"""Faults of how weights start."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, conv, mlp

from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import SPIRALS, batches, images, spirals
from outside_second.register import DEEPCRIME, HOLDEN, OWN, RASCHKA, fault
from outside_second.trainings import digits_with, toy_with

INIT = "initialisation"


def redrawn(model: Any, draw: Any, layers: type = nn.Linear) -> Any:
    for module in model.modules():
        if isinstance(module, layers):
            draw(module)
    return model


@fault(
    INIT,
    RASCHKA,
    "all weights start at zero",
    "weights start at zero",
    "all units of a layer are alike",
    "no gradient reaches a part of the model",
)
def all_zero(wrong: bool) -> Setup:
    model = mlp(32, 32)
    if wrong:
        redrawn(model, lambda m: nn.init.zeros_(m.weight))
    return digits_with(model)


@fault(
    INIT,
    DEEPCRIME,
    "all filters start with the same number, so that they stay the same",
    "all units of a layer are alike",
    "constant initialisation",
    "symmetry is not broken",
)
def all_alike(wrong: bool) -> Setup:
    model = conv(width=6)
    if wrong:
        redrawn(model, lambda m: nn.init.constant_(m.weight, 0.05), (nn.Conv2d, nn.Linear))
    return digits_with(model)


@fault(
    INIT,
    OWN,
    "each unit's weights are drawn by a generator that is seeded anew, so that all units are alike",
    "all units of a layer are alike",
    "symmetry is not broken",
    "the random generator is seeded again and again",
    judge=SPIRALS,
    epochs=15,
)
def seeded_anew(wrong: bool) -> Setup:
    def draw(layer: Any) -> None:
        fan_in, units = layer.weight.shape
        rows = [
            np.random.default_rng(0 if wrong else 1 + u).normal(size=fan_in) for u in range(units)
        ]
        with no_grad():
            layer.weight.copy_(Tensor((np.stack(rows, 1) * fan_in**-0.5).astype(np.float32)))

    model = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3)
    )
    for layer in (model[0], model[2]):
        draw(layer)
        nn.init.zeros_(layer.bias)
    return toy_with(model, spirals, 0.01)


@fault(
    INIT,
    HOLDEN,
    "weights with a standard deviation of 1 saturate every tanh",
    "weights start too large",
    "activations are saturated",
    epochs=4,
)
def drawn_too_large(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(128, 128, 128, activation=nn.Tanh)
    if wrong:
        redrawn(model, lambda m: nn.init.normal_(m.weight, std=1.0))
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    INIT,
    HOLDEN,
    "weights with a standard deviation of 0.001 let no signal through five layers",
    "weights start too small",
    "activations vanish",
    "gradients vanish",
)
def drawn_too_small(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48, 48, 48, 48)
    if wrong:
        redrawn(model, lambda m: nn.init.normal_(m.weight, std=1e-3))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    INIT,
    "ttsugriy.github.io, Stage 3: common mistakes (dead ReLUs)",
    "biases of -10 keep every ReLU shut",
    "dead ReLUs",
    "units are dead",
    "biases start too low",
    "no gradient reaches a part of the model",
)
def shut_from_the_start(wrong: bool) -> Setup:
    model = conv(width=6)
    if wrong:
        nn.init.constant_(model[3].bias, -10.0)
    return digits_with(model)
