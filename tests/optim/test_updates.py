"""Every optimiser against its formula, computed one number at a time."""

import formulas
import numpy as np
import pytest

from minires import Tensor
from minires.optim import SGD, Adam, AdamW, RMSprop

RATES = [0.1, 0.1, 0.02, 0.02, 0.3, 0.05, 0.05]  # up and down, so that its place in the rule shows
STEPS = len(RATES)

CASES = [
    (SGD, formulas.sgd, {}),
    (SGD, formulas.sgd, {"weight_decay": 0.2}),
    (SGD, formulas.sgd, {"momentum": 0.9}),
    (SGD, formulas.sgd, {"momentum": 0.9, "weight_decay": 0.2}),
    (SGD, formulas.sgd, {"momentum": 0.9, "dampening": 0.4, "weight_decay": 0.2}),
    (SGD, formulas.sgd, {"momentum": 0.8, "nesterov": True}),
    (SGD, formulas.sgd, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    (Adam, formulas.adam, {}),
    (Adam, formulas.adam, {"betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.3}),
    (Adam, formulas.adam, {"betas": (0.5, 0.6), "weight_decay": 0.3, "amsgrad": True}),
    (AdamW, formulas.adamw, {}),
    (AdamW, formulas.adamw, {"betas": (0.5, 0.6), "amsgrad": True}),
    (AdamW, formulas.adamw, {"betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.3}),
    (RMSprop, formulas.rmsprop, {}),
    (RMSprop, formulas.rmsprop, {"alpha": 0.7, "eps": 0.1, "weight_decay": 0.3}),
    (RMSprop, formulas.rmsprop, {"alpha": 0.7, "momentum": 0.9, "weight_decay": 0.3}),
    (RMSprop, formulas.rmsprop, {"alpha": 0.7, "centered": True, "weight_decay": 0.3}),
    (RMSprop, formulas.rmsprop, {"alpha": 0.7, "centered": True, "momentum": 0.6}),
]


def name_of(value):
    if isinstance(value, dict):
        return "-".join(f"{k}={v}" for k, v in value.items()) or "defaults"
    return value.__name__ if isinstance(value, type) else ""


def expected_path(rule, start, gradients, **options):
    """What `rule` makes of every number of `start`: an array (steps, *shape)."""
    numbers = [
        rule(
            float(start[i]),
            [None if g is None else float(g[i]) for g in gradients],
            RATES,
            **options,
        )
        for i in np.ndindex(start.shape)
    ]
    return np.moveaxis(np.array(numbers), -1, 0).reshape(STEPS, *start.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer_class", "rule", "options"), CASES, ids=name_of)
def test_follows_its_formula(optimizer_class, rule, options, dtype):
    rng = np.random.default_rng(0)
    # Two parameters of one shape, which must not share their state; one without a gradient for a
    # while, first and later on; one of another shape in between.
    shapes = [(2, 3), (4,), (2, 3)]
    starts = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    gradients = [[rng.normal(size=s).astype(dtype) for _ in RATES] for s in shapes]
    gradients[1][0] = gradients[1][3] = gradients[2][4] = None

    parameters = [Tensor(start.copy(), requires_grad=True) for start in starts]
    optimizer = optimizer_class(parameters, lr=RATES[0], **options)
    paths = [[] for _ in shapes]
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATES[step]
        for parameter, own in zip(parameters, gradients, strict=True):
            gradient = own[step]
            parameter.grad = None if gradient is None else Tensor(gradient)
        optimizer.step()
        for parameter, path in zip(parameters, paths, strict=True):
            path.append(parameter.data.copy())

    rtol = 1e-12 if dtype == "float64" else 2e-5
    for start, own, path in zip(starts, gradients, paths, strict=True):
        np.testing.assert_allclose(
            np.array(path), expected_path(rule, start, own, **options), rtol=rtol, atol=rtol
        )
    for parameter, state in zip(parameters, optimizer.state, strict=True):
        assert parameter.dtype == dtype
        assert all(v.dtype == dtype for v in state.values() if isinstance(v, np.ndarray))


def test_sgd_by_hand():
    """Three steps with pencil and paper: decay 0.5, momentum 0.5, rates 1, 1 and 0.5."""
    x = Tensor([4.0], requires_grad=True)
    optimizer = SGD([x], lr=1.0, momentum=0.5, weight_decay=0.5)
    values = []
    for rate, gradient in [(1.0, 2.0), (1.0, 0.0), (0.5, 1.0)]:
        optimizer.param_groups[0]["lr"] = rate
        x.grad = Tensor([gradient])
        optimizer.step()
        values.append(x.item())
    # d = 2 + 2 = 4,    v = 4,           x = 4 - 4 = 0
    # d = 0 + 0 = 0,    v = 2 + 0 = 2,   x = 0 - 2 = -2
    # d = 1 - 1 = 0,    v = 1 + 0 = 1,   x = -2 - 0.5 = -2.5
    assert values == [0.0, -2.0, -2.5]


def test_adams_first_step_is_the_rate_whatever_the_gradients_size():
    x = Tensor(np.array([1.0, 1.0, 1.0]), requires_grad=True)
    x.grad = Tensor(np.array([1e-3, -5.0, 1e6]))
    Adam([x], lr=0.25).step()
    np.testing.assert_allclose(x.data, [0.75, 1.25, 0.75], rtol=1e-5)


@pytest.mark.parametrize("gradient", [0.1, 1.0, 3.7, 1e4])
def test_centred_rmsprop_survives_a_constant_gradient(gradient):
    """Its variance tends to 0 and rounding makes it negative: no root may be taken of that."""
    x = Tensor([1.0], requires_grad=True)
    optimizer = RMSprop([x], lr=1e-3, alpha=0.5, centered=True)
    for _ in range(60):
        x.grad = Tensor([gradient])
        optimizer.step()
    assert np.isfinite(x.data).all()


@pytest.mark.parametrize(("optimizer_class", "rule", "options"), CASES, ids=name_of)
def test_any_layout_and_size(optimizer_class, rule, options):
    """Transposed parameters, gradients of another layout, single numbers and empty arrays."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=(4, 3))
    gradient = np.broadcast_to(rng.normal(size=4), (3, 4))  # read-only, stride 0
    scalar, empty = np.array(2.0), np.zeros((0, 5))
    parameters = [Tensor(a, requires_grad=True) for a in (base.T, scalar, empty)]
    start = base.T.copy()
    optimizer = optimizer_class(parameters, lr=RATES[0], **options)
    for rate in RATES:
        optimizer.param_groups[0]["lr"] = rate
        for parameter, g in zip(parameters, (gradient, np.array(0.5), empty), strict=True):
            parameter.grad = Tensor(g)
        optimizer.step()
    np.testing.assert_allclose(
        base.T, expected_path(rule, start, [gradient] * STEPS, **options)[-1], rtol=1e-12
    )
    expected = rule(2.0, [0.5] * STEPS, RATES, **options)[-1]
    np.testing.assert_allclose(scalar, expected, rtol=1e-12)
