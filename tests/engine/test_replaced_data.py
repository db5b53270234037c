"""What is assigned to `.data` and `.grad`, or written into a tensor, and its gradient then."""

import copy
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from helpers import close, normal

import minires
from minires import Tensor, nn, no_grad, optim, structures
from minires.nn import functional as F

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("write", ["[:]", "[0]", "copy_", "fill_"])
def test_a_gradient_is_not_lost_by_writing_into_another_tensor(write):
    w, plain = Tensor([1.0, 2.0], requires_grad=True), Tensor(np.zeros(2, np.float32))
    value = {"[:]": w * 3, "[0]": w.sum(), "copy_": w, "fill_": w.sum()}[write]

    def assign(value):
        if write == "[:]":
            plain[:] = value
        elif write == "[0]":
            plain[0] = value
        else:
            getattr(plain, write)(value)

    with pytest.raises(ValueError, match=r"would lose the gradient: use minires\.where"):
        assign(value)
    close(plain, [0, 0])
    assign(value.detach())
    with no_grad():
        assign(value)
    assert plain.numpy()[0] != 0


def test_data_of_another_kind_has_gradients_of_that_kind():
    p = nn.Parameter(np.ones(3, np.float32))
    p.data = p.data.astype(np.float64)
    (p * Tensor(np.full(3, 1 / 3))).sum().backward()
    assert p.grad.dtype == np.float64
    p = nn.Parameter(np.ones(1, np.float32))
    p.data = np.ones(4, np.float32)
    (p * 2).sum().backward()
    close(p.grad, [2, 2, 2, 2])
    layer = nn.Linear(3, 2)
    layer.weight.data, layer.bias.data = np.ones((3, 4), np.float32), np.zeros(4, np.float32)
    layer(Tensor(normal(2, 3))).sum().backward()
    assert (layer.weight.grad.shape, layer.bias.grad.shape) == ((3, 4), (4,))
    frozen = nn.Parameter(np.ones(2, np.float32)).requires_grad_(False)
    frozen.data = np.ones(3, np.float32)
    frozen.requires_grad_(True)
    (frozen * 2).sum().backward()
    close(frozen.grad, [2, 2, 2])


def test_data_that_no_gradient_could_have_is_refused():
    p = nn.Parameter(np.ones(2, np.float32))
    with pytest.raises(TypeError, match=r"data of int64 \(2,\) cannot take the place of float32"):
        p.data = np.ones(2, np.int64)
    result = p * 2
    with pytest.raises(TypeError, match="of which the graph expects a gradient"):
        result.data = np.ones(3, np.float32)
    result.data = np.zeros(2, np.float32)
    result.sum().backward()
    close(p.grad, [2, 2])


def test_hooks_survive_a_change_of_dtype():
    layer, seen = nn.Linear(2, 2), []
    layer.weight.register_hook(lambda g: seen.append(g.dtype))
    layer.to(dtype="float64")
    layer(Tensor(normal(1, 2))).sum().backward()
    assert seen == [np.float64]


@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.float64, np.uint8])
def test_an_assigned_gradient_has_the_tensors_dtype(dtype):
    p = nn.Parameter(np.zeros(1, np.float32))
    p.grad = Tensor(np.array([200], dtype))
    assert p.grad.dtype == np.float32
    optimizer = optim.Adam([p])
    optimizer.step()
    close(optimizer.state[0]["exp_avg_sq"], [40.0], 1e-6)


def test_grad_takes_an_array_as_upstream_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    close(minires.grad(x * x, x, np.array([1, 10])), [2, 40])


def test_a_hook_is_removed_once():
    x = Tensor([1.0], requires_grad=True)
    seen = []
    removers = [x.register_hook(seen.append) for _ in range(2)]
    removers[0]()
    removers[0]()
    (x * 2).sum().backward()
    assert len(seen) == 1
    layer = nn.ReLU()
    remove = layer.register_forward_hook(lambda *_: seen.append("forward"))
    remove()
    remove()


