"""Pooling against the definitions."""

import itertools

import numpy as np
import pytest

from minires import kernels
from minires.kernels import pooling, reference

SIZES = [
    ((2, 3), (1, 1), (1, 1)),
    ((3, 2), (2, 3), (1, 0)),
    ((2, 2), (2, 2), (0, 0)),
    ((1, 2), (3, 1), (0, 1)),
]
IMAGES = [(2, 9, 7, 3), (0, 6, 5, 2), (5, 4, 6, 1)]
CASES = [
    (shape, {"kernel_size": kernel, "stride": stride, "padding": padding})
    for shape, (kernel, stride, padding) in itertools.product(IMAGES, SIZES)
]


def draw(shape, kind="normal", dtype=np.float64):
    x = np.random.default_rng(7).standard_normal(shape).astype(dtype)
    if kind == "ties":
        x = np.round(x)
    if kind == "infinite":
        x[x < 0.5] = -np.inf
    if kind == "nan":
        x[x > 1] = np.nan
    return x


def maxima(x, **settings):
    """The largest values and their places."""
    out = pooling.max_pool(x, **settings)
    return out, pooling.max_pool_places(x, out, **settings)


@pytest.mark.parametrize("kind", ["normal", "ties", "infinite", "nan"])
@pytest.mark.parametrize(("shape", "settings"), CASES)
def test_max_pool(shape, settings, kind):
    x = draw(shape, kind)
    out, indices = maxima(x, **settings)
    expected, places = reference.max_pool(x, **settings)
    assert out.dtype == x.dtype
    assert indices.dtype == np.uint8
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_array_equal(pooling.max_pool_gather(x, indices, **settings), out)


@pytest.mark.parametrize(("shape", "settings"), CASES)
def test_max_pool_scatter_is_the_adjoint_of_gather(shape, settings):
    x = draw(shape)
    out, indices = maxima(x, **settings)
    g = np.random.default_rng(8).standard_normal(out.shape)
    dx = pooling.max_pool_scatter(g, indices, input_size=shape[1:3], **settings)
    other = np.random.default_rng(9).standard_normal(shape)
    gathered = pooling.max_pool_gather(other, indices, **settings)
    np.testing.assert_allclose(np.vdot(dx, other), np.vdot(g, gathered), rtol=1e-12)


@pytest.mark.parametrize(("shape", "settings"), CASES)
def test_avg_pool(shape, settings):
    x = draw(shape)
    out = pooling.avg_pool(x, **settings)
    np.testing.assert_allclose(out, reference.avg_pool(x, **settings), rtol=1e-12, atol=1e-15)
    g = np.random.default_rng(8).standard_normal(out.shape)
    dx = pooling.avg_pool_dx(g, input_size=shape[1:3], **settings)
    assert dx.shape == shape
    np.testing.assert_allclose(np.vdot(dx, x), np.vdot(g, out), rtol=1e-12)


def test_the_first_of_equal_maxima_wins():
    out, indices = maxima(
        np.full((1, 4, 4, 1), 2.0), kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)
    )
    assert out.min() == 2
    # A corner's window begins outside the image; its first cell inside is the fifth.
    assert indices[0, :, :, 0].tolist() == [[4, 3, 3, 3], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64])
def test_dtypes_and_strides(dtype):
    settings = {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 1)}
    x = np.asfortranarray((draw((3, 8, 7, 4)) * 10).astype(dtype))
    x.setflags(write=False)
    out, indices = maxima(x, **settings)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, reference.max_pool(x, **settings)[0])
    np.testing.assert_array_equal(indices, reference.max_pool(x, **settings)[1])


def test_a_window_with_more_places_than_a_byte_counts():
    x = draw((1, 18, 20, 1))
    settings = {"kernel_size": (17, 19), "stride": (1, 1), "padding": (0, 0)}
    out, indices = maxima(x, **settings)
    assert indices.dtype == np.uint16
    np.testing.assert_array_equal(indices, reference.max_pool(x, **settings)[1])
    np.testing.assert_array_equal(out, reference.max_pool(x, **settings)[0])


def test_any_number_of_threads_gives_the_same_bits(threads):
    x = draw((9, 40, 36, 24), dtype=np.float32)
    settings = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)}
    runs = []
    for count in (1, 2, 3):
        kernels.set_num_threads(count)
        out, indices = maxima(x, **settings)
        runs.append(
            [
                out,
                indices,
                pooling.max_pool_scatter(out, indices, input_size=(40, 36), **settings),
                pooling.avg_pool(x, **settings),
                pooling.avg_pool_dx(out, input_size=(40, 36), **settings),
            ]
        )
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(first, second)
