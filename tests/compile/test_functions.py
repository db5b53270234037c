"""Functions, bound methods and objects that use a network: what a plan knows of their weights."""

from collections import OrderedDict, namedtuple
from functools import partial

import numpy as np
import pytest
from helpers import close, normal

import minires
from minires import Tensor, nn, no_grad, ops
from minires.compile import RecordingError, StaleError

Pair = namedtuple("Pair", "a b")


class Caller:
    def __init__(self, net):
        self.parts = {"net": [net]}

    def __call__(self, x):
        return self.parts["net"][0](x)


def both(net, x):
    return net(x)


@pytest.mark.parametrize(
    "around",
    [
        lambda net: net.forward,
        lambda net: lambda x: net(x),
        lambda net: partial(both, net),
        Caller,
        lambda net: Caller(net).__call__,
    ],
)
def test_weights_are_found_behind_a_function(around):
    net = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    x, model = Tensor(normal(2, 6, 6, 4, dtype=np.float32)), around(net)
    plan = minires.compile(model, x)
    with no_grad():
        for parameter in net.parameters():
            parameter *= 2
    with pytest.raises(StaleError, match=r"\d\.(weight|bias) has changed"):
        plan(x)
    plan.refresh()
    close(plan(x), net(x), 1e-5, 1e-5)
    net.train()
    with pytest.raises(StaleError, match="in training mode"):
        plan(x)


def test_weights_that_were_replaced():
    net, x = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).eval(), Tensor(np.ones((1, 2), "f"))
    plan = minires.compile(net, x)

    def replaced():
        with pytest.raises(StaleError, match="does something else now: refresh"):
            plan(x)
        plan.refresh()
        close(plan(x), net(x), 1e-5, 1e-5)

    net[0].weight = nn.Parameter(np.full((2, 3), 9, np.float32))
    replaced()
    net[1] = nn.Linear(3, 4).eval()
    replaced()
    assert plan(x).shape == (1, 4)


def test_a_network_in_training_mode_behind_a_function():
    norm = nn.BatchNorm2d(3)
    with pytest.raises(RecordingError, match=r"norm \(BatchNorm2d\) is in training mode"):
        minires.compile(lambda x: norm(x), normal(4, 8, 8, 3, dtype=np.float32))
    assert norm.num_batches_tracked.item() == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
@pytest.mark.parametrize("name", ["exp", "sqrt", "tanh", "log"])
def test_functions_of_integers(name, dtype):
    x = np.array([0, 1, 5]).astype(dtype)
    function = getattr(ops, name)
    later = Tensor(np.array([3, 12, 10]).astype(dtype))
    plan = minires.compile(lambda x: function(x + x), Tensor(x + 1))
    wanted = function(later + later)
    assert plan(later).dtype == wanted.dtype
    close(plan(later), wanted, 1e-3)


@pytest.mark.parametrize(
    "make",
    [lambda x: Pair(x * 2, x + 1), lambda x: OrderedDict(a=x * 2), lambda x: [x * 2, (x, {1: x})]],
)
def test_structures_are_kept(make):
    x = Tensor([1.0, 2.0])
    plain = make(x)
    found = minires.compile(lambda x: make(x * 1), x)(x)
    assert type(found) is type(plain)
    assert minires.structures.mapped(type, found) == minires.structures.mapped(type, plain)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), (1, 2), -1])
@pytest.mark.parametrize("name", ["max", "min"])
def test_which_is_the_largest_is_found_for_each_input(name, axis):
    """Of small numbers the example would not show where it was."""

    def model(x):
        return minires.maximum(getattr(abs(x), name)(axis=axis, keepdims=True), 1.0) * x

    small, x = (scale * normal(4, 3, 5).astype(np.float32) for scale in (0.1, 10))
    close(minires.compile(model, small)(Tensor(x)), model(Tensor(x)), 1e-6)


def test_a_result_as_an_index():
    with pytest.raises(RecordingError, match="numbers"):
        minires.compile(lambda x: x[x.argmax(axis=0)], Tensor(np.array([0.1, 0.2, 0.15], "f")))


def test_settings_and_layers_that_change():
    x = np.array([[1.0, -2.0, 3.0]], np.float32)
    net = nn.Sequential(nn.Identity(), nn.ReLU()).eval()
    plan = minires.compile(net, x)
    for change in (
        lambda: setattr(net, "1", nn.LeakyReLU(0.5).eval()),
        lambda: setattr(net[1], "negative_slope", 0.25),
        lambda: net.append(nn.Linear(3, 2).eval()),
    ):
        change()
        with pytest.raises(StaleError, match="does something else now: refresh"):
            plan(x)
        plan.refresh()
        close(plan(x), net(Tensor(x)), 1e-6)


def test_tensors_in_plain_attributes_and_containers():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.shifts = Tensor([1.0, 1.0]), [{"b": Tensor([0.0, 1.0])}]

        def forward(self, x):
            return x * (self.scale * 1) + self.shifts[0]["b"]

    net, x = Scaled().eval(), np.ones((1, 2), np.float32)
    plan = minires.compile(net, x)
    for change in (
        lambda: net.scale.fill_(7),
        lambda: setattr(net, "scale", Tensor([9.0, 9.0])),
        lambda: net.shifts[0]["b"].fill_(3),
    ):
        change()
        with pytest.raises(StaleError, match="refresh"):
            plan(x)
        plan.refresh()
        close(plan(x), net(Tensor(x)), 1e-6)
    net.shifts[0]["b"] = Tensor([5.0, 5.0])  # a plain dict tells nobody
    plan.refresh()
    close(plan(x), net(Tensor(x)), 1e-6)


def test_one_array_for_two_inputs():
    zeros, x = np.zeros((1, 3), np.float32), np.array([[1.0, -2.0, 3.0]], np.float32)
    plan = minires.compile(lambda p, q: p - q, (zeros, zeros))
    close(plan(x, zeros), x)
    close(plan(x, x), zeros)


def write_zero(x):
    x[:, 0] = 0.0
    return x * 2


@pytest.mark.parametrize(
    ("model", "examples", "message"),
    [
        (write_zero, np.ones((1, 3), "f"), "writes to its input 0"),
        (nn.functional.cross_entropy, (np.zeros((2, 3), "f"), np.zeros(2, int)), "input 1, of int"),
        (lambda i: Tensor([1.0, 2.0])[i] * 1, np.zeros(2, int), "input 0, of int64, takes no part"),
        (lambda x, m: x[m].sum(), (np.zeros(3, "f"), np.ones(3, bool)), "input 1, of bool"),
        (lambda x: (x.copy() + x).sqrt(), np.array([-1.0, -1.0], "f"), "differs from the model"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")
def test_what_an_example_of_equal_numbers_would_hide(model, examples, message):
    with pytest.raises(RecordingError, match=message):
        minires.compile(model, examples)


@pytest.mark.parametrize(
    "part",
    [
        lambda t: t[:, 1:3, 1:3],
        lambda t: t.swapaxes(1, 2),
        lambda t: t[:, ::2, ::2],
        lambda t: t.transpose(0, 3, 1, 2),
    ],
)
def test_a_mean_over_part_of_the_images(part):
    x = normal(2, 4, 4, 3, dtype=np.float32)
    plan = minires.compile(lambda t: part(t).mean(axis=(1, 2)), x)
    close(plan(x), part(Tensor(x)).mean(axis=(1, 2)), 1e-6, 1e-6)


def test_a_number_as_an_example():
    assert minires.compile(lambda x: x * 2 + 1, np.float32(3))(np.float32(4)).item() == 9
