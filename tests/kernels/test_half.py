"""float16 arrays are computed with in float32: nothing overflows or is lost inside a sum."""

import numpy as np

from minires import kernels
from minires.kernels import ConvGeometry

SAME = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}


def draw(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float16)


def rounded_once(got, exact):
    """Equal to float32's result rounded to float16, or one step of float16 away."""
    assert got.dtype == np.float16
    wanted = exact.astype(np.float16)
    assert np.all(np.abs(got - wanted) <= np.spacing(np.abs(wanted)))
    return True


def test_convolution_and_its_gradients_are_float32_sums_rounded_once():
    x, w, g = draw(2, 6, 5, 40, seed=0), draw(3, 3, 40, 24, seed=1), draw(2, 6, 5, 24, seed=2)
    X, W, G = (a.astype(np.float32) for a in (x, w, g))
    assert rounded_once(
        kernels.conv2d(x, w, geometry=ConvGeometry(**SAME)),
        kernels.conv2d(X, W, geometry=ConvGeometry(**SAME)),
    )
    assert rounded_once(
        kernels.conv2d_dx(g, w, input_size=(6, 5), geometry=ConvGeometry(**SAME)),
        kernels.conv2d_dx(G, W, input_size=(6, 5), geometry=ConvGeometry(**SAME)),
    )
    assert rounded_once(
        kernels.conv2d_dw(x, g, kernel_size=(3, 3), geometry=ConvGeometry(**SAME)),
        kernels.conv2d_dw(X, G, kernel_size=(3, 3), geometry=ConvGeometry(**SAME)),
    )


def test_a_sum_of_ones_goes_on_beyond_2048():
    x, w = np.ones((1, 1, 1, 4096), np.float16), np.ones((1, 1, 4096, 1), np.float16)
    out = kernels.conv2d(
        x, w, geometry=ConvGeometry(stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)
    )
    assert out.item() == 4096  # in float16, 2048 + 1 is 2048


def test_batch_norm_of_large_activations_does_not_overflow():
    x = (np.random.default_rng(3).standard_normal((40, 30, 4)) * 300 + 500).astype(np.float16)
    exact = x.astype(np.float64)
    mean, var = kernels.moments(x)
    assert mean.dtype == var.dtype == np.float32  # a variance of 90,000 has no float16
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(axis=(0, 1)), rtol=1e-5)
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    inv_std = 1 / np.sqrt(var)
    normal = kernels.normalize(x, mean, inv_std, one, zero)
    assert normal.dtype == np.float16
    expected = (exact - exact.mean(axis=(0, 1))) / exact.std(axis=(0, 1))
    # One step of float16, and near zero float32's rounding of values that are 500 / 300 from it.
    np.testing.assert_allclose(normal, expected, rtol=2**-10, atol=5e-7)
    g = np.ones_like(x)
    sums = kernels.gradient_sums(g, x, mean, inv_std)
    assert sums.dtype == np.float32
    np.testing.assert_array_equal(sums[0], 1200)
    assert kernels.input_gradient(g, x, one, sums, mean, inv_std).dtype == np.float16


def test_other_dtypes_pass_through():
    x, w = draw(1, 4, 4, 3, seed=4).astype(np.float64), draw(3, 3, 3, 2, seed=5).astype(np.float64)
    assert kernels.conv2d(x, w, geometry=ConvGeometry(**SAME)).dtype == np.float64
