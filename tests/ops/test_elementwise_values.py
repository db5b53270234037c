"""Arithmetic and nonlinearities: values against NumPy and hand calculation, kinks and extremes."""

import math

import numpy as np
import pytest
from helpers import awkward, close, leaf, normal, positive

import minires
from minires import Tensor, ops

x, y = normal(3, 4), normal(2, 1, 4)


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda a, b: a + b, x + y),
        (lambda a, b: a - b, x - y),
        (lambda a, b: a * b, x * y),
        (lambda a, b: a / b, x / y),
        (lambda a, b: -a + 0 * b, -x + 0 * y),
        (lambda a, b: a**2 + 0 * b, x * x + 0 * y),
        (lambda a, b: abs(a) + 0 * b, np.abs(x) + 0 * y),
        (minires.maximum, np.where(x >= y, x, y)),
        (minires.minimum, np.where(x <= y, x, y)),
        (lambda a, b: minires.where(a > b, a, b * 2), np.where(x > y, x, y * 2)),
    ],
)
def test_binary_operations_broadcast_as_in_numpy(f, wanted):
    close(f(Tensor(x), Tensor(y)), wanted)
    close(f(Tensor(awkward(x)), Tensor(awkward(y))), wanted)


@pytest.mark.parametrize(
    ("f", "definition"),
    [
        (minires.exp, math.exp),
        (lambda t: t.exp(), math.exp),
        (lambda t: t.tanh(), math.tanh),
        (lambda t: t.sigmoid(), lambda v: 1 / (1 + math.exp(-v))),
        (lambda t: t.relu(), lambda v: v if v > 0 else 0.0),
        (lambda t: ops.leaky_relu(t, negative_slope=0.2), lambda v: v if v > 0 else 0.2 * v),
        (lambda t: ops.leaky_relu(t), lambda v: v if v > 0 else 0.01 * v),
        (lambda t: t.abs(), lambda v: v if v > 0 else -v),
        (lambda t: ops.sign(t), lambda v: 1.0 if v > 0 else -1.0),
        (lambda t: t.clip(-0.3, 0.6), lambda v: min(max(v, -0.3), 0.6)),
        (lambda t: t.clip(low=0.1), lambda v: max(v, 0.1)),
        (lambda t: t.clip(high=0.1), lambda v: min(v, 0.1)),
    ],
)
def test_functions_of_one_value(f, definition):
    close(f(Tensor(awkward(x))), np.vectorize(definition)(x))


@pytest.mark.parametrize("f", [minires.log, lambda t: t.log()])
def test_log(f):
    values = positive(3, 4)
    close(f(Tensor(values)), np.vectorize(math.log)(values))


@pytest.mark.parametrize("f", [minires.sqrt, lambda t: t.sqrt()])
def test_sqrt(f):
    values = positive(3, 4)
    close(f(Tensor(values)), np.vectorize(math.sqrt)(values))


# ---------------------------------------------------------------------- kinks


def slope(f, values, upstream=3.0):
    """The gradient at `values` for an upstream gradient of 3 everywhere."""
    t = leaf(values)
    f(t).backward(Tensor(np.full(t.shape, upstream)))
    return np.zeros(t.shape) if t.grad is None else t.grad.numpy()


def test_relu_has_slope_zero_at_zero():
    close(slope(ops.relu, [-1.0, 0.0, -0.0, 1.0]), [0, 0, 0, 3])


def test_leaky_relu_has_the_negative_slope_at_zero():
    leaky = slope(lambda t: ops.leaky_relu(t, negative_slope=0.5), [-1.0, 0.0, 1.0])
    close(leaky, [1.5, 1.5, 3])


def test_absolute_has_slope_zero_at_zero():
    close(slope(ops.absolute, [-2.0, 0.0, 2.0]), [-3, 0, 3])


def test_clip_passes_the_gradient_at_its_bounds():
    close(slope(lambda t: t.clip(-1.0, 1.0), [-1.5, -1.0, 0.0, 1.0, 1.5]), [0, 3, 3, 3, 0])


def test_maximum_and_minimum_share_the_gradient_of_ties():
    for f, wanted in [(minires.maximum, [0, 1.5, 3]), (minires.minimum, [3, 1.5, 0])]:
        a, b = leaf([1.0, 2.0, 3.0]), leaf([2.0, 2.0, 2.0])
        f(a, b).backward(Tensor(np.full(3, 3.0)))
        close(a.grad, wanted)
        close(b.grad, 3 - np.array(wanted))


