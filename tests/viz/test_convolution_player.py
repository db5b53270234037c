"""Every number of the convolution's player against plain loops."""

import numpy as np
import pytest
from helpers import conv2d_loops, normal
from reading import numbers, shown

from minires import Tensor, viz


def grid(player, key, shape, step=-1):
    """The numbers of a grid of the drawing at a step."""
    return np.array(
        [[numbers(shown(player, f"{key}:{i},{j}", step))[0] for j in range(shape[1])]
         for i in range(shape[0])]
    )  # fmt: skip


def loops(x, w, dy, stride, padding):
    """dx with its padding, and dw, one product at a time."""
    padded = np.pad(x, ((padding[0],) * 2, (padding[1],) * 2))
    dx, dw = np.zeros(padded.shape), np.zeros(w.shape)
    for i, j, a, b in np.ndindex(*dy.shape, *w.shape):
        at = stride[0] * i + a, stride[1] * j + b
        dx[at] += dy[i, j] * w[a, b]
        dw[a, b] += dy[i, j] * padded[at]
    return padded, dx, dw


CASES = [
    ((4, 5), (3, 3), (2, 2), (1, 1)),
    ((5, 4), (2, 3), (1, 2), (0, 1)),
    ((7, 7), (2, 2), (3, 3), (0, 0)),  # a stride that leaves pixels out
]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), CASES)
def test_every_grid_ends_as_the_loops_say(size, kernel, stride, padding):
    rng = np.random.default_rng(3)
    x, w = rng.integers(-3, 5, size), rng.integers(-2, 3, kernel)
    player = viz.convolution(x, w, stride, padding)
    y = conv2d_loops(x[None, ..., None], w[..., None, None], stride, padding)[0, ..., 0]
    dy = np.arange(1, y.size + 1).reshape(y.shape)
    padded, dx, dw = loops(x, w, dy, stride, padding)
    np.testing.assert_array_equal(grid(player, "x0", padded.shape), padded)
    np.testing.assert_array_equal(grid(player, "w0", w.shape), w)
    np.testing.assert_array_equal(grid(player, "y", y.shape), y)
    np.testing.assert_array_equal(grid(player, "dx0", dx.shape), dx)
    np.testing.assert_array_equal(grid(player, "dw0", w.shape), dw)
    spread = np.zeros(((y.shape[0] - 1) * stride[0] + 1, (y.shape[1] - 1) * stride[1] + 1))
    spread[:: stride[0], :: stride[1]] = dy
    np.testing.assert_array_equal(grid(player, "dy", spread.shape), spread)
    looks = {p.key: p.cls for p in player.scene.parts if hasattr(p, "radius")}
    for i, j in np.ndindex(spread.shape):
        assert looks[f"dy:{i},{j}"] == ("hole" if i % stride[0] or j % stride[1] else "cell")
    ends = player.state(len(player) - 1).classes
    for i, j in np.ndindex(padded.shape):
        inside = all(0 <= k - p < n for k, p, n in zip((i, j), padding, size, strict=True))
        assert looks[f"x0:{i},{j}"] == looks[f"dx0:{i},{j}"] == ("cell" if inside else "padding")
        assert inside or f"dx0:{i},{j}" not in ends  # what fell there is dropped
    texts = " ".join(f.say + f.math + "".join(f.text.values()) for f in player.frames)
    assert "." not in "".join(str(n) for f in player.frames for n in f.text.values())
    assert ".0" not in texts


