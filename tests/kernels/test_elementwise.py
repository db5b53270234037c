"""ReLU, its gradient and padding, in pieces and in one."""

import numpy as np
import pytest

from minires import kernels, ops
from minires.kernels import elementwise


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("size", [(0, 3), (5,), (), (7, 3, 11), (3, 200, 600)])
def test_relu_and_its_gradient_are_their_definitions(size, dtype, rng):
    x = np.asarray(rng.standard_normal(size), dtype)
    g = np.asarray(rng.standard_normal(size), dtype)
    y = kernels.relu(x)
    dx = kernels.relu_gradient(g, y)
    assert y.dtype == dx.dtype == dtype
    for a, b, out, got in zip(x.flat, g.flat, y.flat, dx.flat, strict=True):
        assert out == (a if a > 0 else 0)
        assert got == (b if a > 0 else 0)


def test_strided_arrays_are_read_as_they_are(rng, monkeypatch):
    monkeypatch.setattr(elementwise, "CHUNK", 10)
    x = rng.standard_normal((6, 8, 10))[::2, ::-1, 1::3]
    g = rng.standard_normal((8, 3, 3)).transpose(1, 0, 2)
    assert np.array_equal(kernels.relu(x), np.where(x > 0, x, 0))
    assert np.array_equal(kernels.relu_gradient(g, kernels.relu(x)), np.where(x > 0, g, 0))


def test_nan_goes_through_and_minus_infinity_becomes_zero():
    y = kernels.relu(np.array([np.nan, -np.inf, np.inf, -0.0]))
    assert np.isnan(y[0])
    assert y[1:].tolist() == [0, np.inf, 0]


@pytest.mark.parametrize("width", [((0, 0), (1, 2), (0, 3)), ((2, 1), (0, 0), (1, 1))])
def test_padding_in_pieces_is_padding(width, rng, monkeypatch):
    monkeypatch.setattr(elementwise, "CHUNK", 10)
    x = rng.standard_normal((9, 4, 5))[:, ::-1]
    padded = ops.pad(x, width=width, value=7.0)
    assert np.array_equal(padded, np.pad(x, width, constant_values=7.0))


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), slice(None, None, 2)),
        (slice(0, 9), slice(1, 4), slice(-3, None)),
        (slice(1, 8, 3),),
        (slice(None), 2),
        (..., slice(1, 3)),
        (slice(None), None, slice(2)),
        slice(3, 5),
    ],
)
def test_values_are_placed_in_pieces_as_at_once(key, rng, monkeypatch):
    expected = np.zeros((9, 4, 5))
    expected[key] = values = rng.standard_normal(expected[key].shape)
    monkeypatch.setattr(elementwise, "CHUNK", 10)
    assert np.array_equal(ops.scatter(values, key=key, shape=(9, 4, 5)), expected)


def test_values_are_stretched_in_pieces_as_at_once(monkeypatch):
    monkeypatch.setattr(elementwise, "CHUNK", 10)
    for values in (np.arange(5.0), np.arange(20.0).reshape(1, 4, 5), np.ones((4, 1))):
        placed = ops.scatter(values, key=(slice(None),), shape=(9, 4, 5))
        assert np.array_equal(placed, np.broadcast_to(values, (9, 4, 5)))
