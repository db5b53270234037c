"""Each hint, on an implementation that has that mistake."""

import re

import numpy as np
import pytest
from helpers import normal

from minires import ops
from minires.engine import op
from minires.gradcheck import gradcheck, jacobian


def operation(forward, rule):
    def function(x):
        return forward(x)

    made = op(function if isinstance(forward, np.ufunc) else forward)
    made.vjp(rule)
    return made


def hints_of(forward, rule, *inputs):
    report = gradcheck(operation(forward, rule), inputs, raise_exception=False)
    assert not report
    assert report.hints
    assert all(hint in str(report) for hint in report.hints)
    return " | ".join(report.hints)


def weighted(x):
    """Columns times 1, 2, 3 and so on, so that each column's gradient is known apart."""
    return x * np.arange(1.0, 1 + x.shape[-1])


def test_factor_of_n():
    text = hints_of(
        lambda x: x.mean(axis=0), lambda g, x: (np.broadcast_to(g, x.shape),), normal(7, 3)
    )
    assert "off by a factor of 7" in text
    assert "7 is the length of axis 0 of (7, 3): a sum where a mean belongs?" in text


def test_one_over_n():
    text = hints_of(
        lambda x, b: x + b, lambda g: (g, g.mean(axis=(0, 1))), normal(3, 5, 2), normal(2)
    )
    assert "off by a factor of 1/15" in text
    assert "15 is the product of axes 0, 1 of (3, 5, 2): a mean where a sum belongs?" in text


def test_any_factor():
    assert "analytic = 0.97 * numeric" in hints_of(
        np.exp, lambda g, out: (g * out * 0.97,), normal(4)
    )
    assert "factor of 2/3" in hints_of(np.exp, lambda g, out: (g * out / 1.5,), normal(4))


def test_sign():
    assert "the sign is wrong" in hints_of(np.cos, lambda g, x: (g * np.sin(x),), normal(4, 3))


def test_zero():
    assert "zero everywhere" in hints_of(np.exp, lambda g: (g * 0,), normal(4))


def test_should_be_zero():
    assert "should be zero" in hints_of(np.sign, lambda g: (g,), normal(4))


def test_none():
    assert "gave no gradient" in hints_of(np.exp, lambda g: (None,), normal(4))


def test_cut_graph():
    report = gradcheck(lambda x: x.detach() * 2 + x * 0, [normal(3)], raise_exception=False)
    assert "zero everywhere" in report.hints[0]
    report = gradcheck(lambda x: x.detach() * 2, [normal(3)], raise_exception=False)
    assert "the graph was cut" in report.hints[0]


def test_nan():
    def rule(g, x):
        return (np.where(x > 0, g, np.nan),)

    assert "NaN" in hints_of(lambda x: x * 1, rule, normal(4))


def test_function_not_finite_nearby():
    def forward(x):
        return np.where(x == 2, 1.0, np.inf) * np.ones(3)

    report = gradcheck(
        operation(forward, lambda g, x: (g.sum(),)), [np.array(2.0)], raise_exception=False
    )
    assert "NaN or infinite next to this point" in report.hints[0]


def test_transposed():
    def rule(g, x, w):
        return g @ w.T, (x.T @ g).T

    text = hints_of(lambda x, w: x @ w, rule, normal(5, 3), normal(3, 3))
    assert "transposed: analytic = numeric with the axes in the order (1, 0)" in text


def test_back_to_front():
    assert "back to front along axes (1,)" in hints_of(
        weighted, lambda g: (weighted(g)[:, ::-1],), normal(2, 4)
    )


@pytest.mark.parametrize(("by", "sign"), [(1, "-"), (-1, "+")])
def test_shifted_by_one(by, sign):
    def rule(g):
        return (np.roll(weighted(g), by, axis=1),)

    text = hints_of(weighted, rule, normal(3, 5))
    assert f"shifted by 1 along axis 1: analytic[i] = numeric[i {sign} 1]" in text


def test_shifted_along_two_axes():
    def rule(g):
        return (np.roll(g, (1, -2), axis=(1, 2)),)

    assert "shifted by (-1, 2) along axes (1, 2)" in hints_of(
        lambda x: x * 1, rule, normal(2, 5, 6)
    )