def test_the_products_of_each_window():
    rng = np.random.default_rng(4)
    x, w = rng.integers(-3, 5, (4, 5)), rng.integers(-2, 3, (3, 2))
    player = viz.convolution(x, w, 2, 1)
    padded = np.pad(x, 1)
    forward = [f for f in player.frames if f.say.startswith("Forward: the window")]
    scatter = [f for f in player.frames if "times the kernel" in f.say]
    dw = [f for f in player.frames if f.say.startswith("Backward: dw")]
    assert (len(forward), len(scatter), len(dw)) == (6, 6, 6)
    for frame, (i, j) in zip(forward, np.ndindex(2, 3), strict=True):
        window = padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 2]
        *head, y = numbers(frame.math)
        products = head[2:]
        assert head[:2] == [i, j]
        assert products == [v for pair in zip(window.flat, w.flat, strict=True) for v in pair]
        assert y == (window * w).sum() == numbers(frame.say)[-1]
        marked = {k for k, v in frame.marks.items() if v == "now" and k.startswith("x0")}
        assert marked == {f"x0:{2 * i + a},{2 * j + b}" for a in range(3) for b in range(2)}
    for n, frame in enumerate(scatter, 1):
        wanted = [v for weight in w.flat for v in (n, weight, n * weight)]
        assert numbers(frame.math) == wanted
    for frame, (a, b) in zip(dw, np.ndindex(3, 2), strict=True):
        under = padded[a : a + 3 : 2, b : b + 5 : 2]
        *terms, total = numbers(frame.math)[2:]
        assert terms == [v for n, p in enumerate(under.flat, 1) for v in (n, p)]
        assert total == (np.arange(1, 7) * under.ravel()).sum()


def test_scatter_add_accumulates():
    player = viz.convolution(np.ones((3, 3), int), np.ones((2, 2), int))
    middle = [shown(player, "dx0:1,1", i) for i in range(len(player))]
    assert list(dict.fromkeys(middle)) == ["", "0", "1", "3", "6", "10"]


def test_channels_are_summed():
    x, w = normal(1, 4, 4, 2), normal(2, 2, 2, 1)
    player = viz.convolution(Tensor(x), w)
    y = conv2d_loops(x, w)[0, ..., 0]
    np.testing.assert_allclose(grid(player, "y", y.shape), y, rtol=1e-3)
    dy = np.arange(1.0, 10).reshape(3, 3)
    for c in range(2):
        _, dx, dw = loops(x[0, ..., c], w[..., c, 0], dy, (1, 1), (0, 0))
        np.testing.assert_allclose(grid(player, f"dx{c}", dx.shape), dx, rtol=1e-3)
        np.testing.assert_allclose(grid(player, f"dw{c}", dw.shape), dw, rtol=1e-3)


def test_every_number_of_every_step():
    """Two channels, unequal strides and paddings: sentences, products and grids by plain loops."""
    rng = np.random.default_rng(5)
    x, w = rng.integers(-4, 5, (3, 4, 2)), rng.integers(-3, 4, (2, 2, 2))
    dy = rng.integers(-2, 6, (4, 2))
    player = viz.convolution(x[None], w[..., None], (1, 2), (1, 0), dy)
    padded = np.pad(x, ((1, 1), (0, 0), (0, 0)))
    frames = iter(enumerate(player.frames))
    _, first = next(frames)
    assert numbers(first.say) == [5, 4, 2, 2, 1, 2, 4, 2]
    assert numbers(first.math) == [2]  # the stride before j
    for i, j in np.ndindex(4, 2):
        k, frame = next(frames)
        at = [(i + a, 2 * j + b) for a in range(2) for b in range(2)]
        factors = [v for c in range(2) for (r, s), u in zip(at, w[..., c].flat, strict=True)
                   for v in (padded[r, s, c], u)]  # fmt: skip
        y = sum(a * b for a, b in zip(factors[::2], factors[1::2], strict=True))
        assert numbers(frame.say) == [i, 2 * j, i, j, y]
        assert numbers(frame.math) == [i, j, *factors, y]
        kernel = {f"w{c}:{a},{b}" for c, a, b in np.ndindex(2, 2, 2)}
        assert {key for key, look in frame.marks.items() if look == "forward"} == kernel
        assert numbers(shown(player, f"y:{i},{j}", k)) == [y]
    _, start = next(frames)
    assert numbers(start.say) == [0]
    dx = np.zeros(padded.shape, int)
    for i, j in np.ndindex(4, 2):
        k, frame = next(frames)
        rows = []
        for c in range(2):
            for a, b in np.ndindex(2, 2):
                rows += [dy[i, j], w[a, b, c], dy[i, j] * w[a, b, c]]
                dx[i + a, 2 * j + b, c] += dy[i, j] * w[a, b, c]
            np.testing.assert_array_equal(grid(player, f"dx{c}", (5, 4), k), dx[..., c])
        assert numbers(frame.say) == [i, j, dy[i, j], i, 2 * j]
        assert numbers(frame.math) == rows
    for c in range(2):
        for a, b in np.ndindex(2, 2):
            k, frame = next(frames)
            met = [(dy[i, j], padded[i + a, 2 * j + b, c]) for i, j in np.ndindex(4, 2)]
            dw = sum(g * v for g, v in met)
            assert numbers(frame.say) == [a, b, c, dw]
            assert numbers(frame.math) == [a, b, c, *(n for pair in met for n in pair), dw]
            spots = {f"dy:{i},{2 * j}" for i, j in np.ndindex(4, 2)}
            under = {f"x{c}:{i + a},{2 * j + b}" for i, j in np.ndindex(4, 2)}
            assert {k for k, look in frame.marks.items() if look == "backward"} == spots
            assert {k for k, look in frame.marks.items() if look == "now"} == under | {
                f"dw{c}:{a},{b}"
            }
            assert numbers(shown(player, f"dw{c}:{a},{b}", k)) == [dw]
    assert next(frames, None) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_stay_whole_however_large(dtype):
    rng = np.random.default_rng(6)
    top = {np.uint8: 256, np.int64: 10**6, bool: 2}[dtype]
    x, w = (rng.integers(0, top, size).astype(dtype) for size in ((1, 4, 4, 4), (3, 3, 4, 1)))
    player = viz.convolution(x, w)
    y = conv2d_loops(x.astype(float), w.astype(float))[0, ..., 0]
    assert [[shown(player, f"y:{i},{j}") for j in range(2)] for i in range(2)] == [
        [str(int(v)) for v in row] for row in y
    ]


