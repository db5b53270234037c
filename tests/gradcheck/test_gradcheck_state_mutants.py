"""Mistakes that no gradient shows: conventions, state, optimisers. Tests of exact values find them.

Numbers go on from those of `mutants`. Each check is held by the library's own class, and every
mutant of it is found.
"""

from contextlib import nullcontext

import numpy as np
import pytest
from definitions import cross_entropy as loss_by_definition
from helpers import leaf, normal, positive
from optim import formulas

import minires
from minires import Tensor, nn, ops, optim
from minires.engine import op

pytestmark = pytest.mark.slow

# ---------------------------------------------------------------------- 31 to 37: batch norm


class Norm(nn.BatchNorm2d):
    """Batch norm written out; `wrong` is the number of a mistake."""

    def __init__(self, wrong, *args, **options):
        super().__init__(*args, **options)
        self.wrong = wrong

    def forward(self, x):
        wrong, axes = self.wrong, (0,) if self.wrong == 37 else (0, 1, 2)
        batch = self.training or wrong == 35
        mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
        count = x.size / mean.size
        if self.training or wrong == 34:
            unbiased = var.data * (1 if wrong == 31 else count / (count - 1))
            share = 1 - self.momentum if wrong == 33 else self.momentum
            for running, new in ((self.running_mean, mean.data), (self.running_var, unbiased)):
                new = new.mean(axis=(0, 1, 2))
                running.data[...] = (1 - share) * running.data + share * new
        if wrong == 32:
            var = var * (count / (count - 1))
        if not batch:
            if wrong == 36:  # the right value with the gradient of training
                value = (x.detach() - self.running_mean) / (self.running_var + self.eps) ** 0.5
                slope = (x - mean) / (var + self.eps) ** 0.5
                return (value + slope - slope.detach()) * self.weight + self.bias
            mean, var = self.running_mean, self.running_var
        return (x - mean) / (var + self.eps) ** 0.5 * self.weight + self.bias


def norm_is_right(make):
    """Three batches in training, then an evaluation and its gradient, in plain NumPy beside it."""
    layer = make(3, momentum=0.3).to(dtype="float64")
    gamma, beta = positive(3), normal(3)
    layer.weight.data[...], layer.bias.data[...] = gamma, beta
    mean, var = np.zeros(3), np.ones(3)
    fine = True
    for step in range(3):
        x = 2 * normal(4, 3, 2, 3, seed=step) + step
        rows = x.reshape(-1, 3)
        wanted = (x - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5) * gamma + beta
        fine &= np.allclose(layer(Tensor(x)).numpy(), wanted, rtol=1e-9, atol=1e-9)
        mean, var = 0.7 * mean + 0.3 * rows.mean(0), 0.7 * var + 0.3 * rows.var(0, ddof=1)
    layer.eval()
    x, g = leaf(normal(2, 3, 2, 3, seed=9)), normal(2, 3, 2, 3, seed=8)
    out = layer(x)
    out.backward(g)
    scale = gamma / np.sqrt(var + 1e-5)
    fine &= np.allclose(out.numpy(), (x.numpy() - mean) * scale + beta, rtol=1e-9)
    fine &= np.allclose(x.grad.numpy(), g * scale, rtol=1e-9)
    fine &= np.allclose(layer.running_mean.numpy(), mean, rtol=1e-9)
    return fine and np.allclose(layer.running_var.numpy(), var, rtol=1e-9)


def test_batch_norm():
    assert norm_is_right(nn.BatchNorm2d)
    assert norm_is_right(lambda *args, **options: Norm(None, *args, **options))


@pytest.mark.parametrize("wrong", range(31, 38))
def test_batch_norm_mutants(wrong):
    assert not norm_is_right(lambda *args, **options: Norm(wrong, *args, **options))


# ---------------------------------------------------------------------- 42, 44, 48: conventions


def relu_is_right(relu):
    x = leaf([-1.0, 0.0, 2.0])
    relu(x).backward(np.array([3.0, 5.0, 7.0]))
    return x.grad.numpy().tolist() == [0.0, 0.0, 7.0]


def pooling_is_right(pool):
    x = leaf(np.array([1.0, 4.0, 4.0, 2.0]).reshape(1, 2, 2, 1))
    pool(x).backward(np.full((1, 1, 1, 1), 5.0))
    return x.grad.numpy().ravel().tolist() == [0.0, 5.0, 0.0, 0.0]


def cross_entropy_is_right(loss):
    logits = np.array([[1000.0, -1000.0, 0.0], [3.0, 1.0, 2.0]])
    target = np.eye(3)[[1, 2]]
    with np.errstate(all="ignore"):
        value = loss(logits, target=target)
    return np.allclose(value, loss_by_definition(logits, target=target), rtol=1e-12)


def test_conventions():
    assert relu_is_right(ops.relu)
    assert pooling_is_right(lambda x: nn.functional.max_pool2d(x, 2))
    assert cross_entropy_is_right(ops.cross_entropy)