def test_where_sends_each_gradient_one_way():
    condition = np.array([True, False, True])
    a, b = leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0, 6.0])
    out = minires.where(Tensor(condition), a, b)
    close(out, [1, 5, 3])
    out.backward(Tensor([7.0, 8.0, 9.0]))
    close(a.grad, [7, 0, 9])
    close(b.grad, [0, 8, 0])


def test_where_lets_no_nan_through_from_the_side_not_taken():
    t = leaf([-1.0, 4.0])
    safe = minires.where(t > 0, t, 1.0)
    minires.where(t > 0, safe.sqrt(), 0.0).backward(Tensor([1.0, 1.0]))
    close(t.grad, [0, 0.25])


# ---------------------------------------------------------------------- powers


@pytest.mark.parametrize(
    ("exponent", "wanted"),
    [(0, [0, 0, 0]), (1, [3, 3, 3]), (2, [0, 12, -12]), (3, [0, 36, 36]), (0.0, [0, 0, 0])],
)
def test_slopes_of_whole_powers_at_zero_and_elsewhere(exponent, wanted):
    values = [0.0, 2.0, -2.0]
    close(leaf(values) ** exponent, [v**exponent for v in values])
    close(slope(lambda t: t**exponent, values), wanted)


@pytest.mark.parametrize("exponent", [0, 0.0, False])
def test_the_slope_of_a_constant_power_is_zero_and_not_missing(exponent):
    x = leaf([0.0, 2.0, -2.0])
    (x**exponent).sum().backward()
    close(x.grad, [0, 0, 0])


def test_second_slope_of_a_square_at_zero():
    t = leaf([0.0])
    first = minires.grad(t**2, t, create_graph=True)
    close(minires.grad(first, t), [2.0])


def test_an_array_of_exponents_with_zero_among_them():
    t = leaf([0.0, 0.0, 3.0, 3.0])
    exponents = leaf([0.0, 2.0, 0.0, 2.0])
    out = t**exponents
    close(out, [1, 0, 1, 9])
    out.backward(Tensor(np.ones(4)))
    close(t.grad, [0, 0, 0, 6])
    close(exponents.grad, [0, 0, math.log(3), 9 * math.log(3)])


def test_a_number_to_the_power_of_a_tensor():
    t = leaf([0.0, 1.0, 3.0])
    out = 2**t
    close(out, [1, 2, 8])
    out.backward(Tensor(np.ones(3)))
    close(t.grad, np.array([1, 2, 8]) * math.log(2))
    t = leaf([1.0, 2.0])
    (0**t).backward(Tensor(np.ones(2)))
    close(t.grad, [0, 0])


# ---------------------------------------------------------------------- extremes


def test_sigmoid_does_not_overflow():
    close(Tensor(np.array([-1e4, -800, 0, 800, 1e4])).sigmoid(), [0, 0, 0.5, 1, 1], atol=1e-300)
    close(slope(ops.sigmoid, [-1e4, 1e4]), [0, 0])


def test_softmax_of_huge_values():
    t = np.array([[1e4, 1e4 + math.log(3), 0.0], [-1e30, -1e30, -1e30]])
    close(ops.softmax(Tensor(t)), [[0.25, 0.75, 0], [1 / 3] * 3], rtol=1e-9)


def test_log_softmax_of_huge_values_does_not_underflow():
    t = np.array([[0.0, -1e4, 1e4]])
    close(ops.log_softmax(Tensor(t)), [[-1e4, -2e4, 0]])


def test_softmax_family_with_minus_infinity():
    t = leaf([[0.0, -np.inf, math.log(3)]])
    close(ops.softmax(t), [[0.25, 0, 0.75]])
    close(ops.logsumexp(t, axis=1), [math.log(4)])
    out = ops.log_softmax(t)
    close(out, [[-math.log(4), -np.inf, math.log(0.75)]])
    g = minires.grad(ops.softmax(t), t, Tensor([[1.0, 5.0, 0.0]]))
    close(g, [[0.25 * 0.75, 0, -0.25 * 0.75]])
    g = minires.grad(ops.logsumexp(t, axis=1), t, Tensor([2.0]))
    close(g, [[0.5, 0, 1.5]])


def test_logsumexp_of_huge_values():
    close(ops.logsumexp(Tensor(np.array([1e4, 1e4]))), 1e4 + math.log(2))
    close(ops.logsumexp(Tensor(np.array([-1e4, -1e4]))), -1e4 + math.log(2))


def test_logsumexp_of_nothing_but_minus_infinity():
    with np.errstate(divide="ignore"):
        out = ops.logsumexp(Tensor(np.array([[-np.inf, -np.inf], [0.0, 0.0]])), axis=1)
    close(out, [-np.inf, math.log(2)])


