"""Gradient clipping, by norm and by value."""

import numpy as np
import pytest

from minires import Tensor
from minires.optim import clip_grad_norm_, clip_grad_value_


def with_gradients(*gradients, dtype="float32"):
    """Parameters with these gradients; None makes one without."""
    parameters = []
    for gradient in gradients:
        array = np.array(0.0 if gradient is None else gradient, dtype)
        parameter = Tensor(np.zeros_like(array), requires_grad=True)
        parameter.grad = None if gradient is None else Tensor(array)
        parameters.append(parameter)
    return parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_norm_above_the_limit_is_scaled_down_to_it(dtype):
    a, b, c = with_gradients([[1.0, -2.0], [2.0, 4.0]], None, 12.0, dtype=dtype)  # norm 13
    arrays = [a.grad.data, c.grad.data]
    norm = clip_grad_norm_([a, b, c], 6.5)
    assert isinstance(norm, Tensor)
    assert (norm.shape, norm.dtype, float(norm)) == ((), dtype, 13.0)
    np.testing.assert_allclose(a.grad.data, [[0.5, -1.0], [1.0, 2.0]], rtol=1e-6)
    np.testing.assert_allclose(c.grad.data, 6.0, rtol=1e-6)
    assert b.grad is None
    assert a.grad.data is arrays[0]  # in place
    assert c.grad.data is arrays[1]
    assert a.grad.dtype == c.grad.dtype == dtype


def test_the_scale_is_limit_over_norm_plus_a_millionth():
    (a,) = with_gradients([3e-6, 4e-6], dtype="float64")
    clip_grad_norm_(a, 1e-6)
    np.testing.assert_allclose(a.grad.data, np.array([3e-6, 4e-6]) / 6, rtol=1e-12)


@pytest.mark.parametrize("limit", [5.1, 1e30, float("inf")])
def test_a_norm_below_the_limit_is_left_to_the_bit(limit):
    a, b = with_gradients([3.0, 0.1], [4.0])
    clip_grad_norm_([a, b], limit)
    assert a.grad.data.tolist() == np.array([3.0, 0.1], "float32").tolist()
    assert b.grad.data.tolist() == [4.0]


def test_gradients_of_two_dtypes_keep_them():
    (a,), (b,) = with_gradients([3.0]), with_gradients([4.0], dtype="float64")
    norm = clip_grad_norm_([a, b], 1.0)
    assert float(norm) == 5.0
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.8], rtol=1e-6)


def test_without_gradients_the_norm_is_zero():
    for parameters in ([], with_gradients(None)):
        norm = clip_grad_norm_(parameters, 1.0)
        assert (norm.shape, float(norm)) == ((), 0.0)
    (zeros,) = with_gradients([0.0, 0.0])
    assert float(clip_grad_norm_([zeros], 1.0)) == 0.0
    assert zeros.grad.data.tolist() == [0.0, 0.0]


def test_a_generator_is_enough():
    parameters = with_gradients([3.0], [4.0])
    assert float(clip_grad_norm_((p for p in parameters), 1.0)) == 5.0
    np.testing.assert_allclose(parameters[1].grad.data, [0.8], rtol=1e-6)
    clip_grad_value_((p for p in parameters), 0.7)
    np.testing.assert_allclose(parameters[1].grad.data, [0.7], rtol=1e-6)


def test_gradients_from_one_sum_are_scaled_once_each():
    """The gradients of `a + b` are equal; were they one array, each would be scaled twice."""
    a, b = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    (8.0 * (a + b)).sum().backward()
    clip_grad_norm_([a, b], 2.0**0.5)
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [1.0, 1.0], rtol=1e-6)


def test_values_are_clipped_on_both_sides():
    a, b, c = with_gradients([-3.0, -0.5, 0.0, 0.5, 3.0], None, 2.0)
    array = a.grad.data
    assert clip_grad_value_([a, b, c], 1.5) is None
    assert array.tolist() == [-1.5, -0.5, 0.0, 0.5, 1.5]
    assert (c.grad.item(), c.grad.dtype) == (1.5, np.float32)


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
@pytest.mark.parametrize(
    ("clip", "name"), [(clip_grad_norm_, "max_norm"), (clip_grad_value_, "clip_value")]
)
def test_the_limit_must_be_positive(clip, name, limit):
    with pytest.raises(ValueError, match=rf"{name} must be in \(0, inf\], got"):
        clip(with_gradients([1.0]), limit)
    with pytest.raises(TypeError, match=f"{name} must be a number, got None"):
        clip(with_gradients([1.0]), None)
