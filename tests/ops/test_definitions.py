"""Every declared case of every operation against its definition in plain loops; dtypes; layouts."""

import numpy as np
import pytest
from declared import Call, calls, function, is_floating, leaves, mapped, own
from definitions import DEFINITIONS
from helpers import awkward, close, normal

import minires
from minires import Tensor
from minires.gradcheck.cases import OPERATIONS

NAMES = sorted(OPERATIONS)

NEVER_EMPTY = {  # what they need values for
    "batch_norm": "a channel's variance",
    "_batch_mean": "a channel's mean",
    "_batch_inv_std": "a channel's variance",
    "_gradient_sums": "a channel's mean and variance",
    "_input_gradient": "a channel's mean and variance",
}


def floats(call: Call) -> list[np.ndarray]:
    return [a for a in leaves(call.args) if is_floating(a)]


@pytest.mark.parametrize("name", NAMES)
def test_the_forward_is_its_definition(name):
    for call in calls(name):
        out = function(name)(*call.args, **call.static)
        close(out, DEFINITIONS[name](*call.args, **call.static), rtol=1e-11)


def test_every_operation_has_a_definition():
    assert DEFINITIONS.keys() == OPERATIONS.keys()
    assert own().keys() <= OPERATIONS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_lengths_of_nought_and_one_are_declared(name):
    shapes = [a.shape for call in calls(name) for a in floats(call)]
    assert any(1 in shape for shape in shapes)
    assert any(0 in shape for shape in shapes) != (name in NEVER_EMPTY)


def tensors(args, change):
    return mapped(args, lambda a: Tensor(change(a), requires_grad=True) if is_floating(a) else a)


def results(name, call, change, dtype=np.float64):
    """The value and every gradient, from inputs that `change` has laid out."""
    inputs = tensors(call.args, lambda a: change(a.astype(dtype)))
    static = {key: a.astype(dtype) if is_floating(a) else a for key, a in call.static.items()}
    out = function(name)(*inputs, **static)
    leaf = [t for t in leaves(inputs) if isinstance(t, Tensor)]
    v = Tensor(change(normal(*out.shape, seed=1, dtype=out.dtype)))
    grads = minires.grad(out, leaf, v) if out.requires_grad else []
    return out, leaf, [g for g in grads if g is not None]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_dtypes_and_shapes_are_kept(name, dtype):
    for call in calls(name):
        out, leaf, grads = results(name, call, np.array, dtype)
        assert out.dtype == (call.static["dtype"] if name == "astype" else dtype), call.origin
        assert all(g.dtype == dtype for g in grads), call.origin
        assert {g.shape for g in grads} <= {t.shape for t in leaf}, call.origin


LAYOUTS = {"column by column": lambda a: np.array(a, order="F"), "backwards, with gaps": awkward}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NAMES)
def test_any_layout_gives_the_same_values_and_gradients(name, layout):
    for call in calls(name):
        wanted, _, wanted_grads = results(name, call, np.array)
        out, leaf, grads = results(name, call, LAYOUTS[layout])
        close(out, wanted.numpy(), rtol=1e-10)
        for got, want in zip(grads, wanted_grads, strict=True):
            close(got, want.numpy(), rtol=1e-10)
        for t, before in zip(leaf, floats(call), strict=True):
            np.testing.assert_array_equal(t.numpy(), before, err_msg=f"{call.origin}: modified")


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_must_not_be_written_are_not(name):
    def read_only(a):
        a = np.array(a)
        a.flags.writeable = False
        return a

    for call in calls(name):
        results(name, call, read_only)
