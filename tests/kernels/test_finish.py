"""What follows a convolution part by part: where it is told of them, and what it makes of them."""

import threading

import numpy as np
import pytest
from kernels.test_convolution import CASES, LARGE, draw, draw_large

from minires import kernels
from minires.kernels import choose, placement

DRAWN = {**dict.fromkeys(CASES, draw), **dict.fromkeys(LARGE, draw_large)}


def able(x, w, settings):
    for name in choose.ALGORITHMS:
        with kernels.use_algorithm(name):
            try:
                choose.explain(x.shape, w.shape, **settings, dtype=x.dtype)
            except ValueError:
                continue
            yield name


@pytest.mark.parametrize("case", DRAWN)
def test_every_algorithm_tells_of_each_position_once_and_when_it_is_written(case, threads):
    kernels.set_num_threads(2)
    x, w, g, settings = DRAWN[case](case, np.float32)
    place = placement.Placement(
        tuple(-p for p in settings["padding"]),
        settings["stride"],
        settings["dilation"],
        settings["groups"],
    )
    names = list(able(x, w, settings))
    assert "im2col" in names
    for name in names:
        out = np.full(g.shape, np.nan, np.float32)
        matrix, seen = out.reshape(-1, g.shape[3]), np.zeros((g[..., 0].size, g.shape[3]))
        told, lock = np.zeros(len(matrix), int), threading.Lock()

        def done(positions, matrix=matrix, seen=seen, told=told, lock=lock):
            with lock:
                told[positions] += 1
                seen[positions] = matrix[positions]

        choose.ALGORITHMS[name].correlate(x, w, out, place, done)
        assert (told == 1).all()
        np.testing.assert_array_equal(seen, matrix)
        assert np.isfinite(seen).all()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", DRAWN)
def test_one_pass_gives_the_bits_of_two(case, dtype, residual, relu, threads):
    kernels.set_num_threads(2)
    x, w, g, settings = DRAWN[case](case, dtype)
    rng = np.random.default_rng(5)
    scale, shift = rng.standard_normal((2, g.shape[3])).astype(dtype)
    added = [np.asfortranarray(rng.standard_normal(g.shape).astype(dtype))] if residual else []
    for name in able(x, w, settings):
        with kernels.use_algorithm(name):
            found = kernels.conv2d_scale_shift(x, w, scale, shift, *added, relu=relu, **settings)
            expected = kernels.conv2d(x, w, **settings) * scale + shift
        expected = expected + added[0] if residual else expected
        np.testing.assert_array_equal(found, np.maximum(expected, 0) if relu else expected)
        assert found.dtype == dtype


@pytest.mark.parametrize("residual", [False, True])
def test_half_precision_is_rounded_once(residual):
    x, w, g, settings = draw("same", np.float16)
    scale, shift = np.random.default_rng(5).standard_normal((2, g.shape[3])).astype(np.float16)
    added = [g] if residual else []
    found = kernels.conv2d_scale_shift(x, w, scale, shift, *added, relu=True, **settings)
    wide = [a.astype(np.float32) for a in (x, w, scale, shift, *added)]
    exact = kernels.conv2d_scale_shift(*wide, relu=True, **settings)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, exact.astype(np.float16))