def test_constant_along_an_axis():
    def rule(g, x):
        return (np.broadcast_to((g * x).mean(axis=0), x.shape),)

    text = hints_of(lambda x: x * x / 2, rule, normal(4, 3))
    assert "constant along axes (0,), where the numeric gradient varies" in text


def test_right_at_one_index_only():
    def rule(g):
        last = np.zeros_like(g)
        last[-1] = g[-1]
        return (last,)

    assert "right only at index 3 of axis 0" in hints_of(lambda x: x * 1, rule, normal(4, 3))


def test_only_at_the_border():
    def rule(g):
        dx = g.copy()
        dx[:, [0, -1]] *= normal(2, 6)[:, None]
        return (dx,)

    text = hints_of(lambda x: x * 1, rule, normal(2, 5, 6))
    assert "only at the border, the ends of axes (1,)" in text


def test_only_at_kinks():
    x = normal(6, 5)
    x[2, 3] = 0

    def rule(g, x):
        return (g * np.where(x == 0, 7, x > 0),)

    assert "only at kinks" in hints_of(lambda x: np.maximum(x, 0), rule, x)


def test_upstream_ignored():
    text = hints_of(np.tanh, lambda g, out: (1 - out * out,), normal(3, 4))
    assert "the upstream gradient is ignored" in text


def test_a_kink_does_not_hide_a_factor():
    x = normal(6, 5)
    x[2, 3] = 0
    assert "factor of 6" in hints_of(lambda x: np.maximum(x, 0), lambda g, x: (g * 6 * (x > 0),), x)


def test_no_hint_where_nothing_is_known():
    def rule(g, x):
        return (g * normal(3, 4, seed=9),)

    report = gradcheck(
        operation(lambda x: (x * x).sum(), rule), normal(3, 4), raise_exception=False
    )
    assert not report
    assert report.hints == ()


def test_the_formula_alone_is_wrong():
    text = hints_of(np.tanh, lambda g, out: (g * (1 - out),), normal(3, 4))
    assert "passes a gradient on to the right entries of x, but with wrong values" in text


def test_upstream_ignored_in_part():
    def rule(g, x):
        return (g * x + x,)

    text = hints_of(lambda x: x * x, rule, normal(3, 4))
    assert "where all of that is 0, it is not 0" in text


def test_a_power_too_few():
    text = hints_of(lambda x: x**3, lambda g, x: (g * 3 * x,), normal(3, 4))
    assert "analytic = numeric / x: a factor forgotten" in text
    text = hints_of(np.sqrt, lambda g, x: (g / (2 * x),), abs(normal(3, 4)))
    assert "analytic = numeric / out (out is the output)" in text


def test_a_term_forgotten():
    text = hints_of(lambda x: x**3 + x * x, lambda g, x: (g * 3 * x**2,), normal(3, 4))
    assert "analytic - numeric = -2 * g * x (g is the upstream gradient): a term forgotten" in text


def test_passed_on_unchanged():
    assert "passed on unchanged" in hints_of(np.tanh, lambda g: (g,), normal(3, 4))


def test_gradients_exchanged():
    text = hints_of(
        lambda x, y: x * y, lambda g, x, y: (g * x, g * y), normal(3, 4), normal(3, 4, seed=1)
    )
    assert "it is what the numeric gradient with respect to y is: exchanged?" in text


def test_gradients_exchanged_before_they_are_summed():
    def rule(g, x, y):
        return (g * x).sum(0, keepdims=True), (g * y).sum(1, keepdims=True)

    text = hints_of(lambda x, y: x * y, rule, normal(1, 4), normal(3, 1))
    assert "adds up, over broadcast axes, to what the numeric gradient with respect to y" in text


def test_another_factor_for_each_channel():
    scales = np.arange(1.0, 5)
    text = hints_of(lambda x: x * scales, lambda g: (g * 2 + 0 * scales,), normal(3, 4))
    assert "at each index of axis 1: analytic = (2, 1, 0.6667, 0.5) * numeric" in text


def test_a_mean_that_x_goes_through_too():
    text = hints_of(lambda x: x - x.mean(0), lambda g: (g,), normal(5, 3))
    assert "passed on unchanged" in text
    text = hints_of(lambda x: x * 2 - x.mean(0), lambda g: (g * 2,), normal(5, 3))
    assert "the error is the same all along axes (0,)" in text


