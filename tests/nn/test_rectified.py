"""Layers in one operation: the same to the bit, and only where nobody looks."""

import numpy as np
import pytest
from helpers import normal

from minires import Tensor, engine, grad, manual_seed, models, nn, no_grad
from minires.nn.rectified import LARGE, convolved, rectified, rectified_sum

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


# ---------------------------------------------------------------------- with the convolution


def block(bias=False, **norm):
    """A strided convolution and what follows it, in evaluation, with statistics of their own."""
    manual_seed(0)
    conv = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=bias)
    bn = nn.BatchNorm2d(16, **norm).eval()
    for seed, tensor in enumerate((bn.weight, bn.bias, bn.running_mean)):
        if tensor is not None:
            tensor.data[...] = normal(16, seed=seed, dtype=np.float32)
    if bn.running_var is not None:
        bn.running_var.data[...] = normal(16, seed=3, dtype=np.float32) ** 2 + 0.1
    return {"conv": conv, "norm": bn, "relu": nn.ReLU(), "add": nn.Add()}


def picture(dtype=np.float32):
    return Tensor(normal(2, 9, 7, 3, dtype=dtype)), Tensor(normal(2, 5, 4, 16, dtype=dtype))


ENDS = {
    "norm": ((), "conv2d_scale_shift"),
    "relu": (("relu",), "conv2d_scale_shift"),
    "add": (("relu", "add"), "conv2d_scale_shift_add"),
}


def both_ways(layers, end, x, shortcut):
    """By `convolved`, and layer by layer."""
    names, _ = ENDS[end]
    rest = [shortcut] if "add" in names else []
    joined = convolved(x, layers["conv"], layers["norm"], *(layers[name] for name in names), *rest)
    y = layers["norm"](layers["conv"](x))
    y = layers["add"](y, shortcut) if "add" in names else y
    return joined, layers["relu"](y) if names else y


@pytest.mark.parametrize("end", ENDS)
def test_in_evaluation_without_gradients_the_convolution_is_in_the_same_operation(end):
    some, given = block(), picture()
    with no_grad():
        names = operations(lambda: both_ways(some, end, *given))
        joined, apart = both_ways(some, end, *given)
    assert names[0] == ENDS[end][1]
    assert names[1] == "conv2d"
    assert np.array_equal(joined.data, apart.data)
    assert joined.data.std() > 0.1


def test_with_gradients_or_in_training_each_layer_is_its_own():
    some, given = block(), picture()
    assert "conv2d" in operations(lambda: both_ways(some, "add", *given))[0:1]
    some["norm"].train()
    with no_grad():
        assert operations(lambda: both_ways(some, "add", *given))[0] == "conv2d"


def changed(module, **values):
    for name, value in values.items():
        setattr(module, name, value)
    return module


def half(module):
    """`module`, with an output half as large, by a `forward` of its own."""
    forward = module.forward
    module.forward = lambda *args: forward(*args) * 0.5
    return module


CHANGES = {
    "a bias": lambda: block(bias=True),
    "no weights": lambda: block(affine=False),
    "no statistics": lambda: block(track_running_stats=False),
    "the batch's statistics": lambda: (b := block()) | {"norm": b["norm"].train()},
    "statistics that are not to be used": lambda: (
        (b := block()) | {"norm": changed(b["norm"], track_running_stats=False)}
    ),
    "no bias": lambda: (b := block()) | {"norm": changed(b["norm"], bias=None)},
    "wide weights": lambda: (b := block()) | {"conv": b["conv"].to(dtype=np.float64)},
    "wide statistics": lambda: (b := block()) | {"norm": b["norm"].to(dtype=np.float64)},
    "another norm": lambda: block() | {"norm": nn.Identity()},
    "a user's convolution": lambda: (b := block()) | {"conv": half(b["conv"])},
    "a user's norm": lambda: (b := block()) | {"norm": half(b["norm"])},
    "a user's add": lambda: (b := block()) | {"add": half(b["add"])},
    "a user's ReLU": lambda: (b := block()) | {"relu": half(b["relu"])},
    "a kind of ReLU": lambda: block() | {"relu": nn.LeakyReLU(0.3)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_plain_is_called_layer_by_layer(change):
    some = CHANGES[change]()
    with no_grad():
        names = operations(lambda: both_ways(some, "add", *picture()))
        joined, apart = both_ways(some, "add", *picture())
    assert names[0] == "conv2d"
    assert np.array_equal(joined.data, apart.data)
    assert joined.dtype == apart.dtype


@pytest.mark.parametrize("register", ["forward_hook", "forward_pre_hook"])
@pytest.mark.parametrize("which", ["conv", "norm", "add", "relu"])
def test_a_hook_sees_its_layer_also_in_evaluation(register, which):
    some, seen = block(), []
    getattr(some[which], f"register_{register}")(lambda *given: seen.append(given[1:]))
    with no_grad():
        joined, apart = both_ways(some, "add", *picture())
    assert len(seen) == 2
    assert np.array_equal(joined.data, apart.data)
    for first, second in zip(*(call[0] for call in seen), strict=True):
        assert np.array_equal(first.data, second.data)


def test_shortcuts_that_do_not_fit_are_the_adds_business():
    some, (x, shortcut) = block(), picture()
    with no_grad():
        wide = Tensor(shortcut.data.astype(np.float64))
        assert both_ways(some, "add", x, wide)[0].dtype == np.float64
        with pytest.raises(ValueError, match="give the shortcut a projection"):
            both_ways(some, "add", x, Tensor(normal(16, dtype=np.float32)))


def test_one_number_for_both_directions_is_taken_as_in_the_layer():
    some, given = block(), picture()
    with no_grad():
        expected, _ = both_ways(some, "add", *given)
        changed(some["conv"], stride=2, padding=1, dilation=1)
        assert np.array_equal(both_ways(some, "add", *given)[0].data, expected.data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: changed(b["norm"], running_var=None), "running_mean and running_var"),
        (lambda b: changed(b["norm"], num_features=4), r"BatchNorm2d wants images \(N, H, W, 4\)"),
        (
            lambda b: changed(b["conv"], weight=nn.Parameter(b["conv"].weight.data[..., :4])),
            r"BatchNorm2d wants images \(N, H, W, 16\)",
        ),
    ],
)
def test_layers_that_do_not_fit_say_so(change, message):
    some, (x, _) = block(), picture()
    change(some)
    with no_grad(), pytest.raises(ValueError, match=message):
        convolved(x, some["conv"], some["norm"])


def test_wrong_images_raise_what_the_convolution_raises():
    some = block()
    for wrong in (normal(2, 3, 9, 7, dtype=np.float32), normal(9, 7, 3, dtype=np.float32)):
        messages = []
        for apply in (lambda x: convolved(x, some["conv"], some["norm"]), some["conv"]):
            with no_grad(), pytest.raises(ValueError, match=r"\(N, H, W") as error:
                apply(Tensor(wrong))
            messages.append(str(error.value))
        assert messages[0] == messages[1]


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "preact_resnet20", "resnext50_32x4d"])
def test_a_network_predicts_the_same_with_and_without_gradients(name):
    manual_seed(0)
    network = models.create(name)
    x = Tensor(normal(2, 32, 32, 3, dtype=np.float32))
    with no_grad():
        network(x)  # statistics of its own
        network.eval()
        fast = network(x).data
    assert np.array_equal(fast, network(x).data)


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
