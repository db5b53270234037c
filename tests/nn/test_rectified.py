"""Layers in one operation: the same to the bit, and only where nobody looks."""

import numpy as np
import pytest
from helpers import normal

from minires import Tensor, engine, grad, manual_seed, models, nn
from minires.nn.rectified import LARGE, rectified, rectified_sum

SIZE = (40, 16, 16, 16)  # more than LARGE
SMALL = (2, 4, 4, 16)


def batch_norm(training=True):
    layer = nn.BatchNorm2d(16)
    layer.weight.data[...] = normal(16, dtype=np.float32)
    layer.bias.data[...] = normal(16, seed=1, dtype=np.float32)
    return layer.train(training)


def inputs(count, size=SIZE):
    drawn = [normal(*size, seed=i, dtype=np.float32) + 0.3 for i in range(count)]
    return [Tensor(a, requires_grad=True) for a in drawn]


def operations(run):
    names = []
    with engine.observe(lambda op, arrays, out: names.append(op.name)):
        run()
    return names


def alone(layers, x):
    return rectified(layers["relu"], layers["norm"], x)


def with_shortcut(layers, x, shortcut):
    return rectified_sum(layers["relu"], layers["add"], layers["norm"], x, shortcut)


def one_by_one(layers, x, *shortcut):
    out = layers["norm"](x)
    return layers["relu"](layers["add"](out, *shortcut) if shortcut else out)


JOINED = {"alone": (alone, 1), "with a shortcut": (with_shortcut, 2)}


def layers(training=True):
    return {"norm": batch_norm(training), "add": nn.Add(), "relu": nn.ReLU()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("joined", "count"), JOINED.values(), ids=JOINED)
def test_one_pass_gives_the_bits_of_several(joined, count, training):
    assert np.prod(SIZE) > LARGE
    found = []
    for apply in (joined, one_by_one):
        some, xs = layers(training), inputs(count)
        out = apply(some, *xs)
        g = Tensor(normal(*SIZE, seed=7, dtype=np.float32))
        wanted = [*xs, *some["norm"].parameters()]
        state = [t.data for t in some["norm"].state_dict().values()]
        found.append([out.data, *(t.data for t in grad(out, wanted, g)), *state])
    assert len(found[0]) == len(found[1])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    assert (found[0][0] == 0).mean() > 0.1  # it does rectify


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("joined", "count"), JOINED.values(), ids=JOINED)
def test_large_arrays_take_one_operation_and_small_ones_several(joined, count, training):
    some = layers(training)
    fused = operations(lambda: joined(some, *inputs(count)))
    assert not {"relu", "add"} & set(fused[-2:])
    assert fused[-1].endswith("_relu")
    small = operations(lambda: joined(some, *inputs(count, SMALL)))
    assert small[-1] == "relu"
    assert (small[-2] == "add") == (count == 2)


@pytest.mark.parametrize("register", ["forward_hook", "forward_pre_hook", "full_backward_hook"])
@pytest.mark.parametrize(
    ("joined", "count", "which"),
    [(*JOINED["alone"], "norm"), (*JOINED["alone"], "relu")]
    + [(*JOINED["with a shortcut"], which) for which in ("norm", "add", "relu")],
)
def test_a_hook_on_any_sees_what_it_asked_for(register, joined, count, which):
    some, seen = layers(), []
    getattr(some[which], f"register_{register}")(lambda *given: seen.append(given[1:]))
    xs = inputs(count)
    joined(some, *xs).sum().backward()
    assert len(seen) == 1
    if register == "forward_hook":
        plain = layers()
        normal_x = plain["norm"](xs[0])
        total = plain["add"](normal_x, xs[1]) if count == 2 else normal_x
        before = {"norm": xs[0], "add": normal_x, "relu": total}[which]
        after = {"norm": normal_x, "add": total, "relu": plain["relu"](total)}[which]
        ((arguments, out),) = seen
        assert np.array_equal(arguments[0].data, before.data)
        assert np.array_equal(out.data, after.data)


def test_layers_of_a_users_own_are_called_one_after_the_other():
    class Half(nn.ReLU):
        def forward(self, x):
            return super().forward(x) * 0.5

    class Less(nn.Add):
        def forward(self, x, shortcut):
            return x - shortcut

    some, (x, shortcut) = layers(), inputs(2)
    normal_x = batch_norm()(x).data
    halved = with_shortcut(some | {"relu": Half()}, x, shortcut).data
    assert np.array_equal(halved, np.maximum(normal_x + shortcut.data, 0) * np.float32(0.5))
    less = with_shortcut(some | {"add": Less()}, x, shortcut).data
    assert np.array_equal(less, np.maximum(normal_x - shortcut.data, 0))
    relu = nn.ReLU()
    relu.forward = lambda x: x
    assert np.array_equal(alone(some | {"relu": relu}, x).data, normal_x)
    unchanged = alone(some | {"norm": nn.Identity()}, x).data
    assert np.array_equal(unchanged, np.maximum(x.data, 0))


def test_layers_in_one_anothers_places_do_what_they_do():
    (x, shortcut), norm = inputs(2), batch_norm(False)
    swapped = {"norm": nn.ReLU(), "add": nn.Add(), "relu": norm}
    rectified_x = np.maximum(x.data, 0)
    assert np.array_equal(alone(swapped, x).data, norm(Tensor(rectified_x)).data)
    total = Tensor(rectified_x + shortcut.data)
    assert np.array_equal(with_shortcut(swapped, x, shortcut).data, norm(total).data)
    assert (norm(total).data < 0).any()


@pytest.mark.parametrize("size", [SMALL, SIZE])
def test_a_wider_shortcut_is_not_narrowed(size):
    x, shortcut = inputs(2, size)
    exact = Tensor(shortcut.data.astype(np.float64))
    assert with_shortcut(layers(), x, exact).dtype == np.float64


def test_a_shortcut_of_another_shape_is_refused_by_the_add():
    x, _ = inputs(2)
    with pytest.raises(ValueError, match="give the shortcut a projection"):
        with_shortcut(layers(), x, Tensor(normal(16, dtype=np.float32)))


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
