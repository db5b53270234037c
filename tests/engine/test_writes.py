"""Arrays that are overwritten between forward and backward: an error, never a wrong gradient."""

import copy
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import close, leaf, normal
from hypothesis import given
from hypothesis import strategies as st

import minires
from minires import Tensor, nn, no_grad, optim
from minires.errors import BackwardError


def test_an_input_that_is_written_to_names_the_forward_line():
    w, x = leaf([1.0, 2.0]), Tensor(np.array([3.0, 4.0]))
    loss, here = (w * x).sum(), inspect.currentframe().f_lineno
    x[0] = 100.0
    message = rf"multiply, made at {__file__}:{here}: its argument y was overwritten"
    with pytest.raises(BackwardError, match=message):
        loss.backward()


def test_a_view_is_the_same_memory_and_another_array_is_not():
    array = normal(4, 3)
    for view in (lambda t: t, lambda t: t.reshape(12), lambda t: t[1:, ::2], lambda t: t.detach()):
        w, x = leaf(normal(4, 3)), Tensor(array.copy())
        loss = (w * x).sum()
        view(x)[0] = 1.0
        with pytest.raises(BackwardError, match="overwritten"):
            loss.backward()
    w, x = leaf(normal(4, 3)), Tensor(array)
    loss = (w * x).sum()
    x.copy()[0] = 1.0
    loss.backward()
    close(w.grad, array)


def test_a_step_between_two_backward_passes_of_one_graph():
    layer = nn.Linear(3, 2)
    loss = (layer(layer(Tensor(normal(4, 3)))[:, :1] * Tensor(normal(1, 3))) ** 2).sum()
    loss.backward(retain_graph=True)
    optim.SGD(layer.parameters(), lr=0.1).step()
    with pytest.raises(BackwardError, match=r"matmul.*overwritten"):
        loss.backward()


def test_values_that_no_rule_asked_for_may_be_written():
    x = Tensor(normal(3))
    w = leaf(normal(3))
    loss = (w + x).sum()
    x[0] = 5.0
    loss.backward()
    close(w.grad, np.ones(3))


OPERATIONS = {  # of w and x, and which of the two its rule computes with
    "w * x": (lambda w, x: w * x, "wx"),
    "w + x": (lambda w, x: w + x, ""),
    "w - x": (lambda w, x: w - x, ""),
    "x / w": (lambda w, x: x / w, "w"),
    "w ** 2 + x": (lambda w, x: w**2 + x, "w"),
    "w.exp() * 2": (lambda w, x: w.exp() * 2, ""),
    "(w * x).tanh()": (lambda w, x: (w * x).tanh(), "wx"),
    "w @ x": (lambda w, x: w @ x, "wx"),
    "maximum": (minires.maximum, "wx"),
    "where": (lambda w, x: minires.where(x > 0, w, x), ""),
}


@given(st.sampled_from(sorted(OPERATIONS)), st.sampled_from("wx"), st.booleans())
def test_it_is_an_error_just_where_the_gradient_needs_what_was_written(name, written, before):
    operate, needed = OPERATIONS[name]
    w, x = leaf(abs(normal(3)) + 1), leaf(normal(3, seed=1))
    if before:
        w, x = (t.copy() for t in (w, x))
        w.requires_grad_(), x.requires_grad_()
    loss = operate(w, x).sum()
    with no_grad():
        {"w": w, "x": x}[written].fill_(7.0)
    if written in needed:
        with pytest.raises(BackwardError, match="overwritten"):
            loss.backward()
    else:
        loss.backward()


def test_updates_by_hand_under_no_grad_train():
    w = leaf([5.0])
    for _ in range(50):
        loss = (w * w).sum()
        w.grad = None
        loss.backward()
        with no_grad():
            w -= 0.1 * w.grad
    assert abs(w.item()) < 1e-3
    assert w.is_leaf
    assert w.requires_grad


@pytest.mark.parametrize("operator", ["+=", "-=", "*=", "/=", "**="])
def test_a_leaf_is_updated_under_no_grad_only_and_all_else_makes_a_new_tensor(operator):
    names = {"x": leaf([4.0, 9.0]), "y": Tensor([4.0, 9.0]), "two": 2.0}
    x, y = names["x"], names["y"]
    with pytest.raises(ValueError, match="leaf that requires a gradient is not changed in place"):
        exec(f"x {operator} two", names)
    with no_grad():
        exec(f"x {operator} two\ny {operator} two", names)
    assert names["x"] is x
    assert names["y"] is not y
    assert y.tolist() == [4.0, 9.0]
    assert (
        names["y"].tolist() == x.tolist() == eval(f"[4.0 {operator[:-1]} 2, 9.0 {operator[:-1]} 2]")
    )
    z = leaf([1.0]) * 2
    names = {"z": z, "two": 2.0}
    exec(f"z {operator} two", names)
    assert names["z"] is not z
    assert z.tolist() == [2.0]


