"""Batch normalisation's array work against the definition."""

import numpy as np
import pytest

from minires import kernels
from minires.kernels import batch_norm, reference

# Some in one chunk, some in several with a rest, some with rows wider than NumPy's buffer.
SHAPES = [(2, 3, 5, 4), (7, 3), (1, 6), (30, 13, 17, 24), (3, 5, 9001)]


def draw(shape, dtype=np.float64):
    rng = np.random.default_rng(5)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(2))
    return 2 * x + 3, g, gamma, beta


def whole(x, g, gamma, beta, eps=1e-5):
    """Forward and backward as a layer puts them together."""
    mean, var = batch_norm.moments(x)
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    sums = batch_norm.gradient_sums(g, x, mean, inv_std)
    dx = batch_norm.input_gradient(g, x, gamma, sums, mean, inv_std)
    return batch_norm.normalize(x, mean, inv_std, gamma, beta), dx, sums[1], sums[0]


def test_against_the_loops():
    x, g, gamma, beta = draw((2, 3, 5, 4))
    out, *gradients = whole(x, g, gamma, beta)
    np.testing.assert_allclose(out, reference.batch_norm(x, gamma, beta), rtol=1e-12, atol=1e-12)
    for fast, slow in zip(gradients, reference.batch_norm_backward(g, x, gamma), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_float64(shape, dtype):
    x, g, gamma, beta = draw(shape, dtype)
    X, G = (a.astype(np.float64).reshape(-1, shape[-1]) for a in (x, g))
    mean, inv_std = X.mean(axis=0), 1 / np.sqrt(X.var(axis=0) + 0.01)
    normal = (X - mean) * inv_std
    scaled = G - (G.sum(axis=0) + normal * (G * normal).sum(axis=0)) / len(X)
    expected = (
        normal * gamma + beta,
        gamma * inv_std * scaled,
        (G * normal).sum(axis=0),
        G.sum(axis=0),
    )
    tolerance = {np.float64: 1e-11, np.float32: 2e-5, np.float16: 0.06}[dtype]
    for fast, slow in zip(whole(x, g, gamma, beta, eps=0.01), expected, strict=True):
        assert fast.dtype == dtype or (dtype == np.float16 and fast.dtype == np.float32)
        slow = slow.reshape(fast.shape)
        error = np.abs(fast.astype(np.float64) - slow).max()
        assert error <= tolerance * max(np.abs(slow).max(), 1, np.sqrt(len(X)))


@pytest.mark.parametrize("offset", [0, 3.9, 100, 10000])
def test_the_variance_does_not_cancel(offset):
    x = np.random.default_rng(6).standard_normal((40, 32, 32, 16)) + offset
    x = x.astype(np.float32)
    mean, var = batch_norm.moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2), dtype=np.float64), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(var, x.var(axis=(0, 1, 2), dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize("offset", [0, 3.9, 4.1, 100])
def test_the_gradients_do_not_cancel(offset):
    rng = np.random.default_rng(6)
    x, g = (rng.standard_normal((40, 32, 32, 16)).astype(np.float32) for _ in range(2))
    g += x  # so that gamma's gradient is no mere noise
    x += np.float32(offset)
    X, G = x.astype(np.float64).reshape(-1, 16), g.astype(np.float64).reshape(-1, 16)
    mean, inv_std = X.mean(axis=0), 1 / X.std(axis=0)
    sums = batch_norm.gradient_sums(g, x, mean.astype(np.float32), inv_std.astype(np.float32))
    np.testing.assert_allclose(sums[0], G.sum(axis=0), atol=0.01)
    np.testing.assert_allclose(sums[1], (G * (X - mean) * inv_std).sum(axis=0), rtol=1e-5)


def test_the_variance_of_two_distant_clusters():
    x = np.random.default_rng(6).standard_normal((50000, 4)).astype(np.float32)
    x[1::2] += 1000
    mean, var = batch_norm.moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(axis=0, dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize(("mean", "std"), [(1e6, 1.0), (1e4, 0.01), (4.2, 1.0), (-40.0, 3.0)])
def test_a_mean_far_from_zero_is_rounded_once(mean, std):
    drawn = np.random.default_rng(6).standard_normal((3000, 16)) * std + mean
    x = drawn.astype(np.float32)
    exact = x.mean(axis=0, dtype=np.float64)
    error = np.abs(batch_norm.moments(x)[0] - exact)
    assert (error <= 0.51 * np.spacing(np.abs(exact).astype(np.float32))).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_mean_over_something_infinite_says_so(value):
    x = np.random.default_rng(6).standard_normal((100, 3)).astype(np.float32)
    x[77, 2] = value
    with np.errstate(invalid="ignore"):
        mean, var = batch_norm.moments(x)
    assert np.array_equal(mean[2], value, equal_nan=True)
    assert not np.isfinite(var[2])
    np.testing.assert_allclose(mean[:2], x[:, :2].mean(axis=0), atol=1e-6)


def test_a_constant_has_no_variance():
    mean, var = batch_norm.moments(np.full((64, 8, 8, 3), 0.1, np.float32))
    np.testing.assert_allclose(mean, 0.1, rtol=1e-6)
    assert (var >= 0).all()
    np.testing.assert_allclose(var, 0, atol=1e-12)


def test_nothing_to_average():
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        batch_norm.moments(np.ones((0, 3)))


def test_inputs_of_any_strides_are_read_and_not_written():
    x, g, gamma, beta = draw((4, 6, 5, 3))
    expected = whole(x, g, gamma, beta)
    awkward = [
        np.asfortranarray(x),
        np.repeat(g, 2, axis=1)[:, ::2],
        gamma[::-1].copy()[::-1],
        beta,
    ]
    for array in awkward:
        array.setflags(write=False)
    for ours, theirs in zip(whole(*awkward), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_any_number_of_threads_gives_the_same_bits(threads):
    arrays = draw((40, 31, 17, 24), np.float32)
    runs = []
    for count in (1, 2, 3):
        kernels.set_num_threads(count)
        runs.append(whole(*arrays))
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(first, second)
