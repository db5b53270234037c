"""What a comparison with numerical derivatives cannot see: layouts, sizes, who else is wanted."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import normal

from minires import ops
from minires.engine import op, raw
from minires.gradcheck import gradcheck
from minires.nn import functional as F

MODES = ["full", "directional"]


def square(rule):
    """x * x with this rule."""
    made = op(lambda x: x * x)
    made.vjp(rule)
    return made


def clipped(g, x):
    return (2 * x * np.clip(raw(g), -2, 2),)


def without_small_ones(g, x):
    return (2 * x * np.where(abs(raw(g)) < 1e-3, 0, raw(g)),)


def divided_by(g, x):
    return (2 * x * (g * g / g),)


def only_where_positive_somewhere(g, x):
    return (2 * x * g * bool((raw(g) > 0).any()),)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "rule", [clipped, without_small_ones, divided_by, only_where_positive_somewhere]
)
def test_gradients_are_linear_in_the_upstream_gradient(rule, mode):
    x = abs(normal(1, 1)) if rule is only_where_positive_somewhere else normal(3, 4)
    report = gradcheck(square(rule), [x], mode=mode, raise_exception=False)
    assert "not linear in the upstream gradient" in str(report)


def written_through_a_view(g, x):
    """`reshape` gives a view only of memory in C order, and `empty_like` keeps x's order."""
    dx = np.empty_like(x)
    dx.reshape(-1)[...] = (2 * g * x).ravel()
    return (dx,)


def in_memory_order(g, x):
    return ((2 * g * x).ravel("K").reshape(x.shape),)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [written_through_a_view, in_memory_order])
def test_arrays_in_fortran_order(rule, mode):
    report = gradcheck(square(rule), [normal(3, 4)], mode=mode, raise_exception=False)
    assert report.problems == (
        "order 1: Fortran-ordered inputs change the gradient of the output by x",
    )
    assert gradcheck(square(rule), [normal(4)], mode=mode)  # where there is but one order


def rounding_the_result(g, x):
    return ((2 * g * x).astype(np.float32),)


def into_a_float32_buffer(g, x):
    dx = np.zeros(x.shape, np.float32)
    dx += (2 * g * x).astype(np.float32)
    return (dx,)


def rounding_upstream(g, x):
    return (2 * raw(g).astype(np.float32) * x,)


@pytest.mark.parametrize("rule", [rounding_the_result, into_a_float32_buffer, rounding_upstream])
def test_gradients_that_are_computed_in_float32(rule):
    report = gradcheck(square(rule), [normal(3, 4)], raise_exception=False)
    assert [p.partition(" though")[0] for p in report.problems] == [
        "order 1: the gradient of the output by x is computed in float32"
    ]
    assert all(c.passed for c in report.comparisons)  # the tolerance would have let it pass


def test_gradients_that_cancel_are_not_called_float32():
    def without_mean(x, b):
        return F.batch_norm(x + b, None, None, training=True) * 3

    assert gradcheck(without_mean, [normal(6, 3), normal(3)])
    assert gradcheck(lambda x: ops.softmax(x).sum(axis=-1), [normal(5, 6)])


def exchanged_if_one_is_wanted(g, x, y, needs):
    return (g * y, g * x) if all(needs) else (g * x, g * y)


def nothing_unless_all_are_wanted(g, x, y, needs):
    return (g * y, g * x) if all(needs) else (None, None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [exchanged_if_one_is_wanted, nothing_unless_all_are_wanted])
def test_only_some_gradients_are_wanted(rule, mode):
    product = op(lambda x, y: x * y)
    product.vjp(rule)
    inputs = [normal(3), normal(3, seed=1)]
    report = gradcheck(product, inputs, mode=mode, raise_exception=False)
    assert report.problems == tuple(
        f"order 1: the gradient of the output by {name} is another if not every input's is wanted"
        for name in "xy"
    )


def test_many_inputs_every_other_one_wanted():
    product = op(lambda x, y: x * y)
    product.vjp(exchanged_if_one_is_wanted)
    inputs = [normal(3, seed=i) for i in range(6)]

    def chain(*xs):
        return sum(product(x, y) for x, y in pairwise(xs))

    report = gradcheck(chain, inputs, raise_exception=False)
    assert len(report.problems) == 6
    assert all(c.passed for c in report.comparisons)
