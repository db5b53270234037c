"""An operation keeps its inputs' dtype, whatever scalars and integers come beside them."""

import numpy as np
import pytest
from helpers import close, leaf, normal

import minires
from minires import Tensor

SCALARS = [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2), np.uint8(2), np.bool_(True)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: f"{type(s).__name__}")
def test_scalars_do_not_change_the_dtype(dtype, scalar):
    x = leaf(np.array([1.5, 2.0]), dtype)
    results = [
        x + scalar,
        scalar + x,
        x - scalar,
        scalar - x,
        x * scalar,
        scalar * x,
        x / scalar,
        scalar / x,
        x**scalar,
        scalar**x,
        minires.maximum(x, scalar),
        minires.where(x > 1.7, x, scalar),
    ]
    for result in results:
        assert result.dtype == dtype
        result.sum().backward()
        assert x.grad.dtype == dtype
    a, s = np.array([1.5, 2.0]), float(scalar)
    wanted = [a + s, s + a, a - s, s - a, a * s, s * a, a / s, s / a, a**s, s**a]
    for result, value in zip(results, wanted, strict=False):
        np.testing.assert_allclose(result.numpy(), value, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, bool])
def test_integer_and_boolean_tensors_do_not_change_the_dtype(dtype):
    x = leaf(np.array([1.5, 2.0]), np.float32)
    other = Tensor(np.array([1, 1]).astype(dtype))
    for result in (x * other, other * x, x + other, x / other, other / x):
        assert result.dtype == np.float32
        result.sum().backward()
        assert x.grad.dtype == np.float32
    assert (x * np.array([1, 1]).astype(dtype)).dtype == np.float32
    grad = minires.grad((x * x * other).sum(), x, create_graph=True)
    assert grad.dtype == np.float32


def test_float64_beside_float32_gives_float64_and_gradients_in_each_ones_own():
    x, y = leaf([1.5, 2.0], np.float32), leaf([0.1, 0.2], np.float64)
    z = x * y
    assert z.dtype == np.float64
    z.sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.sum(),
        lambda x: x.mean(),
        lambda x: x.var(ddof=1),
        lambda x: x.std(axis=0),
        lambda x: x.max(),
        lambda x: x.exp(),
        lambda x: (x * x + 1).log(),
        lambda x: x.sigmoid(),
        lambda x: x.tanh(),
        lambda x: x.relu(),
        lambda x: x.clip(-0.5, 0.5),
        lambda x: minires.ops.softmax(x),
        lambda x: minires.ops.log_softmax(x),
        lambda x: minires.ops.logsumexp(x),
        lambda x: minires.ops.leaky_relu(x),
        lambda x: minires.ops.pad(x, width=((1, 1), (0, 0))),
        lambda x: x @ x.T,
        lambda x: x[np.array([0, 0, 1])],
        lambda x: minires.ops.batch_norm(x, x[0] * x[0], x[1]),
        lambda x: x.sum() * x.mean() / x.max(),
        lambda x: 1.0 / (1.0 + x.sum() ** 2) ** 0.5,
    ],
)
def test_float32_stays_float32_forward_backward_and_twice(f):
    x = leaf(normal(3, 4), np.float32)
    out = f(x)
    assert out.dtype == np.float32
    seed = Tensor(normal(*out.shape, dtype=np.float32))
    grad = minires.grad(out, x, seed, create_graph=True)
    assert grad.dtype == np.float32
    assert minires.grad(f(x), x, seed).dtype == np.float32
    if grad.requires_grad:
        assert minires.grad((grad * grad).sum(), x).dtype == np.float32


def test_python_numbers_become_float32():
    assert Tensor(1.5).dtype == np.float32
    assert Tensor(3).dtype == np.float32
    assert Tensor([[1, 2], [3, 4]]).dtype == np.float32
    assert Tensor([True, False]).dtype == bool
    assert Tensor([]).shape == (0,)


def test_arrays_keep_their_dtype_and_are_shared():
    for dtype in (np.float64, np.float32, np.float16, np.int64, np.uint8, bool):
        array = np.ones(3, dtype)
        assert Tensor(array).dtype == dtype
        assert Tensor(array).data is array
    assert Tensor(np.ones(3), dtype=np.float32).dtype == np.float32
    assert Tensor(np.float64(1.5)).dtype == np.float64


