"""Operations that a user defines with `@op`: everything a rule may ask for, and its mistakes."""

import inspect

import numpy as np
import pytest
from helpers import check_gradients, close, leaf, normal

import minires
from minires import Tensor
from minires.engine import op
from minires.errors import BackwardError


def define(forward, rule):
    operation = op(forward)
    if rule is not None:
        operation.vjp(rule)
    return operation


def cube(x):
    return x**3


def test_an_operation_with_a_rule_has_derivatives_of_all_orders():
    operation = define(cube, lambda g, x: (g * 3 * x * x,))
    check_gradients(operation, normal(3, 4))


def test_a_rule_that_asks_for_the_output():
    def inverse(x):
        return 1 / x

    check_gradients(define(inverse, lambda g, out: (-g * out * out,)), normal(3) + 3)


def test_a_rule_that_asks_for_what_the_forward_saved():
    def scaled_by_sign(x):
        sign = np.sign(x)
        return x * sign * 2, sign

    operation = define(scaled_by_sign, lambda g, saved: (g * saved * 2,))
    check_gradients(operation, normal(3, 4))
    out, saved = operation(Tensor([-1.0, 2.0]), with_saved=True)
    close(out, np.array([2, 4], np.float32))
    assert isinstance(saved, np.ndarray)
    close(saved, [-1, 1])
    assert isinstance(operation(Tensor([-1.0])), Tensor)


def test_a_rule_that_asks_for_a_shape_and_for_constants():
    def repeated_sum(x, *, times=2, offset):
        return x.sum() * times + offset

    def rule(g, x_shape, times, offset):
        assert offset == 5.0
        return (g * times * np.ones(x_shape),)

    operation = define(repeated_sum, rule)
    for options, factor in [({}, 2), ({"times": 7}, 7)]:
        x = leaf(normal(2, 3))
        operation(x, offset=5.0, **options).backward()
        close(x.grad, np.full((2, 3), factor))


def test_a_rule_that_asks_for_everything_in_any_order():
    def affine(x, y, *, scale=3.0):
        return scale * x * y, "note"

    def rule(g, saved, y_shape, needs, y, scale, out, x):
        assert saved == "note"
        assert y_shape == (3,)
        assert needs == (True, True)
        np.testing.assert_allclose(out, scale * x * y)
        return g * scale * y, g * scale * x

    x, y = leaf(normal(2, 3)), leaf(normal(3))
    g = normal(2, 3)
    define(affine, rule)(x, y).backward(Tensor(g))
    close(x.grad, 3 * g * y.numpy())
    close(y.grad, (3 * g * x.numpy()).sum(axis=0))


def test_an_operation_of_any_number_of_arrays():
    def total(*xs):
        return sum(xs)

    operation = define(total, lambda g, needs: tuple(g for _ in needs))
    x, y = leaf([1.0]), leaf([2.0])
    operation(x, y, x, Tensor(np.array([5.0]))).backward()
    close(x.grad, [2.0])
    close(y.grad, [1.0])


def test_arrays_alone_give_an_array():
    operation = define(cube, None)
    result = operation(np.array([2.0]))
    assert isinstance(result, np.ndarray)
    close(result, [8.0])


def test_an_operation_without_a_rule_says_so_in_backward():
    x = leaf([1.0])
    y = define(cube, None)(x)
    with pytest.raises(BackwardError, match=r"cube, made at .*test_own_operations.py:\d+, has no"):
        y.backward()


def test_a_wrong_rule_is_caught_by_finite_differences():
    for wrong in [
        lambda g, x: (g * 3 * x,),
        lambda g, x: (-g * 3 * x * x,),
        lambda g, x: (3 * x * x,),
        lambda g, x: (g * 0,),
        lambda g, x: (None,),
        lambda g, x: (g.sum() * 3 * x * x,),
    ]:
        with pytest.raises(AssertionError, match="first derivative by argument 0"):
            check_gradients(define(cube, wrong), normal(3))


def test_a_rule_right_once_and_wrong_twice_is_caught_by_second_differences():
    def rule(g, x):
        return (g * 3 * minires.engine.raw(x) ** 2,)  # the raw array has lost its origin

    with pytest.raises(AssertionError, match="second derivative by argument 0"):
        check_gradients(define(cube, rule), normal(3))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda g: (g, g), "gave 2 gradients, for 1 arguments"),
        (lambda g: (), "gave 0 gradients, for 1 arguments"),
        (lambda g: g, "must give a tuple, not a ndarray"),
        (lambda g: None, "must give a tuple, not a NoneType"),
        (lambda g: (g[:2],), r"gradient of shape \(2,\), its argument has \(3,\)"),
        (lambda g: (g.sum(),), r"gradient of shape \(\), its argument has \(3,\)"),
        (
            lambda g: (g.reshape(3, 1) * np.ones((3, 2)),),
            r"shape \(3, 2\), its argument has \(3,\)",
        ),
        (lambda g: (g @ np.ones(7),), "matmul|mismatch"),
        (lambda g: (undefined,), "undefined"),  # noqa: F821
    ],
)
def test_a_faulty_rule_names_the_operation_and_the_forward_line(rule, message):
    operation = define(cube, rule)
    x = leaf([1.0, 2.0, 3.0])
    y, here = operation(x), inspect.currentframe().f_lineno
    with pytest.raises(BackwardError, match=message) as caught:
        y.backward(Tensor(np.ones(3)))
    assert f"in the backward of cube, made at {__file__}:{here}" in str(caught.value)


def test_mistakes_in_a_definition_are_found_at_once():
    with pytest.raises(TypeError, match="first parameter of cube's rule must be g, not x"):
        define(cube, lambda x, g: (g,))
    with pytest.raises(TypeError, match="cube's rule asks for y, which the forward lacks"):
        define(cube, lambda g, y: (g,))
    with pytest.raises(TypeError, match=r"only keywords .* may have defaults"):
        op(lambda x, scale=2.0: x * scale)


def test_arrays_by_keyword_are_refused_rather_than_mixed_up():
    x = leaf([1.0])
    with pytest.raises(TypeError, match=r"divide takes 2 arrays by position \(x, y\), got 1"):
        minires.ops.divide(x, y=2.0)
    with pytest.raises(TypeError, match=r"exp takes 1 arrays by position .x., got 2"):
        minires.ops.exp(x, x)


def test_an_operation_shows_its_name_and_signature():
    assert repr(minires.ops.conv2d).startswith("<operation conv2d(x:")
    assert "Slide each filter" in minires.ops.conv2d.__doc__
    assert "x + y" in minires.ops.add.__doc__
