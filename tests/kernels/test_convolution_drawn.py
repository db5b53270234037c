"""Convolutions of drawn sizes by every algorithm that can do them: definition and adjoints."""

import numpy as np
import pytest
from helpers import awkward, normal
from hypothesis import given, settings
from hypothesis import strategies as st

from minires import kernels
from minires.kernels import ConvGeometry, reference
from minires.kernels.convolution import choose

pytestmark = pytest.mark.slow

LAYOUTS = {"C": np.array, "F": lambda a: np.array(a, order="F"), "awkward": awkward}


@st.composite
def convolutions(draw, algorithm):
    """Shapes of x and w, the walk, and how the arrays lie in memory; half of them plain walks."""

    def pair(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    plain = draw(st.booleans())
    kernel = draw(st.sampled_from([(1, 1), (3, 3)])) if plain else pair(1, 3)
    depthwise = algorithm == "depthwise" or draw(st.integers(0, 5)) == 0
    groups = 1 if plain and not depthwise else draw(st.integers(1, 3))
    channels = 1 if depthwise else draw(st.integers(1, 3))
    filters = groups * (1 if depthwise else draw(st.integers(1, 3)))
    walk = {
        "stride": (1, 1) if plain else pair(1, 3),
        "padding": pair(0, 2),
        "dilation": (1, 1) if plain else pair(1, 2),
        "groups": groups,
    }
    size = tuple(
        max(d * (k - 1) + 1 - 2 * p, 1) + draw(st.integers(0, 5))
        for k, p, d in zip(kernel, walk["padding"], walk["dilation"], strict=True)
    )
    images = draw(st.integers(0, 2))
    lie = [draw(st.sampled_from(sorted(LAYOUTS))) for _ in range(3)]
    return (images, *size, channels * groups), (*kernel, channels, filters), walk, lie


def can_do(algorithm, drawn):
    x_shape, w_shape, walk, _ = drawn
    kernel, geometry = w_shape[:2], ConvGeometry(**walk)
    size = geometry.output_size(x_shape[1:3], kernel)
    problem = choose.Problem(
        x_shape[0], size, x_shape[3], w_shape[3], kernel, geometry, np.dtype("float64")
    )
    return choose.ALGORITHMS[algorithm].why_not(problem) is None


@pytest.mark.parametrize("algorithm", choose.ARRAY_CODE)
def test_an_algorithm_does_what_it_can_do(algorithm):
    seen = set()

    @settings(derandomize=True, database=None, max_examples=25)
    @given(convolutions(algorithm).filter(lambda drawn: can_do(algorithm, drawn)))
    def check(drawn):
        x_shape, w_shape, walk, lie = drawn
        seen.add((x_shape, w_shape, *walk.values()))
        wanted = reference.conv2d(x := normal(*x_shape), w := normal(*w_shape), **walk)
        g = normal(*wanted.shape, seed=1)
        x, w, g = (LAYOUTS[name](a) for name, a in zip(lie, (x, w, g), strict=True))
        with kernels.use_algorithm(algorithm):
            out = kernels.conv2d(x, w, geometry=ConvGeometry(**walk))
            dx = kernels.conv2d_dx(g, w, input_size=x.shape[1:3], geometry=ConvGeometry(**walk))
            dw = kernels.conv2d_dw(x, g, kernel_size=w.shape[:2], geometry=ConvGeometry(**walk))
        np.testing.assert_allclose(out, wanted, rtol=1e-10, atol=1e-10)
        assert (dx.shape, dw.shape) == (x.shape, w.shape)
        scale = 1e-11 * (1 + np.abs(wanted * g).sum())
        np.testing.assert_allclose(np.vdot(dx, x), np.vdot(out, g), rtol=0, atol=scale)
        np.testing.assert_allclose(np.vdot(dw, w), np.vdot(out, g), rtol=0, atol=scale)
        y, v = normal(*x_shape, seed=2), normal(*w_shape, seed=3)  # adjoint everywhere, not at x
        along_x = np.vdot(reference.conv2d(y, w, **walk), g)
        along_w = np.vdot(reference.conv2d(x, v, **walk), g)
        np.testing.assert_allclose(np.vdot(dx, y), along_x, rtol=0, atol=10 * scale)
        np.testing.assert_allclose(np.vdot(dw, v), along_w, rtol=0, atol=10 * scale)

    check()
    assert len(seen) > 10