@pytest.mark.parametrize("data", ["text", ["a", "b"], None, {"a": 1}, np.array([1j])])
def test_what_is_not_numbers_is_an_error(data):
    with pytest.raises(TypeError, match="a Tensor holds numbers, got"):
        Tensor(data)


def test_array_times_tensor_is_a_tensor():
    array = np.array([2.0, 3.0])
    x = leaf([5.0, 7.0])
    for result, value, slope in [
        (array * x, [10, 21], [2, 3]),
        (array + x, [7, 10], [1, 1]),
        (array - x, [-3, -4], [-1, -1]),
        (array / x, [2 / 5, 3 / 7], [-2 / 25, -3 / 49]),
        (array**x, [32, 2187], [32 * np.log(2), 2187 * np.log(3)]),
        (np.float64(2) * x, [10, 14], [2, 2]),
    ]:
        assert isinstance(result, Tensor)
        close(result, value)
        close(minires.grad(result, x, Tensor([1.0, 1.0])), slope)
    product = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) @ x
    assert isinstance(product, Tensor)
    close(product, [19, 43, 67])


def test_astype_passes_gradients_between_floats_and_none_to_integers():
    x = leaf([1.25, 2.5], np.float32)
    y = x.astype(np.float64)
    assert y.dtype == np.float64
    (y * y).backward(Tensor(np.ones(2)))
    assert x.grad.dtype == np.float32
    close(x.grad, np.array([2.5, 5.0], np.float32))
    assert x.astype(np.float32) is x
    assert not x.astype(np.int64).requires_grad
    assert x.astype(np.int64).tolist() == [1, 2]


# ---------------------------------------------------------------------- Python's protocols


def test_conversions_of_one_element():
    x = leaf([[2.5]])
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert type(x.item()) is float
    assert not bool(Tensor(0.0))
    for convert in (float, int, lambda t: t.item()):
        with pytest.raises(ValueError, match=r"one element.*\(3,\)"):
            convert(Tensor([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"truth.*\(3,\).*ambiguous"):
        bool(Tensor([1.0, 2.0, 3.0]))


def test_length_iteration_and_containment():
    x = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert len(x) == 3
    rows = list(x)
    assert [row.tolist() for row in rows] == [[1, 2], [3, 4], [5, 6]]
    rows[1].backward(Tensor([7.0, 8.0]))
    close(x.grad, [[0, 0], [7, 8], [0, 0]])
    assert 3.0 in Tensor([1.0, 3.0])
    with pytest.raises(TypeError, match="no length"):
        len(Tensor(1.0))


def test_numpy_functions_read_a_tensor():
    x = Tensor(np.array([1.0, 2.0]))
    assert x.numpy() is x.data
    assert np.asarray(x) is x.data
    assert np.asarray(x, np.float32).dtype == np.float32
    assert np.array(x) is not x.data
    np.testing.assert_allclose(x, [1, 2])


def test_tensors_are_told_apart_by_identity_in_sets():
    a, b = Tensor([1.0]), Tensor([1.0])
    assert len({a, b, a}) == 2


def test_repr_shows_values_dtype_and_how_it_was_made():
    assert repr(Tensor([1.0, 2.5])) == "Tensor([1. , 2.5], dtype=float32)"
    assert repr(leaf([1.0])) == "Tensor([1.], dtype=float64, requires_grad=True)"
    assert repr(leaf([1.0]).exp()) == "Tensor([2.71828183], dtype=float64, op=exp)"
    assert "..." in repr(Tensor(np.zeros(1000)))
    assert repr(Tensor(np.arange(4, dtype=np.int64).reshape(2, 2))) == (
        "Tensor([[0, 1],\n        [2, 3]], dtype=int64)"
    )


def test_shape_properties():
    x = Tensor(np.zeros((2, 3, 4)))
    assert (x.shape, x.ndim, x.size, x.device) == ((2, 3, 4), 3, 24, "cpu")
    assert x.T.shape == (4, 3, 2)
    assert x.swapaxes(0, -1).shape == (4, 3, 2)
    assert x.transpose(1, 2, 0).shape == x.transpose((1, 2, 0)).shape == (3, 4, 2)
    assert x.reshape(4, -1).shape == x.reshape((4, -1)).shape == (4, 6)
    assert (+x) is x