def test_integers_that_doubles_would_round_are_refused():
    with pytest.raises(ValueError, match=r"beyond 2 \*\* 53"):
        viz.convolution(np.array([[2**40]]), np.array([[2**20]]))


def test_a_number_that_is_not_finite_spreads_only_where_its_window_was():
    x = np.array([[1.0, 2, 3], [4, np.inf, 6], [7, 8, np.nan]])
    player = viz.convolution(x, [[1.0, 0.5]])
    assert [shown(player, f"y:0,{j}") for j in range(2)] == ["2", "3.5"]
    assert [shown(player, f"y:{i},1") for i in (1, 2)] == ["∞", "NaN"]


def test_every_text_fits_its_cell():
    rng = np.random.default_rng(7)
    for scale in (1.0, 1e-30, 1e20):
        player = viz.convolution(rng.normal(size=(4, 4)) * scale, rng.normal(size=(2, 2)))
        wide = {p.key: p.width for p in player.scene.parts if hasattr(p, "radius")}
        for frame in player.frames:
            for key, text in frame.text.items():
                assert 7.6 * len(text) < wide[key]  # of a font at 12 pixels


def test_what_is_too_large_or_does_not_fit():
    for wrong in ({"stride": 0}, {"stride": (1, -1)}, {"padding": -1}):
        with pytest.raises(ValueError, match="stride of at least 1 and a padding of at least 0"):
            viz.convolution(np.ones((3, 3)), np.ones((1, 1)), **wrong)
    with pytest.raises(ValueError, match="dy wants the output's 2 × 2 numbers, got shape"):
        viz.convolution(np.ones((3, 3)), np.ones((2, 2)), dy=[1, 2, 3])
    with pytest.raises(ValueError, match="x has 2 channels, and w weights for 3"):
        viz.convolution(np.ones((1, 3, 3, 2)), np.ones((1, 1, 3, 1)))
    with pytest.raises(ValueError, match="rows of x differ in length"):
        viz.convolution([[1, 2], [3]], [[1]])
    with pytest.raises(viz.TooLargeError, match="at most 144 pixels"):
        viz.convolution(np.ones((30, 30)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="one image"):
        viz.convolution(np.ones((2, 5, 5, 1)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="one filter"):
        viz.convolution(np.ones((5, 5)), np.ones((3, 3, 1, 2)))
    with pytest.raises(ValueError, match="numbers"):
        viz.convolution([["a"]], [[1]])


def test_its_picture():
    figure = viz.convolution(np.eye(3, dtype=int), np.eye(2, dtype=int)).plot()
    assert {"x", "dx", "dw", "y", "dy"} <= {t.get_text() for t in figure.axes[0].texts}