def test_a_softmax_along_another_axis():
    def softmax(x, axis):
        e = np.exp(x)
        return e / e.sum(axis, keepdims=True)

    def rule(g, x):
        p = softmax(x, 0)
        return (p * (g - (g * p).sum(0)),)

    text = hints_of(lambda x: softmax(x, 1), rule, normal(5, 3))
    assert "adds up to 0 along axis 1, the analytic one does not" in text


def test_a_mask_forgotten():
    text = hints_of(lambda x: x * (x > 0), lambda g: (2 * g - g,), normal(4, 5))
    assert "passed on unchanged" in text
    rule = lambda g, x: (g * np.where(x > 0, 1, x),)  # noqa: E731
    text = hints_of(lambda x: x * (x > 0), rule, normal(4, 5))
    assert re.search(
        r"numeric gradient is zero at \d+ of 20 entries, the analytic one is not", text
    )


def test_one_sample_of_a_sum():
    text = hints_of(lambda x, b: x + b, lambda g: (g, g[-1]), normal(3, 4), normal(4))
    assert "d output / d b, entry by entry: right only at index 2 of axis 0 of the output" in text


def test_a_matrix_that_is_not_transposed():
    text = hints_of(
        lambda x, w: x @ w, lambda g, x, w: (g @ w, x.T @ g), normal(5, 4), normal(4, 4)
    )
    assert "axis 1 of the output and axis 1 of x exchanged: a matrix transposed, or not" in text


def test_a_shortcut_left_out():
    weights = normal(4, 4)
    text = hints_of(lambda x: x + x @ weights, lambda g: (g @ weights.T,), normal(5, 4))
    assert "analytic - numeric = -g (g is the upstream gradient)" in text
    assert "a shortcut" in text


def test_connections_that_are_not_there():
    def rule(g, x):
        chosen = x == x.max(0)
        return (chosen * g[:, None],)

    text = hints_of(lambda x: x.max(1), rule, normal(4, 5))
    assert re.search(r"output\[\d\] does not depend on x\[\d, \d\] here, yet passes", text)


def test_divided_by_the_length_of_the_wrong_axis():
    def rule(g, x):
        return (np.broadcast_to(g / x.shape[1], x.shape),)

    text = hints_of(lambda x: x.mean(0), rule, normal(4, 6))
    assert "factor of 2/3" in text
    assert "lengths of axes 0 and 1 of (4, 6), 4 and 6" in text


def test_the_root_of_a_length():
    text = hints_of(
        lambda q, k: q @ k.T / np.sqrt(q.shape[1]),
        lambda g, q, k: (g @ k, g.T @ q),
        normal(4, 3),
        normal(5, 3),
    )
    assert "sqrt(3). 3 is the length of axis 1 of (4, 3): a scale forgotten?" in text


def test_a_gradient_that_is_zero_but_for_rounding():
    def centred(x, b):
        return (x + b) - (x + b).mean(0)

    text = hints_of(centred, lambda g: (g - g.mean(0), g.sum(0)), normal(5, 3), normal(3))
    assert "should be zero: the output does not depend on this input" in text


def test_nothing_is_measured_apart_where_that_would_take_long(monkeypatch):
    monkeypatch.setattr(jacobian, "MOST_INPUTS", 11)
    report = gradcheck(
        operation(np.tanh, lambda g, out: (g * (1 - out),)), normal(3, 4), raise_exception=False
    )
    assert report.hints == ()


def test_of_many_outputs_some_are_measured(monkeypatch):
    monkeypatch.setattr(jacobian, "MOST_OUTPUTS", 7)
    text = hints_of(np.tanh, lambda g, out: (g * (1 - out),), normal(3, 4))
    assert "passes a gradient on to the right entries" in text


def test_factor_along_random_directions():
    def tripled(x):
        return ops.exp(scaled(x))

    scaled = operation(lambda x: x * 1, lambda g: (g * 3,))
    report = gradcheck(tripled, [normal(3, 4)], mode="directional", raise_exception=False)
    assert "factor of 3" in report.hints[0]