def test_data_holds_an_array_whatever_is_assigned():
    p = nn.Parameter(normal(3))
    (p * 2).sum().backward()
    p.data = p.data - 0.5 * p.grad
    assert type(p.data) is np.ndarray
    assert (p * 1).shape == (3,)
    with pytest.raises(TypeError, match="data is an array of numbers, got list"):
        p.data = [1.0]


def test_an_index_that_changes_later_moves_no_gradient():
    x = leaf(np.zeros(4))
    for index in (np.array([0, 1]), np.array([True, False, False, True])):
        wanted = np.zeros(4)
        wanted[index] = 1
        y = x[index]
        index[:] = np.roll(index, 1) if index.dtype == bool else 3
        (g,) = minires.grad(y.sum(), [x])
        close(g, wanted)


@pytest.mark.parametrize("rows", [(0, 0, 1), [0, 0, 1], range(2), np.array([1, 1])])
def test_an_element_that_is_named_twice_gets_both_gradients(rows):
    x = leaf(np.ones((1, 3)))
    wanted = np.bincount(list(rows), minlength=3)[None]
    x[:, rows].sum().backward()
    close(x.grad, wanted)
    as_list = list(rows)
    values = minires.ops.take(x, key=(slice(None), as_list))
    close(minires.grad(values.sum(), x), wanted)
    scattered = minires.ops.scatter(values, key=(slice(None), as_list), shape=(1, 3))
    close(scattered, wanted)


def test_a_pickled_layer_has_right_gradients_in_a_new_process():
    layer = nn.Linear(2, 1)
    x = np.array([[1.0, 2.0]], np.float32)
    code = (
        "import pickle, sys\n"
        "from minires import Tensor\n"
        "layer = pickle.loads(sys.stdin.buffer.read())\n"
        f"layer(Tensor({x.tolist()})).sum().backward()\n"
        "print(layer.weight.grad.tolist(), layer.bias.grad.tolist())\n"
    )
    for _ in range(1000):
        _ = layer.weight * 1  # this process's clock is far ahead
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(layer), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[[1.0], [2.0]] [1.0]"


def test_copies_keep_the_gradient_and_share_nothing():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    close(twin.grad, x.grad)
    twin.fill_(0.0)
    assert x.tolist() == [1.0, 2.0]
    for copied in (copy.deepcopy, pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="a result in a graph is neither copied nor pickled"):
            copied(x * 2)
    frozen = pickle.loads(pickle.dumps(nn.Parameter(normal(2), requires_grad=False)))
    assert isinstance(frozen, nn.Parameter)
    assert not frozen.requires_grad


def test_a_generator_computes_without_a_graph_and_its_caller_with_one():
    x = leaf([1.0])

    @no_grad()
    def results():
        got = yield x * 2
        try:
            yield x * got
        except KeyError:
            yield x * 5
        return x * 7

    steps = results()
    assert not next(steps).requires_grad
    assert (x * 2).requires_grad
    assert steps.send(3.0).tolist() == [3.0]
    assert (x * 2).requires_grad
    assert not steps.throw(KeyError()).requires_grad
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert not end.value.value.requires_grad


def test_what_a_hook_gives_has_the_tensors_dtype():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    x.register_hook(lambda g: Tensor(np.full(2, 3.0)))
    (x * 2).sum().backward()
    assert x.grad.dtype == np.float32
    close(x.grad, [3.0, 3.0])


def test_what_a_full_backward_hook_returns_is_an_error():
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda module, inputs, outputs: inputs)
    with pytest.raises(BackwardError, match="full backward hook of Linear returned something"):
        layer(leaf(normal(3, 2))).sum().backward()


# ---------------------------------------------------------------------- writes that go past


def test_the_debugging_mode_sees_every_write():
    for write in (
        lambda x, array: array.__setitem__(0, 9.0),
        lambda x, array: x.data.fill(9.0),
        lambda x, array: np.multiply(array, 2, out=array),
    ):
        array = np.array([3.0, 4.0])
        w, x = leaf([1.0, 2.0]), Tensor(array)
        loss = (w * x).sum()
        write(x, array)
        loss.backward()  # nobody can tell
        array = np.array([3.0, 4.0])
        x = Tensor(array)
        with minires.detect_overwrites():
            loss = (w * x).sum()
            write(x, array)
            with pytest.raises(BackwardError, match=r"multiply, made at .*: its argument y was"):
                loss.backward()


def test_the_debugging_mode_is_silent_where_nothing_is_overwritten():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    optimizer = optim.Adam(net.parameters())
    with minires.detect_overwrites():
        for _ in range(2):
            optimizer.zero_grad()
            (net(Tensor(normal(2, 4, 4, 1, dtype=np.float32))) ** 2).sum().backward()
            optimizer.step()
