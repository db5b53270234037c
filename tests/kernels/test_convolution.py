"""Every convolution algorithm against the definition in loops, and against its own adjoints."""

from functools import cache

import numpy as np
import pytest

from minires import kernels
from minires.kernels import ConvGeometry, reference
from minires.kernels.convolution import choose, winograd

# N, H, W, C/groups, KH, KW, O/groups, stride, padding, dilation, groups: no two sizes alike
CASES = {
    "plain": (2, 7, 9, 3, 3, 2, 5, (1, 1), (0, 0), (1, 1), 1),
    "same": (2, 9, 13, 4, 3, 3, 5, (1, 1), (1, 1), (1, 1), 1),
    "one tile": (1, 4, 6, 5, 3, 3, 2, (1, 1), (1, 1), (1, 1), 1),
    "ragged tiles": (3, 11, 5, 2, 3, 3, 4, (1, 1), (0, 2), (1, 1), 1),
    "padding beyond the kernel": (2, 3, 4, 2, 3, 3, 5, (1, 1), (4, 3), (1, 1), 1),
    "remainder": (2, 8, 9, 3, 3, 2, 4, (2, 3), (1, 0), (1, 1), 1),
    "stride beyond the kernel": (2, 9, 8, 3, 2, 1, 4, (3, 4), (1, 1), (1, 1), 1),
    "dilated": (2, 9, 10, 3, 3, 2, 4, (1, 1), (2, 1), (2, 3), 1),
    "dilated and strided": (1, 12, 10, 2, 3, 3, 5, (2, 3), (2, 1), (2, 2), 1),
    "dilated along the height": (2, 9, 10, 3, 3, 2, 4, (1, 1), (2, 1), (2, 1), 1),
    "many windows": (1, 29, 41, 2, 3, 2, 3, (1, 1), (1, 0), (1, 1), 1),
    "pointwise": (2, 5, 4, 6, 1, 1, 3, (1, 1), (0, 0), (1, 1), 1),
    "pointwise strided": (2, 7, 6, 3, 1, 1, 5, (2, 3), (0, 0), (1, 1), 1),
    "pointwise padded": (2, 4, 3, 5, 1, 1, 2, (2, 1), (1, 2), (1, 1), 1),
    "a row": (3, 1, 8, 2, 1, 3, 4, (1, 1), (0, 1), (1, 1), 1),
    "groups": (2, 7, 6, 2, 3, 2, 3, (1, 1), (1, 1), (1, 1), 3),
    "groups strided": (2, 7, 6, 3, 2, 3, 2, (2, 1), (0, 1), (1, 2), 2),
    "three high": (2, 15, 7, 3, 3, 5, 4, (1, 1), (2, 4), (1, 1), 1),
    "three high, one wide": (2, 14, 3, 2, 3, 1, 3, (1, 1), (0, 0), (1, 1), 1),
    "three high, mostly padding": (2, 1, 2, 2, 3, 2, 3, (1, 1), (6, 3), (1, 1), 1),
    "depthwise": (2, 8, 6, 1, 3, 2, 1, (1, 1), (1, 0), (1, 1), 5),
    "depthwise strided": (2, 8, 7, 1, 3, 3, 1, (2, 3), (1, 1), (1, 2), 4),
    "depthwise multiplied": (2, 5, 6, 1, 3, 2, 2, (1, 1), (1, 1), (1, 1), 3),
    "no images": (0, 6, 5, 3, 3, 2, 4, (1, 1), (1, 1), (1, 1), 1),
    "no images, grouped and strided": (0, 6, 5, 3, 3, 3, 2, (2, 2), (1, 1), (1, 1), 2),
    "no images, pointwise": (0, 6, 5, 3, 1, 1, 2, (2, 2), (0, 0), (1, 1), 1),
    "no images, same": (0, 6, 5, 3, 3, 3, 4, (1, 1), (1, 1), (1, 1), 1),
}


