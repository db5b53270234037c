"""Compiled models against themselves: the same numbers, the same bits, and what is refused."""

import inspect
import pickle
import re
import threading

import numpy as np
import pytest
from compile.networks import NETWORKS, Inception, Transformer, settled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minires
from minires import Tensor, kernels, models, nn, no_grad, ops, optim
from minires.compile import Plan, RecordingError, StaleError
from minires.nn import functional as F

TOLERANCE = {np.float32: 5e-6, np.float64: 1e-13, np.float16: 4e-3}


def flat(value):
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [tensor for item in items for tensor in flat(item)]


def assert_alike(found, wanted, tolerance):
    found, wanted = flat(found), flat(wanted)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert not one.requires_grad
        scale = abs(other.data).max(initial=0)
        assert abs(one.data - other.data).max(initial=0) <= tolerance * scale


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_plan_gives_what_its_model_gives(name, dtype):
    network, x = settled(*NETWORKS[name], dtype)
    plan = minires.compile(network, Tensor(x))
    other = Tensor(np.flip(x, axis=-1).copy() * 0.7)
    with no_grad():
        for given_ in (Tensor(x), other, Tensor(x)):
            assert_alike(plan(given_), network(given_), TOLERANCE[dtype])


@st.composite
def sequences(draw):
    """A few layers one after another, some around a shortcut, and an input that fits."""
    channels, size = draw(st.integers(1, 40)), draw(st.tuples(*[st.integers(4, 14)] * 2))
    images, layers, first = draw(st.integers(1, 9)), [], channels
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["conv", "conv", "conv", "norm", "relu", "pool", "block"]))
        if kind == "conv":
            groups = draw(st.sampled_from([1, 1, 1, channels]))
            filters = groups * draw(st.integers(1, 70 // groups or 1))
            kernel, padding = draw(st.sampled_from([(1, 0), (3, 1), (3, 1), (3, 2), (5, 2)]))
            stride = draw(st.sampled_from([1, 1, 2])) if min(size) > 4 else 1
            bias = draw(st.booleans())
            layers.append(
                nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=bias)
            )
            size = tuple((n + 2 * padding - kernel) // stride + 1 for n in size)
            channels = filters
        elif kind == "norm":
            layers.append(nn.BatchNorm2d(channels, affine=draw(st.booleans())))
        elif kind == "relu":
            layers.append(nn.ReLU())
        elif kind == "pool" and min(size) > 4:
            up = draw(st.booleans())
            make = draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
            layers.append(make(3, 2, 1, ceil_mode=up))
            size = tuple((n - 1 + up) // 2 + 1 for n in size)
        elif kind == "block":
            layers.append(models.blocks.BasicBlock(channels, channels))
    return layers or [nn.ReLU()], (images, *size_of(first, layers, size), first)


def size_of(channels, layers, last):
    """Any input size that survives the layers: these were drawn for one, so begin with enough."""
    return (15, 13)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(sequences(), st.sampled_from([np.float32, np.float64]), st.integers(0, 5))
def test_any_sequence_of_layers(drawn, dtype, seed):
    layers, shape = drawn
    minires.manual_seed(seed)
    network, x = settled(lambda: nn.Sequential(*layers), shape, dtype)
    plan = minires.compile(network, Tensor(x))
    with no_grad():
        assert_alike(plan(Tensor(x * 2)), network(Tensor(x * 2)), 20 * TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["resnet20", "one image", "resnet18", "inception", "transformer"])
def test_the_same_bits_for_any_number_of_threads_and_each_time(name, threads):
    network, x = settled(*NETWORKS[name])
    results = []
    for count in (1, 2, 3, 1):
        kernels.set_num_threads(count)
        plan = minires.compile(network, Tensor(x))
        results += [[t.data for t in flat(plan(Tensor(x)))] for _ in range(2)]
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_may_call_one_plan_at_the_same_time():
    network, x = settled(*NETWORKS["resnet20"])
    plan = minires.compile(network, Tensor(x))
    inputs = [Tensor(x * (i + 1)) for i in range(6)]
    wanted, found = [plan(given_).data for given_ in inputs], [None] * 6

    def call(i):
        found[i] = [plan(inputs[i]).data for _ in range(5)]

    runs = [threading.Thread(target=call, args=(i,)) for i in range(6)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    for one, several in zip(wanted, found, strict=True):
        for other in several:
            np.testing.assert_array_equal(one, other)


def test_results_are_the_callers():
    network, x = settled(*NETWORKS["one image"])
    plan = minires.compile(network, Tensor(x))
    first = plan(Tensor(x))
    kept = first.data.copy()
    plan(Tensor(-x))
    np.testing.assert_array_equal(first.data, kept)
    first.fill_(0)
    np.testing.assert_array_equal(plan(Tensor(x)).data, kept)


def test_other_shapes_are_compiled_when_they_come_and_a_few_are_kept():
    network, x = settled(*NETWORKS["depthwise"])
    plan = minires.compile(network, x)
    for images in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11):
        given_ = Tensor(np.resize(x, (images, *x.shape[1:])))
        with no_grad():
            assert_alike(plan(given_), network(given_), 1e-5)
    assert len(plan._variants) == 8
    wide = Tensor(np.resize(x, (2, 30, 30, 8)))
    with pytest.raises(ValueError, match="linear wants"):
        plan(wide)


# ---------------------------------------------------------------------- what has changed


def test_changed_weights_are_noticed_and_refreshed():
    network, x = settled(*NETWORKS["resnet20"])
    plan = minires.compile(network, Tensor(x))
    with no_grad():
        for change in (
            lambda: network.conv1.weight.fill_(0.01),
            lambda: network.bn1.running_var.copy_(np.full(16, 2.0)),
            lambda: setattr(network.fc.bias, "data", network.fc.bias.data + 1),
            lambda: network.load_state_dict(models.resnet20().state_dict()),
        ):
            change()
            with pytest.raises(StaleError, match=r"(weight|running_var|bias) has changed.*refresh"):
                plan(Tensor(x))
            plan.refresh()
            assert_alike(plan(Tensor(x)), network(Tensor(x)), 5e-6)
    network.train()
    F.cross_entropy(network(Tensor(x)), np.zeros(3, int)).backward()
    optim.SGD(network.parameters(), lr=0.1).step()
    with pytest.raises(StaleError, match="has changed"):
        plan(Tensor(x))
    plan.refresh()
    with pytest.raises(StaleError, match="in training mode"):
        plan(Tensor(x))
    network.eval()
    with no_grad():
        assert_alike(plan(Tensor(x)), network(Tensor(x)), 5e-6)


def test_weights_of_another_network_may_change():
    network, x = settled(*NETWORKS["perceptron"])
    plan = minires.compile(network, Tensor(x))
    other = nn.Linear(2, 2)
    other.weight.fill_(0)
    plan(Tensor(x))


# ---------------------------------------------------------------------- what is refused


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


class Looks(nn.Module):
    """Looks at its numbers in one of many ways."""

    def __init__(self, how):
        super().__init__()
        self.how, self.layer, self.count = how, nn.Linear(4, 4), 0
        self.register_buffer("seen", Tensor(np.zeros(1)))

    def forward(self, x):
        y = self.layer(x)
        return self.how(self, y)


def branch(module, y):
    return y * 2 if y.mean() > 0 else y  # HERE


def number(module, y):
    return y * float(y.mean())  # HERE


def item(module, y):
    return y * y.sum().item()  # HERE


def array(module, y):
    return y + Tensor(y.numpy().max())  # HERE


def data(module, y):
    return y * y.data.max()  # HERE


def as_array(module, y):
    return y * np.asarray(y).std()  # HERE


def as_list(module, y):
    return y * y.tolist()[0][0]  # HERE


def counts(module, y):
    module.count += 1  # HERE
    return y


def stores(module, y):
    module.last = y  # HERE
    return y


def drops(module, y):
    return F.dropout(y, 0.5)  # HERE


LINES = [branch, number, item, array, data, as_array, as_list, counts, stores, drops]


@pytest.mark.parametrize("how", LINES)
def test_what_a_list_cannot_repeat_is_refused_with_its_line(how):
    here = line_of(how, "# HERE")
    with pytest.raises(RecordingError, match=rf"test_compile\.py:{here} "):
        minires.compile(Looks(how).eval(), np.ones((2, 4), np.float32))


def raw_numbers(module, y):
    return y * minires.engine.raw(y).mean()


def raw_branch(module, y):
    return y * 2 if minires.engine.raw(y).mean() > 0 else y - 1


def random_numbers(module, y):
    return y + np.random.rand()  # noqa: NPY002


def buffer(module, y):
    module.seen.data[...] += 1
    return y


def running(module, y):
    module.seen.copy_([1.0])
    return y


def constant(module, y):
    return "a text"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (raw_numbers, "differs from the model|other operations"),
        (raw_branch, "differs from the model|other operations"),
        (random_numbers, "draws random numbers"),
        (buffer, "writes to its .*seen"),
        (running, "writes to its .*seen"),
        (constant, "returns a str, not Tensors"),
    ],
)
def test_whatever_slips_through_is_found_by_other_numbers(how, message):
    with pytest.raises(RecordingError, match=message):
        minires.compile(Looks(how).eval(), np.full((3, 4), 2.0, np.float32))


def test_training_mode_and_hooks_are_refused():
    network, x = settled(*NETWORKS["perceptron"])
    network[3].train()
    with pytest.raises(RecordingError, match=r"3 \(Dropout\) is in training mode: call eval"):
        minires.compile(network, x)
    network.eval()
    remove = network[1].register_forward_hook(lambda *_: None)
    with pytest.raises(RecordingError, match=r"1 \(BatchNorm1d\) has hooks"):
        minires.compile(network, x)
    remove()
    minires.compile(network, x)


def test_nothing_is_left_behind_by_a_refusal():
    module = Looks(drops).eval()
    with pytest.raises(RecordingError):
        minires.compile(module, np.ones((2, 4), np.float32))
    module.count = 5
    y = F.dropout(Tensor(np.ones(3)), 0.5) * 1
    assert type(y) is Tensor
    assert y.numpy().shape == (3,)


def test_images_that_depend_on_each_other_go_through_together():
    def centred(x):
        return x - x.mean(axis=0)

    x = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    plan = minires.compile(centred, Tensor(x))
    assert_alike(plan(Tensor(x)), centred(Tensor(x)), 1e-6)


def test_what_looks_like_a_view_and_is_a_copy_keeps_its_memory():
    """Rows chosen by a list, and a reshape of what is transposed: read again after other steps."""

    def both(x):
        chosen, turned = x[:, [2, 0, 1]], (x + 1).transpose(0, 2, 1).reshape(4, -1)
        y = x * 2 + 1
        z = (y * y).reshape(4, -1) * turned
        return y * chosen, z + turned

    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    plan = minires.compile(both, Tensor(x))
    assert_alike(plan(Tensor(x * 2)), both(Tensor(x * 2)), 1e-13)


def test_weights_that_are_not_numbers_are_compiled():
    network, x = settled(*NETWORKS["perceptron"])
    next(b for n, b in network.named_buffers() if n.endswith("running_mean")).fill_(np.nan)
    assert np.isnan(minires.compile(network, x)(Tensor(x)).numpy()).any()


def test_functions_of_several_tensors():
    def both(x, y):
        return x @ y.T, [x.sum(), y]

    x, y = (np.random.default_rng(i).standard_normal((3, 4)) for i in range(2))
    plan = minires.compile(both, (x, y))
    found, wanted = plan(Tensor(x), Tensor(y)), both(Tensor(x), Tensor(y))
    assert_alike(found, wanted, 1e-13)
    assert isinstance(found[1], list)


# ---------------------------------------------------------------------- what it shows


def test_a_plan_prints_its_steps():
    network, x = settled(*NETWORKS["one image"])
    text = str(minires.compile(network, Tensor(x)))
    rows = text.splitlines()
    assert rows[0] == "plan for float32 (1, 32, 32, 3)"
    assert sum("conv2d + batch norm" in row for row in rows) == 19
    assert re.search(
        r"conv2d \+ batch norm \+ add \+ relu +1x32x32x16 +winograd1d .*2,359,296", text
    )
    assert f"{network.summary((32, 32, 3)).multiply_adds:,} multiply-adds" in rows[-1]
    assert re.search(r"\d buffers for all values, [\d,]+ bytes$", rows[-1])


def test_the_rewrites_are_recorded():
    network, x = settled(*NETWORKS["resnet18"])
    history = minires.compile(network, Tensor(x)).history
    counts = [len(steps) for _, steps in history]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2.5 * counts[-1]
    names = " ".join(name for name, _ in history)
    for word in ("recorded", "scale goes into the weights", "bias", "same shape", "ReLU"):
        assert word in names


def test_a_profile_knows_the_steps():
    network, x = settled(*NETWORKS["one image"])
    plan = minires.compile(network, Tensor(x))
    with minires.profile() as profile:
        plan(Tensor(x))
    assert profile.operations["conv2d + batch norm + relu"].forward_calls == 10
    assert "conv2d + batch norm + add + relu" in str(profile)
    assert minires.profiler.current() is None


def test_values_share_memory():
    network, x = settled(*NETWORKS["resnet50"])
    (variant,) = minires.compile(network, Tensor(x))._variants.values()
    ((walk,),) = variant._free.values()
    values = sum(call.nbytes for call in walk.calls)
    assert sum(b.nbytes for b in walk.buffers) < values / 4


def test_a_plan_is_of_a_model_in_this_process():
    network, x = settled(*NETWORKS["perceptron"])
    with pytest.raises(TypeError):
        pickle.dumps(minires.compile(network, Tensor(x)))
    assert isinstance(minires.compile(Inception().eval(), np.ones((1, 5, 5, 4), np.float32)), Plan)
    assert isinstance(minires.compile(Transformer().eval(), np.ones((1, 2, 16), np.float32)), Plan)
    assert ops is minires.ops
