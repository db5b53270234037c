"""The optimisers, schedules and clipping against PyTorch's, over 20 steps."""

import itertools
from inspect import isclass

import numpy as np
import pytest
import torch

from minires import Tensor, optim

STEPS = 20
SHAPES = [(3, 4), (4,), (3, 4)]


def combinations(**choices):
    """Every way to choose one value for each option."""
    return [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]


OPTIMIZERS = [
    *(
        ("SGD", o)
        for o in combinations(momentum=[0.0, 0.9], dampening=[0.0, 0.3], weight_decay=[0.0, 0.1])
    ),
    *(("SGD", o) for o in combinations(momentum=[0.9], nesterov=[True], weight_decay=[0.0, 0.1])),
    *(
        (name, o)
        for name in ("Adam", "AdamW")
        for o in combinations(
            betas=[(0.9, 0.999), (0.5, 0.7)],
            eps=[1e-8, 0.1],
            weight_decay=[0.0, 0.1],
            amsgrad=[False, True],
        )
    ),
    *(
        ("RMSprop", o)
        for o in combinations(
            alpha=[0.99, 0.6],
            eps=[1e-8, 0.1],
            weight_decay=[0.0, 0.1],
            momentum=[0.0, 0.9],
            centered=[False, True],
        )
    ),
    *((name, {}) for name in ("Adam", "AdamW", "RMSprop")),
]

SCHEDULES = {
    "StepLR": {"step_size": 6, "gamma": 0.3},
    "MultiStepLR": {"milestones": [15, 4, 9, 9], "gamma": 0.3},
    "CosineAnnealingLR": {"T_max": 7, "eta_min": 0.001},
    "OneCycleLR": {"max_lr": [0.1, 0.3], "total_steps": STEPS},
    "ExponentialLR": {"gamma": 0.9},
    "LambdaLR": {"lr_lambda": [lambda n: 1 / (1 + n), lambda n: 0.5 + n % 3]},
}