def draw(case, dtype=np.float64):
    """x, w, g, the settings that all three share, and a dictionary with what each wants besides."""
    N, H, W, C, KH, KW, O, stride, padding, dilation, groups = CASES[case]
    rng = np.random.default_rng(3)
    x = rng.standard_normal((N, H, W, C * groups)).astype(dtype)
    w = rng.standard_normal((KH, KW, C, O * groups)).astype(dtype)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    Ho = (H + 2 * padding[0] - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    Wo = (W + 2 * padding[1] - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    g = rng.standard_normal((N, Ho, Wo, O * groups)).astype(dtype)
    return x, w, g, settings


def all_three(x, w, g, settings, module=kernels):
    """The convolution and its two gradients."""
    along = settings if module is reference else {"geometry": ConvGeometry(**settings)}
    return (
        module.conv2d(x, w, **along),
        module.conv2d_dx(g, w, input_size=x.shape[1:3], **along),
        module.conv2d_dw(x, g, kernel_size=w.shape[:2], **along),
    )


@cache
def loops(case):
    """What the definition gives, in float64."""
    return all_three(*draw(case), reference)


def can_do(algorithm, case):
    x, w, g, settings = draw(case)
    geometry, size = ConvGeometry(**settings), g.shape[1:3]
    problem = choose.Problem(len(x), size, x.shape[3], w.shape[3], w.shape[:2], geometry, g.dtype)
    return choose.ALGORITHMS[algorithm].why_not(problem) is None


PAIRS = [(a, case) for a in choose.ALGORITHMS for case in CASES if can_do(a, case)]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_chosen_algorithm_agrees_with_the_definition(case, dtype):
    x, w, g, settings = draw(case, dtype)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for fast, slow in zip(all_three(x, w, g, settings), loops(case), strict=True):
        assert fast.dtype == dtype
        assert fast.shape == slow.shape
        np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("algorithm", "case"), PAIRS)
def test_a_forced_algorithm_agrees_with_the_definition(algorithm, case):
    x, w, g, settings = draw(case)
    with kernels.use_algorithm(algorithm):
        for fast, slow in zip(all_three(x, w, g, settings), loops(case), strict=True):
            assert fast.shape == slow.shape
            np.testing.assert_allclose(fast, slow, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("algorithm", "case"), PAIRS)
def test_the_three_are_adjoint(algorithm, case):
    x, w, g, settings = draw(case)
    with kernels.use_algorithm(algorithm):
        out, dx, dw = all_three(x, w, g, settings)
    np.testing.assert_allclose(np.vdot(dx, x), np.vdot(out, g), rtol=1e-11)
    np.testing.assert_allclose(np.vdot(dw, w), np.vdot(out, g), rtol=1e-11)


# Large enough for several blocks, bands of one image, slices of channels and partial sums.
LARGE = {
    "many images": ((40, 18, 14, 12), (3, 3, 12, 20), (1, 1), (1, 1), 1),
    "one image": ((1, 90, 70, 24), (3, 3, 24, 40), (1, 1), (1, 1), 1),
    "few images, strided": ((3, 41, 36, 32), (3, 3, 32, 24), (2, 2), (1, 1), 1),
    "many channels": ((2, 7, 6, 192), (3, 3, 192, 130), (1, 1), (1, 1), 1),
    "many channels, many tiles": ((9, 15, 13, 132), (3, 3, 132, 140), (1, 1), (1, 1), 1),
    "many channels pointwise": ((3, 9, 8, 600), (1, 1, 600, 130), (1, 1), (0, 0), 1),
    "pointwise strided": ((9, 29, 26, 40), (1, 1, 40, 30), (2, 2), (0, 0), 1),
    "stem": ((5, 62, 50, 3), (7, 7, 3, 16), (2, 2), (3, 3), 1),
    "groups": ((5, 28, 26, 24), (3, 3, 4, 30), (1, 1), (1, 1), 6),
    "many groups": ((3, 14, 12, 40), (3, 3, 4, 30), (1, 1), (1, 1), 10),
    "depthwise": ((9, 30, 26, 24), (3, 3, 1, 24), (1, 1), (1, 1), 24),
}


def draw_large(case, dtype):
    x_shape, w_shape, stride, padding, groups = LARGE[case]
    rng = np.random.default_rng(4)
    x = rng.standard_normal(x_shape).astype(dtype)
    w = rng.standard_normal(w_shape).astype(dtype)
    settings = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": groups}
    g = rng.standard_normal(kernels.conv2d(x, w, geometry=ConvGeometry(**settings)).shape).astype(
        dtype
    )
    return x, w, g, settings


def by_taps(x, w, g, settings):
    """The three, a tap at a time: slow for small images, but fast enough for large ones."""
    (sh, sw), (ph, pw), groups = settings["stride"], settings["padding"], settings["groups"]
    KH, KW, Cg, O = w.shape
    Ho, Wo = g.shape[1:3]
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    out, dx, dw = np.zeros_like(g), np.zeros_like(padded), np.zeros_like(w)
    for i in range(groups):
        c, o = slice(i * Cg, (i + 1) * Cg), slice(i * O // groups, (i + 1) * O // groups)
        for k in range(KH):
            for l in range(KW):
                rows = slice(k, k + (Ho - 1) * sh + 1, sh)
                columns = slice(l, l + (Wo - 1) * sw + 1, sw)
                piece = padded[:, rows, columns, c]
                out[..., o] += piece @ w[k, l, :, o]
                dx[:, rows, columns, c] += g[..., o] @ w[k, l, :, o].T
                dw[k, l, :, o] = np.tensordot(piece, g[..., o], ((0, 1, 2), (0, 1, 2)))
    H, W = x.shape[1:3]
    return out, dx[:, ph : ph + H, pw : pw + W], dw


@cache
def exact_large(case):
    return by_taps(*draw_large(case, np.float64))


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE)
@pytest.mark.parametrize("algorithm", [None, *choose.ALGORITHMS])
def test_large_shapes(case, algorithm):
    x, w, g, settings = draw_large(case, np.float64)
    expected = exact_large(case)
    if algorithm is None:
        found = all_three(x, w, g, settings)
    else:
        with kernels.use_algorithm(algorithm):
            try:
                found = all_three(x, w, g, settings)
            except ValueError:
                return
    for fast, slow in zip(found, expected, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9 * np.abs(slow).max())


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize("case", ["many images", "one image", "many channels, many tiles"])
def test_winograd_in_several_batches(case, algorithm, monkeypatch):
    monkeypatch.setattr(winograd, "BATCH", 1 << 15)
    with kernels.use_algorithm(algorithm):
        found = all_three(*draw_large(case, np.float64))
    for fast, slow in zip(found, exact_large(case), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9 * np.abs(slow).max())


@pytest.mark.parametrize("case", LARGE)
def test_any_number_of_threads_gives_the_same_bits(case, threads):
    x, w, g, settings = draw_large(case, np.float32)
    runs = []
    for count in (1, 2, 3, 3):
        kernels.set_num_threads(count)
        runs.append(all_three(x, w, g, settings))
    for other in runs[1:]:
        for first, second in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("case", ["same", "remainder", "pointwise strided", "groups", "depthwise"])
def test_inputs_of_any_strides_are_read_and_not_written(case):
    x, w, g, settings = draw(case)
    expected = all_three(x, w, g, settings)
    awkward = [np.asfortranarray(x), w.T.copy().T, np.repeat(g, 2, axis=2)[:, :, ::2]]
    for array in awkward:
        array.setflags(write=False)
    for ours, theirs in zip(all_three(*awkward, settings), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    reverse = [array[::-1] for array in (x, g)]
    np.testing.assert_allclose(
        kernels.conv2d_dw(
            reverse[0], reverse[1], kernel_size=w.shape[:2], geometry=ConvGeometry(**settings)
        ),
        expected[2],
        rtol=1e-12,
        atol=1e-12,
    )


def test_results_are_contiguous_and_own_their_memory():
    x, w, g, settings = draw_large("many images", np.float32)
    first = all_three(x, w, g, settings)
    copies = [array.copy() for array in first]
    all_three(x + 1, w + 1, g + 1, settings)
    for array, copy in zip(first, copies, strict=True):
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, copy)


def test_half_precision_stays_half_precision():
    x, w, g, settings = draw("same", np.float16)
    for array, exact in zip(
        all_three(x, w, g, settings), all_three(*draw("same")[:3], settings), strict=True
    ):
        assert array.dtype == np.float16
        assert np.abs(array - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("algorithm", "bound"),
    [("im2col", 4e-7), ("winograd1d", 5e-7), ("winograd2", 8e-7), ("winograd4", 1.6e-6)],
)
def test_float32_error(algorithm, bound):
    """The root mean square error; 4x4 tiles lose half a digit, the others hardly any."""
    x, w, g, settings = draw_large("one image", np.float32)
    exact = by_taps(*(array.astype(np.float64) for array in (x, w, g)), settings)
    with kernels.use_algorithm(algorithm):
        for found, true in zip(all_three(x, w, g, settings), exact, strict=True):
            assert np.linalg.norm(found - true) < bound * np.linalg.norm(true)


def test_a_nan_stays_where_the_definition_puts_it():
    """Winograd spreads one over its tile, but exact algorithms must not."""
    x, w, _, settings = draw("same")
    x[1, 4, 6, 2] = np.nan
    out = kernels.conv2d(x, w, geometry=ConvGeometry(**settings))
    expected = np.zeros(out.shape, bool)
    expected[1, 3:6, 5:8] = True
    np.testing.assert_array_equal(np.isnan(out), expected)
