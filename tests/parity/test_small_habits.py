"""Lines of scripts that are none of an operation's: keys, counts, elements, single writes."""

import math

import numpy as np
import pytest
import torch

import minires
from minires import nn, optim

LIBRARIES = {minires: nn, torch: torch.nn}
X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def in_both(program):
    """What a program of (library, nn) gives in each."""
    return [program(library, theirs) for library, theirs in LIBRARIES.items()]


PROGRAMS = {
    "3 in x": lambda t, _: [n in t.tensor([1, 3]) for n in (3, 2)],
    "x in x": lambda t, _: [t.tensor(n) in t.tensor([[1, 3]]) for n in (3, 2)],
    "a float in": lambda t, _: [n in t.tensor(X) for n in (float(X[1, 1]), 9.5)],
    "f-string": lambda t, _: f"{t.tensor(3)} {t.tensor(0.5)} {t.tensor(True)} {t.tensor(7):3d}",
    "step_size": lambda t, n: schedule(t, n, lambda o: t.optim.lr_scheduler.StepLR(o, 2.0)),
    "T_max": lambda t, n: schedule(t, n, lambda o: t.optim.lr_scheduler.CosineAnnealingLR(o, 4.0)),
    "one": lambda t, n: len(t.optim.SGD([{"params": n.Linear(2, 3).bias}], 1).param_groups),
    "x[0] = 0": lambda t, _: written(t, lambda w: w.__setitem__(0, 0.0)),
    "x[:, 1] += 1": lambda t, _: written(t, lambda w: w.__setitem__((slice(None), 1), w[:, 1] + 1)),
    "x[mask] = 2": lambda t, _: written(t, lambda w: w.__setitem__(w > 0, 2.0)),
    "x[:] = y": lambda t, _: written(t, lambda w: w.__setitem__(slice(None), w * 2)),
    "fans": lambda t, n: n.init._calculate_fan_in_and_fan_out(n.Linear(5, 3).weight),
    "of filters": lambda t, n: n.init._calculate_fan_in_and_fan_out(n.Conv2d(4, 6, 3).weight),
}  # fmt: skip


def schedule(t, layers, make):
    optimizer = t.optim.SGD(layers.Linear(2, 2).parameters(), lr=0.5)
    made = make(optimizer)
    rates = []
    for _ in range(5):
        optimizer.step()
        made.step()
        rates.append(round(made.get_last_lr()[0], 6))
    return rates


def written(t, write):
    w = t.tensor(X, requires_grad=True)
    with t.no_grad():
        write(w)
    assert w.is_leaf
    with pytest.raises((ValueError, RuntimeError)):
        write(w)
    (w * w).sum().backward()
    return [w.detach().numpy().round(5).tolist(), w.grad.numpy().round(5).tolist()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_in_both(name):
    ours, theirs = in_both(PROGRAMS[name])
    assert ours == theirs


def test_a_write_under_no_grad_is_seen_by_the_backward_pass():
    for t in LIBRARIES:
        w = t.tensor(X, requires_grad=True)
        loss = (w * w).sum()
        with t.no_grad():
            w[0] = 0.0
        with pytest.raises(RuntimeError):
            loss.backward()


def test_a_loss_of_ones_own():
    values = []
    for t, layers in LIBRARIES.items():
        namespace = {}
        exec(f"from {t.__name__}.nn.modules.loss import _Loss", namespace)

        class Huge(namespace["_Loss"]):
            def __init__(self, reduction="mean"):
                super().__init__(reduction=reduction)

            def forward(self, x, y):
                return (x - y).abs().sum() if self.reduction == "sum" else (x - y).abs().mean()

        for reduction in ("mean", "sum"):
            values.append(float(Huge(reduction)(t.tensor(X), t.tensor(X * 2))))
        assert isinstance(layers.MSELoss(), namespace["_Loss"])
    np.testing.assert_allclose(values[:2], values[2:], 1e-6)


def test_modules_of_layers_are_found():
    for name, layer in (("dropout", "Dropout"), ("flatten", "Flatten"), ("loss", "MSELoss")):
        namespace = {}
        exec(f"from minires.nn.modules.{name} import {layer}", namespace)
        assert namespace[layer] is getattr(nn, layer)


def test_keys_that_only_pytorchs_dicts_have(tmp_path):
    net = nn.Linear(2, 3)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    optim.StepLR(optimizer, 2)
    with pytest.raises(KeyError, match=r"no 'initial_lr' here: write schedule.base_lrs\[0\]"):
        optimizer.param_groups[0]["initial_lr"]
    with pytest.raises(KeyError, match=r"^'momentun'$"):
        optimizer.param_groups[0]["momentun"]
    assert optimizer.param_groups[0].get("initial_lr") is None
    path = tmp_path / "net.npz"
    minires.save(net.state_dict(), path, epoch=3)
    loaded = minires.load(path)
    for key in ("state_dict", "epoch", "optimizer"):
        with pytest.raises(KeyError, match=rf"no '{key}' here: write net.load_state_dict\("):
            loaded[key]
    net.load_state_dict(loaded)
    assert minires.load(path, net).metadata["epoch"] == 3


def test_a_rate_that_is_a_tensor():
    with pytest.raises(TypeError, match=r"lr must be a number, .*: write lr.item\(\)"):
        optim.SGD(nn.Linear(2, 3).parameters(), lr=minires.tensor(0.1))
    with pytest.raises(TypeError, match="step_size must be an integer, got inf"):
        optim.StepLR(optim.SGD(nn.Linear(2, 3).parameters(), lr=0.1), math.inf)
