"""Whatever a function uses is checked in float64 and is afterwards as it was."""

from functools import partial

import numpy as np
import pytest
from helpers import normal

from minires import Tensor, nn
from minires.engine import op
from minires.gradcheck import gradcheck
from minires.nn import functional as F

NORM = nn.BatchNorm1d(4)
TABLE = {"norm": [NORM]}


class Holder:
    """No module, but has one, and state of its own."""

    def __init__(self):
        self.norm = nn.BatchNorm1d(4)
        self.seen = np.zeros(4)
        self.calls = []

    def __call__(self, x):
        self.seen += x.numpy().sum(axis=0)
        self.calls.append(len(x))
        self.last = x
        return self.norm(x) * NORM(x)

    def method(self, x):
        return self(x)


def helper(x):
    return NORM(x)


def by_helper(x):
    return helper(x) * 2


def by_table(x):
    return TABLE["norm"][0](x)


def in_a_comprehension(x):
    return sum(layer(x) for layer in [NORM])


def with_argument(layer, x):
    return layer(x)


HOLDER = Holder()


@pytest.mark.parametrize(
    ("fn", "norms"),
    [
        (by_helper, [NORM]),
        (by_table, [NORM]),
        (in_a_comprehension, [NORM]),
        (partial(with_argument, NORM), [NORM]),
        (HOLDER, [HOLDER.norm, NORM]),
        (HOLDER.method, [HOLDER.norm, NORM]),
        (lambda x: HOLDER.method(x), [HOLDER.norm, NORM]),
    ],
    ids=["helper", "table", "comprehension", "partial", "object", "method", "lambda"],
)
def test_modules_are_found_wherever_they_are(fn, norms):
    tensors = [t for norm in norms for t in norm.state_dict().values()]
    before = [(t.data, t.numpy().copy()) for t in tensors]
    report = gradcheck(fn, [normal(5, 4)])
    assert sum(c.input.endswith(".weight") for c in report.comparisons) == len(norms)
    for tensor, (data, values) in zip(tensors, before, strict=True):
        assert tensor.data is data
        np.testing.assert_array_equal(tensor.numpy(), values)


def test_an_objects_own_state_is_restored():
    holder = Holder()
    gradcheck(holder, [normal(5, 4)])
    assert not holder.seen.any()
    assert holder.calls == []
    assert not hasattr(holder, "last")


def test_an_objects_state_is_restored_after_a_failure():
    class Failing(Holder):
        def __call__(self, x):
            super().__call__(x)
            raise RuntimeError("broken")

    failing = Failing()
    x = normal(5, 4)
    with pytest.raises(RuntimeError, match="broken"):
        gradcheck(failing, [x])
    assert not failing.seen.any()
    assert not failing.norm.running_mean.numpy().any()
    np.testing.assert_array_equal(x, normal(5, 4))


def test_tensors_that_a_function_refers_to_are_parameters():
    w = nn.Parameter(normal(4, 2, dtype=np.float32))
    w.grad = Tensor(np.ones((4, 2), np.float32))
    before, grad, data = w.numpy().copy(), w.grad, w.data
    report = gradcheck(lambda x: x @ w, [normal(3, 4)])
    assert [c.input for c in report.comparisons] == ["x", "w"]
    assert report.worst_error < 1e-8  # in float64
    assert w.grad is grad
    assert w.data is data
    np.testing.assert_array_equal(w.numpy(), before)

    wrong = op(lambda x, w: x @ w)
    wrong.vjp(lambda g, x, w: (g @ w.T, x.T @ g / 3))
    report = gradcheck(lambda x: wrong(x, w), [normal(3, 4)], raise_exception=False)
    assert [c.passed for c in report.comparisons] == [True, False]


def test_tensors_with_a_past_are_constants():
    leaf = Tensor(normal(4, 2), requires_grad=True)
    w = leaf * 2
    node = w.node
    report = gradcheck(lambda x: x @ w, [normal(3, 4)])
    assert [c.input for c in report.comparisons] == ["x"]
    assert leaf.grad is None
    assert w.node is node
    w.sum().backward()  # the graph is still there
    np.testing.assert_array_equal(leaf.grad.numpy(), np.full((4, 2), 2.0))


def test_a_global_that_shares_an_attributes_name_is_left_alone():
    scope = {"weight": Tensor(normal(1000, 100), requires_grad=True), "layer": nn.Linear(4, 2)}
    exec("def fn(x): return x @ layer.weight", scope)
    assert [c.input for c in gradcheck(scope["fn"], [normal(3, 4)]).comparisons][1:] == [
        "layer.weight",
        "layer.bias",
    ]


@pytest.mark.parametrize("inside", [[normal(2)], (Tensor([1.0]),), {"x": [normal(2)]}])
def test_tensors_in_a_list_would_go_unchecked(inside):
    with pytest.raises(TypeError, match=r"cannot look into input 1, a .* pass them one by one"):
        gradcheck(lambda x, more: x * 1, [normal(2), inside])


def test_lists_of_numbers_are_passed_through():
    assert gradcheck(lambda x, shape: x.reshape(shape), [normal(6), [2, 3]])
    assert gradcheck(F.cross_entropy, [normal(2, 3), np.array([0, 2])])