# ---------------------------------------------------------------------- modules


def test_a_module_is_appended_after_the_last_name():
    layers = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 3))
    layers[1] = None
    layers.append(nn.Identity())
    assert [type(layer).__name__ for layer in layers] == ["Linear", "Linear", "Identity"]
    some = nn.ModuleList([nn.ReLU(), nn.Identity()])
    delattr(some, "0")
    some.append(nn.Linear(1, 1))
    assert [name for name, _ in some.named_children()] == ["1", "2"]


@pytest.mark.parametrize(
    "make",
    [
        lambda y: Pair(y, y * 2),
        lambda y: (y, y * 2),
        lambda y: [y, {"b": y * 2}],
        lambda y: OrderedDict(a=y, b=y * 2),
        lambda y: {"a": y, "other": 3, "b": (y * 2, None)},
    ],
)
def test_what_a_module_returns_stays_what_it_is_under_a_backward_hook(make):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return make(self.layer(x))

    net, x, seen = Net(), Tensor(normal(1, 2), requires_grad=True), []
    plain = net(x)
    net.register_full_backward_hook(lambda module, coming, going: seen.append(going))
    hooked = net(x)
    assert type(hooked) is type(plain)
    assert structures.mapped(type, hooked) == structures.mapped(type, plain)
    first, last = (
        [t for t in structures.leaves(out) if isinstance(t, Tensor)][-1] for out in (plain, hooked)
    )
    close(first, last)
    last.sum().backward()
    assert len(seen) == 1
    assert sum(g is not None for g in seen[0]) == 1
    close(next(g for g in seen[0] if g is not None), np.ones((1, 2)))


# ---------------------------------------------------------------------- edges of shapes and dtypes


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize(("channels", "filters"), [(0, 4), (3, 0), (0, 0)])
def test_a_convolution_of_no_channels_is_an_empty_sum(size, channels, filters):
    x = Tensor(normal(2, 8, 8, channels), requires_grad=True)
    w = Tensor(normal(size, size, channels, filters), requires_grad=True)
    out = F.conv2d(x, w, padding=size // 2, stride=2)
    assert out.shape == (2, 4, 4, filters)
    close(out, np.zeros(out.shape))
    out.sum().backward()
    close(x.grad, np.zeros(x.shape))
    close(w.grad, np.zeros(w.shape))


def test_relu_of_long_doubles():
    x = Tensor(np.array([-1, 2], np.longdouble), requires_grad=True)
    F.relu(x).sum().backward()
    close(x.grad, [0, 1])


def test_pooling_of_truth_values_is_refused():
    with pytest.raises(TypeError, match="max_pool2d wants numbers, got bool"):
        F.max_pool2d(Tensor(np.ones((1, 4, 4, 1), bool)), 2)


def test_an_integer_parameter_is_copied():
    table = nn.Parameter(np.array([1, 2]), requires_grad=False)
    again = copy.deepcopy(table)
    assert type(again) is nn.Parameter
    assert not again.requires_grad
    close(again, [1, 2])


@pytest.mark.parametrize("kind", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), optim.Adam])
def test_a_parameters_state_follows_it(kind):
    """A parameter's steps are those that it would have had alone."""
    a, b, alone = (nn.Parameter(np.ones(2, np.float32)) for _ in range(3))
    both, single = kind([a, b]), kind([alone])
    for step in range(4):
        if step == 2:
            both.param_groups[0]["params"].pop(0)
        if step == 3:
            both.param_groups[0]["params"].insert(0, nn.Parameter(np.ones(5, np.float32)))
        for parameter in (b, alone):
            parameter.grad = Tensor(np.array([1.0, 3.0], np.float32))
        a.grad = Tensor(np.full(2, 100, np.float32))
        both.step()
        single.step()
        close(b, alone)
    restored = kind([nn.Parameter(np.ones(5, np.float32)), nn.Parameter(b.data.copy())])
    restored.load_state_dict(both.state_dict())
