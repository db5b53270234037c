"""Max pooling in CUDA C++: exactly what array code finds, and mutants of it."""

import numpy as np
import pytest

from minires import kernels
from on_cupy.cuda_shapes import changed

WINDOWS = [  # kernel, stride, padding
    ((3, 3), (2, 2), (1, 1)),
    ((2, 2), (2, 2), (0, 0)),
    ((3, 2), (1, 2), (1, 0)),
    ((2, 2), (3, 3), (0, 0)),
    ((1, 1), (1, 1), (0, 0)),
    ((2, 3), (1, 1), (1, 1)),
    ((4, 4), (3, 2), (2, 1)),
    ((5, 1), (2, 1), (2, 0)),
]
SIZES = [(1, 5, 5, 1), (2, 9, 8, 5), (1, 7, 7, 4), (3, 6, 10, 3), (1, 12, 5, 33)]
CASES = [(size, *windows) for size in SIZES for windows in WINDOWS]


def wrong(gpu, cases):
    """The cases in which anything differs: ties, NaN and -inf are among the numbers."""
    found = []
    for size, kernel, stride, padding in cases:
        rng = np.random.default_rng(size)
        x = np.round(rng.normal(size=size) * 2).astype(np.float32)
        x[rng.random(size) < 0.05], x[rng.random(size) < 0.1] = np.nan, -np.inf
        windows = {"kernel_size": kernel, "stride": stride, "padding": padding}
        out = kernels.max_pool(x, **windows)
        places = kernels.max_pool_places(x, out, **windows)
        g = np.round(rng.normal(size=out.shape) * 9).astype(np.float32)  # sums are exact
        dx = kernels.max_pool_scatter(g, places, input_size=size[1:3], **windows)
        X, G = gpu.array(x), gpu.array(g)
        Y = kernels.max_pool(X, **windows)
        P = kernels.max_pool_places(X, Y, **windows)
        D = kernels.max_pool_scatter(G, P, input_size=size[1:3], **windows)
        pairs = (Y, out), (P, places), (D, dx)
        if not all(np.array_equal(a.get(), b, equal_nan=a.dtype == "f4") for a, b in pairs):
            found.append((size, kernel, stride, padding))
    return found


def test_every_number_is_array_codes(emulated):
    before = emulated.emulation.overruns()
    assert wrong(emulated, CASES) == []
    assert emulated.emulation.overruns() == before


def test_one_launch_each(emulated):
    x = emulated.cupy.zeros((2, 8, 8, 4), np.float32)
    windows = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)}
    emulated.start_counting()
    out = kernels.max_pool(x, **windows)
    places = kernels.max_pool_places(x, out, **windows)
    kernels.max_pool_scatter(out, places, input_size=(8, 8), **windows)
    assert emulated.counted()["launches"] == 3


MUTANTS = {  # what is wrong: text, and what stands there instead
    "the last of several": ("v > best ||", "v >= best ||"),
    "NaN loses": (" || (v != v && best == best)", ""),
    "a column beyond the image": ("w >= p.W) continue", "w > p.W) continue"),
    "a row beyond the image": ("h >= p.H ||", "h > p.H ||"),
    "rows and columns swapped": ("kh * p.KW + kw;", "kw * p.KH + kh;"),
    "zero is the smallest": ("*place < 0 ||", ""),
    "the first window that holds a pixel left out": (
        "int top = max(0, (h",
        "int top = max(0, (1 + h",
    ),
    "the last window left out": ("i * p.sh - p.ph <= h;", "i * p.sh - p.ph < h;"),
    "padding forgotten": ("(h + p.ph - i * p.sh)", "(h - i * p.sh)"),
    "the last number left out": ("at < (size);", "at < (size) - 1;"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_seen(emulated, name):
    before = emulated.emulation.overruns()
    with changed("pooling.cu", *MUTANTS[name]):
        assert wrong(emulated, CASES[8:16]) or emulated.emulation.overruns() > before