def test_softmax_adds_up_to_one_along_its_axis_only():
    t = normal(2, 3, 4)
    for axis in (0, 1, 2, -1, -2):
        e = np.exp(t)
        close(ops.softmax(Tensor(awkward(t)), axis=axis), e / e.sum(axis=axis, keepdims=True))
        close(
            ops.log_softmax(Tensor(t), axis=axis),
            t - np.log(e.sum(axis=axis, keepdims=True)),
        )


def test_cross_entropy_of_distributions_by_hand():
    logits = Tensor(np.log(np.array([[1.0, 2.0, 5.0], [4.0, 2.0, 2.0]])))
    target = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    first = -(0.5 * math.log(1 / 8) + 0.25 * math.log(2 / 8) + 0.25 * math.log(5 / 8))
    close(ops.cross_entropy(logits, target=target), [first, math.log(4)])


def test_cross_entropy_of_huge_logits_and_of_a_class_ruled_out():
    t = leaf([[1e4, 0.0, -np.inf], [0.0, -np.inf, 0.0]])
    target = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    out = ops.cross_entropy(t, target=target)
    close(out, [1e4, math.log(2)])
    out.backward(Tensor([1.0, 3.0]))
    close(t.grad, [[1, -1, 0], [-1.5, 0, 1.5]])


# ---------------------------------------------------------------------- 0-d and empty


def test_operations_on_tensors_of_no_axes():
    t = leaf(2.0)
    out = (t * 3 + t**2).exp().log().tanh().relu() + t.sum() + t.mean() + t.max()
    assert out.shape == ()
    out.backward()
    assert t.grad.shape == ()
    close(t.grad, 3 + (1 - math.tanh(10.0) ** 2) * 7, rtol=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda t: t + 1,
        lambda t: t * t,
        lambda t: t.exp(),
        lambda t: t.relu(),
        lambda t: t.clip(0.0, 1.0),
        lambda t: ops.softmax(t),
        lambda t: ops.log_softmax(t),
        lambda t: t.reshape(4, 0),
        lambda t: t.transpose(),
        lambda t: t[:, :2],
        lambda t: t.sum(),
        lambda t: t.sum(axis=0),
        lambda t: t.mean(axis=1),
        lambda t: t.max(axis=1),
        lambda t: t.min(axis=-1, keepdims=True),
        lambda t: t.var(axis=1),
        lambda t: ops.logsumexp(t, axis=1),
        lambda t: t @ Tensor(np.ones((4, 3))),
        lambda t: t @ np.ones(4),
        lambda t: minires.concatenate([t, t]),
        lambda t: minires.stack([t, t]),
        lambda t: ops.pad(t, width=((0, 0), (1, 2))),
        lambda t: t[np.array([], int)],
        lambda t: ops.cross_entropy(t, target=np.zeros((0, 4))),
    ],
)
def test_plain_operations_accept_empty_arrays(f):
    t = leaf(np.zeros((0, 4)))
    out = f(t)
    out.backward(Tensor(np.ones(out.shape)))
    assert t.grad.shape == (0, 4)


def test_the_sum_of_nothing_is_zero():
    assert Tensor(np.zeros((0, 3))).sum().item() == 0
    assert Tensor(np.zeros((0, 3))).sum(axis=0).tolist() == [0, 0, 0]


def test_a_gradient_passes_relu_where_the_input_is_nan():
    """As in PyTorch: a NaN is not hidden by a 0, with or without a copy of the gradient's dtype."""
    for dtype in (np.float32, np.float64):
        x = Tensor(np.array([np.nan, -1, 0, 2], dtype), requires_grad=True)
        ops.relu(x).backward(np.array([3, np.inf, np.nan, 5], dtype))
        np.testing.assert_array_equal(x.grad.numpy(), [3, 0, 0, 5])


@pytest.mark.parametrize("softmax", [ops.softmax, ops.log_softmax])
def test_softmax_of_nothing_and_of_one_number(softmax):
    for shape, axis in [((2, 0), 1), ((0, 3), 1), ((0,), 0)]:
        x = leaf(np.zeros(shape))
        y = softmax(x, axis=axis)
        assert y.shape == shape
        y.sum().backward()
        assert x.grad.shape == shape
    number = leaf(3.0)
    y = softmax(number, axis=-1)
    assert (y.shape, y.item()) == ((), 1.0 if softmax is ops.softmax else 0.0)
    y.backward()
    assert number.grad.item() == 0