def test_mutants_of_conventions():
    @op
    def at_zero(x):
        return x * (x > 0)

    @at_zero.vjp
    def at_zero_vjp(g, x):
        return (g * (x >= 0),)

    @op
    def all_ties(x):
        return x.max(axis=(1, 2), keepdims=True)

    @all_ties.vjp
    def all_ties_vjp(g, x):
        return (g * (x == x.max(axis=(1, 2), keepdims=True)),)

    def no_maximum(logits, target):
        total = np.exp(logits).sum(axis=-1, keepdims=True)
        return -(target * np.log(np.exp(logits) / total)).sum(axis=-1)

    assert not relu_is_right(at_zero)  # 42
    assert not pooling_is_right(all_ties)  # 44
    assert not cross_entropy_is_right(no_maximum)  # 48


# ---------------------------------------------------------------------- 62 to 64: the engine


def clearing_is_right(clear):
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    model(Tensor(normal(4, 2).astype(np.float32))).sum().backward()
    clear(model)
    return all(p.grad is None or not p.grad.numpy().any() for p in model.parameters())


def second_walk_is_right(backward):
    x = leaf([3.0])
    middle = x * x
    out = middle * 5
    gradients = []
    for _ in range(2):
        x.grad = None
        backward(out, middle, x)
        gradients.append(x.grad.item())
    return gradients == [30.0, 30.0]


def no_grad_is_right(context):
    with context():
        return not (leaf([1.0]) * 2).requires_grad


def test_engine():
    assert clearing_is_right(lambda model: model.zero_grad())
    assert second_walk_is_right(lambda out, middle, x: out.backward(retain_graph=True))
    assert no_grad_is_right(minires.no_grad)


def test_mutants_of_the_engine():
    def misses_the_last(model):
        for p in list(model.parameters())[:-1]:
            p.grad = None

    stale = []

    def adds_to_stale_gradients(out, middle, x):
        stale.append(minires.grad(out, middle, retain_graph=True))
        x.grad = minires.grad(middle, x, sum(stale[1:], stale[0]), retain_graph=True)

    assert not clearing_is_right(misses_the_last)  # 62
    assert not second_walk_is_right(adds_to_stale_gradients)  # 63
    assert not no_grad_is_right(nullcontext)  # 64


# ---------------------------------------------------------------------- 65 to 74: SGD


class Descent(optim.SGD):
    """SGD written out; `wrong` is the number of a mistake."""

    def __init__(self, wrong, *args, **options):
        super().__init__(*args, **options)
        self.wrong, self.shared = wrong, {}

    def step(self):
        super().step()
        if self.wrong == 74:
            for p in (p for group in self.param_groups for p in group["params"]):
                p.data = p.data.copy()

    def update(self, x, grad, state, group):
        wrong, lr, momentum = self.wrong, group["lr"], group["momentum"]
        decay = group["weight_decay"] * (-1 if wrong == 70 else 1)
        if wrong == 73:
            grad += decay * x
            d = grad.copy()
        else:
            d = grad.copy() if wrong in (71, 72) else grad + decay * x
        where = self.shared if wrong == 67 else state
        old = where.get(x.shape)
        if momentum:
            scaled = d * (lr if wrong == 65 else 1 - 0.5 if wrong == 68 and old is not None else 1)
            v = scaled if old is None or wrong == 66 else momentum * old + scaled
            where[x.shape] = v
            if group["nesterov"]:
                d = d + momentum * (old if wrong == 69 and old is not None else v)
            else:
                d = v
        if wrong == 72:
            d = d + decay * x
        x -= d * (1 if wrong == 65 and momentum and not group["nesterov"] else lr)
        if wrong == 71:
            x -= decay * x


def descent_is_right(make):
    """Six steps with a rate that changes, two parameters of one shape, and a view of the first."""
    fine = True
    for options in (
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"weight_decay": 0.1},
    ):
        starts = [normal(2, 3), normal(2, 3, seed=1)]
        params = [leaf(a) for a in starts]
        alias = params[0].data
        optimizer = make(params, lr=0.1, **options)
        rates = [0.1, 0.02, 0.3, 0.3, 0.05, 0.1]
        gradients = [[normal(2, 3, seed=10 * i + t) for t in range(6)] for i in range(2)]
        for t, lr in enumerate(rates):
            optimizer.param_groups[0]["lr"] = lr
            for p, of_all in zip(params, gradients, strict=True):
                p.grad = Tensor(of_all[t].copy())
            optimizer.step()
            fine &= all(
                np.array_equal(p.grad.numpy(), of_all[t])
                for p, of_all in zip(params, gradients, strict=True)
            )
        for p, start, of_all in zip(params, starts, gradients, strict=True):
            for at in np.ndindex(start.shape):
                path = formulas.sgd(start[at], [g[at] for g in of_all], rates, **options)
                fine &= bool(np.isclose(p.numpy()[at], path[-1], rtol=1e-12, atol=1e-12))
        fine &= np.array_equal(alias, params[0].numpy())
    return fine


def test_sgd():
    assert descent_is_right(optim.SGD)
    assert descent_is_right(lambda *args, **options: Descent(None, *args, **options))


@pytest.mark.parametrize("wrong", range(65, 75))
def test_sgd_mutants(wrong):
    assert not descent_is_right(lambda *args, **options: Descent(wrong, *args, **options))