def both(dtype="float64"):
    """The same parameters here and in PyTorch."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    ours = [Tensor(a.copy(), requires_grad=True) for a in arrays]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    return ours, theirs


def give_gradients(ours, theirs, seed, scale=1.0):
    """The same gradients to both; the second parameter sometimes has none."""
    rng = np.random.default_rng(seed)
    for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        gradient = (scale * rng.normal(size=one.shape)).astype(one.dtype)
        without = i == 1 and seed % 4 == 0
        one.grad = None if without else Tensor(gradient)
        other.grad = None if without else torch.tensor(gradient)


def assert_equal(ours, theirs, dtype="float64"):
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one.data, other.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_optimizer(name, options, dtype):
    ours, theirs = both(dtype)
    one = getattr(optim, name)(ours, lr=0.1, **options)
    other = getattr(torch.optim, name)(theirs, lr=0.1, **options)
    for step in range(STEPS):
        rate = 0.05 * (1 + step % 3)
        one.param_groups[0]["lr"] = other.param_groups[0]["lr"] = rate
        give_gradients(ours, theirs, step)
        one.step()
        other.step()
        assert_equal(ours, theirs, dtype)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_float16(name, amsgrad):
    """To rounding: the two round their steps in different places."""
    ours, theirs = both("float16")
    one = getattr(optim, name)(ours, lr=0.1, betas=(0.5, 0.7), eps=1e-3, amsgrad=amsgrad)
    other = getattr(torch.optim, name)(theirs, lr=0.1, betas=(0.5, 0.7), eps=1e-3, amsgrad=amsgrad)
    for step in range(STEPS):
        give_gradients(ours, theirs, step)
        one.step()
        other.step()
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == "float16"
        np.testing.assert_allclose(mine.data, wanted.detach().numpy(), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD"])
def test_defaults(name):
    ours, theirs = both()
    required = {"lr": 0.1} if name == "SGD" else {}
    one = getattr(optim, name)(ours, **required)
    other = getattr(torch.optim, name)(theirs, **required)
    assert one.defaults.items() <= other.defaults.items()


def grouped(ours, theirs, name, **options):
    """Two groups of different rates and decays."""
    return (
        getattr(module, name)(
            [
                {"params": parameters[:1], "lr": 0.3},
                {"params": parameters[1:], "weight_decay": 0.1},
            ],
            lr=0.1,
            **options,
        )
        for module, parameters in ((optim, ours), (torch.optim, theirs))
    )


def compare(schedules, optimizers, ours, theirs, steps=STEPS):
    """Train both; compare rates, momentum and parameters at every step."""
    one, other = optimizers
    ours_schedule, theirs_schedule = schedules
    for step in range(steps):
        for mine, wanted in zip(one.param_groups, other.param_groups, strict=True):
            for key in {"lr", "momentum", "betas"} & set(mine):
                np.testing.assert_allclose(mine[key], wanted[key], rtol=1e-12)
        np.testing.assert_allclose(
            ours_schedule.get_last_lr(), theirs_schedule.get_last_lr(), rtol=1e-12
        )
        give_gradients(ours, theirs, step)
        one.step()
        other.step()
        assert_equal(ours, theirs)
        ours_schedule.step()
        theirs_schedule.step()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule(schedule, name):
    ours, theirs = both()
    options = {} if name == "Adam" else {"momentum": 0.9}
    one, other = grouped(ours, theirs, name, **options)
    settings = SCHEDULES[schedule]
    schedules = (
        getattr(optim, schedule)(one, **settings),
        getattr(torch.optim.lr_scheduler, schedule)(other, **settings),
    )
    compare(schedules, (one, other), ours, theirs)


ONE_CYCLES = combinations(
    total_steps=[None],
    epochs=[4],
    steps_per_epoch=[5],
    pct_start=[0.3, 0.01, 0.5],
    cycle_momentum=[False, True],
    div_factor=[25.0, 3.0],
    final_div_factor=[1e4, 7.0],
)


@pytest.mark.parametrize("settings", ONE_CYCLES)
def test_one_cycle(settings):
    ours, theirs = both()
    one, other = grouped(ours, theirs, "SGD", momentum=0.5)
    settings = {"max_lr": 0.2, "base_momentum": [0.3, 0.4], "max_momentum": 0.8, **settings}
    schedules = (
        optim.OneCycleLR(one, **settings),
        torch.optim.lr_scheduler.OneCycleLR(other, **settings),
    )
    compare(schedules, (one, other), ours, theirs)
    np.testing.assert_allclose(schedules[0].get_last_lr(), schedules[1].get_last_lr(), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's own chain passes an old argument
@pytest.mark.parametrize("schedule", ["StepLR", "MultiStepLR", "CosineAnnealingLR"])
@pytest.mark.parametrize("start_factor", [None, 0.01])
def test_warmup(schedule, start_factor):
    ours, theirs = both()
    one, other = grouped(ours, theirs, "SGD", momentum=0.9)
    start = {} if start_factor is None else {"start_factor": start_factor}
    rest = SCHEDULES[schedule]
    torch_schedules = torch.optim.lr_scheduler
    schedules = (
        optim.LinearWarmup(one, 5, **start, after=getattr(optim, schedule)(one, **rest)),
        torch_schedules.SequentialLR(
            other,
            [
                torch_schedules.LinearLR(other, **start, total_iters=5),
                getattr(torch_schedules, schedule)(other, **rest),
            ],
            milestones=[5],
        ),
    )
    compare(schedules, (one, other), ours, theirs)


def test_warmup_alone():
    ours, theirs = both()
    one, other = grouped(ours, theirs, "SGD")
    schedules = (
        optim.LinearWarmup(one, 5),
        torch.optim.lr_scheduler.LinearLR(other, total_iters=5),
    )
    compare(schedules, (one, other), ours, theirs)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("milestones", [[3, 9], [1, 2], [10, 30]])
def test_one_after_the_other(milestones):
    ours, theirs = both()
    one, other = grouped(ours, theirs, "SGD", momentum=0.9)
    schedules = []
    for module, optimizer in ((optim.lr_scheduler, one), (torch.optim.lr_scheduler, other)):
        parts = [
            module.ExponentialLR(optimizer, 0.8),
            module.CosineAnnealingLR(optimizer, T_max=7),
            module.StepLR(optimizer, step_size=4, gamma=0.5),
        ]
        schedules.append(module.SequentialLR(optimizer, parts, milestones))
    compare(schedules, (one, other), ours, theirs)


@pytest.mark.parametrize(
    "settings",
    combinations(
        mode=["min", "max"],
        patience=[0, 2],
        threshold=[1e-4, 0.2],
        threshold_mode=["rel", "abs"],
        cooldown=[0, 3],
        min_lr=[0.0, 0.02],
    ),
)
def test_plateau(settings):
    ours, theirs = both()
    one, other = grouped(ours, theirs, "SGD")
    mine = optim.ReduceLROnPlateau(one, factor=0.3, **settings)
    wanted = torch.optim.lr_scheduler.ReduceLROnPlateau(other, factor=0.3, **settings)
    rng = np.random.default_rng(1)
    for step in range(40):
        metric = float(rng.normal() + 2 / (1 + step) - 1)
        mine.step(metric if step % 2 else Tensor(metric, dtype="float64"))
        wanted.step(metric)
        for ours_group, theirs_group in zip(one.param_groups, other.param_groups, strict=True):
            np.testing.assert_allclose(ours_group["lr"], theirs_group["lr"], rtol=1e-12)
        if step == 15:  # restored, it goes on as it would have
            state = mine.state_dict()
            mine = optim.ReduceLROnPlateau(one, factor=0.3, **settings)
            mine.load_state_dict(state)


@pytest.mark.parametrize("norm_type", [1, 2, 3.5, 0.5, float("inf")])
def test_clipping_by_other_norms(norm_type):
    ours, theirs = both()
    for seed in range(4):
        give_gradients(ours, theirs, seed)
        norm = optim.clip_grad_norm_(ours, 0.7, norm_type)
        wanted = torch.nn.utils.clip_grad_norm_(theirs, 0.7, norm_type)
        np.testing.assert_allclose(norm, wanted.numpy(), rtol=1e-6)
        for one, other in zip(ours, theirs, strict=True):
            if one.grad is not None:
                np.testing.assert_allclose(one.grad.data, other.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-8, 0.1, 1e4])
def test_clipping(scale, dtype):
    ours, theirs = both(dtype)
    for seed in range(8):
        give_gradients(ours, theirs, seed, scale)
        norm = optim.clip_grad_norm_(ours, 0.7)
        wanted = torch.nn.utils.clip_grad_norm_(theirs, 0.7)
        np.testing.assert_allclose(norm, wanted.numpy(), rtol=1e-6)
        optim.clip_grad_value_(ours, 0.2)
        torch.nn.utils.clip_grad_value_(theirs, 0.2)
        for one, other in zip(ours, theirs, strict=True):
            if one.grad is not None:
                np.testing.assert_allclose(one.grad.data, other.grad.numpy(), rtol=1e-6)


def test_nothing_is_left_out():
    """Every optimiser and schedule is compared above."""
    classes = {name: value for name in optim.__all__ if isclass(value := getattr(optim, name))}
    optimizers = {n for n, c in classes.items() if issubclass(c, optim.Optimizer)} - {"Optimizer"}
    schedules = {n for n, c in classes.items() if issubclass(c, optim.Schedule)} - {"Schedule"}
    assert {name for name, _ in OPTIMIZERS} == optimizers
    others = {"LinearWarmup", "SequentialLR", "ReduceLROnPlateau"}
    assert SCHEDULES.keys() | others == schedules
    assert optimizers | schedules | {"Optimizer", "Schedule"} == classes.keys()
