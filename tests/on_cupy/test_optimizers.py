"""Optimisers, schedules and clipping do on a GPU what they do on NumPy."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minires import Tensor, nn, optim
from on_cupy.cases import normal

STEPS = 4
SHAPES = [(3, 4), (4,)]

OPTIMIZERS = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "SGD with momentum": lambda ps: optim.SGD(
        ps, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.01
    ),
    "SGD with Nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01, weight_decay=0.01),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.01, amsgrad=True),
    "RMSprop": lambda ps: optim.RMSprop(ps, lr=0.01),
    "RMSprop, centred": lambda ps: optim.RMSprop(ps, lr=0.01, momentum=0.9, centered=True),
}
SCHEDULES = {
    "StepLR": lambda o: optim.StepLR(o, 2),
    "MultiStepLR": lambda o: optim.MultiStepLR(o, [1, 3]),
    "CosineAnnealingLR": lambda o: optim.CosineAnnealingLR(o, STEPS),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, max_lr=0.3, total_steps=STEPS + 1),
    "LinearWarmup": lambda o: optim.LinearWarmup(o, 2),
    "ExponentialLR": lambda o: optim.ExponentialLR(o, 0.9),
    "LambdaLR": lambda o: optim.LambdaLR(o, lambda step: 1 / (1 + step)),
    "SequentialLR": lambda o: optim.SequentialLR(
        o, [optim.LinearWarmup(o, 2), optim.ExponentialLR(o, 0.9)], [2]
    ),
}
BY_METRIC = {"ReduceLROnPlateau"}  # a step takes a number, which is on the host


def train(
    device: str, make: Callable[..., Any], schedule: Any = None, meanwhile: Any = None
) -> list[np.ndarray]:
    """The parameters after some steps with random gradients, the same for every device."""
    parameters = [nn.Parameter(normal(*shape)).to(device) for shape in SHAPES]
    parameters = [nn.Parameter(p.data) for p in parameters]
    optimizer = make(parameters)
    rates = None if schedule is None else schedule(optimizer)
    for step in range(STEPS):
        for p in parameters:
            p.grad = Tensor(normal(*p.shape, seed=step + 1)).to(device)
        if meanwhile is not None:
            meanwhile(parameters)
        optimizer.step()
        if rates is not None:
            rates.step()
    assert all(p.device.startswith(device) for p in parameters)
    return [p.numpy() for p in parameters]


def assert_same(make: Callable[..., Any], **options: Any) -> None:
    for got, wanted in zip(
        train("cuda", make, **options), train("cpu", make, **options), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_equals_numpys(gpu, name):
    assert_same(OPTIMIZERS[name])


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_equals_numpys(gpu, name):
    assert_same(OPTIMIZERS["SGD with momentum"], schedule=SCHEDULES[name])


def test_nothing_in_optim_is_left_out():
    def derived(base):
        return {n for n, c in vars(optim).items() if inspect.isclass(c) and issubclass(c, base)}

    assert derived(optim.Optimizer) - {"Optimizer"} == {n.split()[0].strip(",") for n in OPTIMIZERS}
    assert derived(optim.Schedule) - {"Schedule"} == SCHEDULES.keys() | BY_METRIC


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_by_norm_equals_numpys(gpu, limit):
    assert_same(OPTIMIZERS["SGD"], meanwhile=lambda ps: optim.clip_grad_norm_(ps, limit))


def test_clipping_by_value_equals_numpys(gpu):
    assert_same(OPTIMIZERS["SGD"], meanwhile=lambda ps: optim.clip_grad_value_(ps, 0.3))


def test_clipping_by_norm_waits_for_nothing(counting_gpu):
    parameter = nn.Parameter(counting_gpu.array(normal(3, 4)))
    parameter.grad = Tensor(counting_gpu.array(normal(3, 4, seed=1)))
    counting_gpu.start_counting()
    norm = optim.clip_grad_norm_([parameter], 0.5)
    assert counting_gpu.counted()["to_host"] == counting_gpu.counted()["synchronisations"] == 0
    np.testing.assert_allclose(float(norm), np.linalg.norm(normal(3, 4, seed=1)), rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_an_optimizers_state_moves_between_devices(gpu, name, first, then):
    def halves(device, other):
        weights = normal(3, 4)
        state = None
        for where in (device, other):
            p = nn.Parameter(Tensor(weights).to(where).data)
            optimizer = OPTIMIZERS[name]([p])
            if state is not None:
                optimizer.load_state_dict(state)
            for step in range(2):
                p.grad = Tensor(normal(3, 4, seed=step + 1)).to(where)
                optimizer.step()
            state, weights = optimizer.state_dict(), p.numpy().copy()
        return weights

    np.testing.assert_allclose(halves(first, then), halves("cpu", "cpu"), rtol=1e-12)
