"""A layer and its ReLU in one operation: the same to the bit, and only where nobody looks."""

import numpy as np
import pytest
from helpers import normal

from minires import Tensor, engine, grad, manual_seed, models, nn
from minires.nn.rectified import LARGE, rectified

SIZE = (40, 16, 16, 16)  # more than LARGE
SMALL = (2, 4, 4, 16)


def batch_norm(training):
    layer = nn.BatchNorm2d(16)
    layer.weight.data[...] = normal(16, dtype=np.float32)
    layer.bias.data[...] = normal(16, seed=1, dtype=np.float32)
    return layer.train(training)


def inputs(layer, size=SIZE):
    count = 2 if isinstance(layer, nn.Add) else 1
    drawn = [normal(*size, seed=i, dtype=np.float32) + 0.3 for i in range(count)]
    return [Tensor(a, requires_grad=True) for a in drawn]


def operations(run):
    names = []
    with engine.observe(lambda op, arrays, out: names.append(op.name)):
        run()
    return names


LAYERS = {
    "training": lambda: batch_norm(True),
    "evaluation": lambda: batch_norm(False),
    "add": nn.Add,
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_one_pass_gives_the_bits_of_two(make):
    assert np.prod(SIZE) > LARGE
    found = []
    for apply in (rectified, lambda relu, layer, *xs: relu(layer(*xs))):
        layer = make()
        xs = inputs(layer)
        out = apply(nn.ReLU(), layer, *xs)
        g = Tensor(normal(*SIZE, seed=7, dtype=np.float32))
        wanted = [*xs, *layer.parameters()]
        state = [t.data for t in layer.state_dict().values()]
        found.append([out.data, *(t.data for t in grad(out, wanted, g)), *state])
    assert len(found[0]) == len(found[1])
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one, two)
    assert (found[0][0] == 0).mean() > 0.1  # it does rectify


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_large_arrays_take_one_operation_and_small_ones_two(make):
    layer, relu = make(), nn.ReLU()
    large, small = inputs(layer), inputs(layer, SMALL)
    fused = operations(lambda: rectified(relu, layer, *large))
    assert "relu" not in fused
    assert fused[-1].endswith("_relu")
    assert operations(lambda: rectified(relu, layer, *small))[-1] == "relu"


@pytest.mark.parametrize("register", ["forward_hook", "forward_pre_hook", "full_backward_hook"])
@pytest.mark.parametrize("which", ["relu", "layer"])
def test_a_hook_on_either_sees_what_it_asked_for(register, which):
    layer, relu, seen = nn.Add(), nn.ReLU(), []
    watched = {"relu": relu, "layer": layer}[which]
    getattr(watched, f"register_{register}")(lambda *given: seen.append(given[1:]))
    a, b = inputs(layer)
    rectified(relu, layer, a, b).sum().backward()
    assert len(seen) == 1
    if register == "forward_hook":
        (arguments, out) = seen[0]
        total = a.data + b.data
        assert np.array_equal(arguments[0].data, total if which == "relu" else a.data)
        assert np.array_equal(out.data, np.maximum(total, 0) if which == "relu" else total)


def test_layers_of_a_users_own_are_called_one_after_the_other():
    class Half(nn.ReLU):
        def forward(self, x):
            return super().forward(x) * 0.5

    layer = nn.Add()
    a, b = inputs(layer)
    expected = np.maximum(a.data + b.data, 0)
    assert np.array_equal(rectified(Half(), layer, a, b).data, expected * np.float32(0.5))
    relu = nn.ReLU()
    relu.forward = lambda x: x
    assert np.array_equal(rectified(relu, layer, a, b).data, a.data + b.data)
    assert np.array_equal(rectified(nn.ReLU(), nn.Identity(), a).data, np.maximum(a.data, 0))


@pytest.mark.parametrize("training", [True, False])
def test_a_network_gives_the_same_watched_or_not(training):
    logits = []
    for watched in (False, True):
        manual_seed(0)
        network = models.resnet20()
        network.train(training)
        for module in network.modules() if watched else ():
            module.register_forward_hook(lambda *given: None)
        x = Tensor(normal(12, 32, 32, 3, dtype=np.float32))
        y = network(x)
        y.sum().backward()
        logits.append([y.data, *(p.grad.data for p in network.parameters())])
    for one, two in zip(*logits, strict=True):
        assert np.array_equal(one, two)
