"""The convolution in CUDA C++ and its gradients against float64, and mutants of them."""

import numpy as np
import pytest

from minires import kernels
from minires.backend import to_host
from minires.kernels import ConvGeometry
from minires.kernels.cuda import convolution
from on_cupy.cuda_shapes import changed, error

CASES = [  # N, H, W, C, O, kernel, stride, padding, dilation, groups
    (2, 8, 8, 16, 16, 3, 1, 1, 1, 1),
    (2, 9, 7, 16, 32, 3, 2, 1, 1, 1),
    (1, 11, 13, 3, 16, 3, 1, 1, 1, 1),
    (1, 15, 13, 3, 64, 7, 2, 3, 1, 1),
    (3, 6, 6, 32, 64, 1, 1, 0, 1, 1),
    (2, 7, 7, 32, 64, 1, 2, 0, 1, 1),
    (1, 8, 8, 64, 64, 3, 1, 1, 1, 1),
    (1, 6, 6, 64, 128, 3, 2, 1, 1, 1),
    (1, 5, 5, 64, 130, 3, 1, 1, 1, 1),
    (2, 10, 9, 5, 7, 3, 1, 0, 1, 1),
    (2, 10, 9, 5, 7, (3, 2), (2, 3), (1, 0), (1, 2), 1),
    (1, 9, 9, 8, 12, 3, 1, 2, 2, 1),
    (2, 8, 8, 16, 16, 3, 1, 1, 1, 4),
    (2, 9, 9, 12, 18, 3, 2, 1, 1, 3),
    (1, 8, 8, 32, 32, 3, 1, 1, 1, 32),
    (1, 4, 4, 4, 4, 5, 1, 2, 1, 1),
    (1, 7, 5, 6, 6, (1, 3), 1, (0, 1), 1, 2),
    (1, 12, 12, 8, 8, 3, 3, 1, 1, 1),
    (4, 3, 3, 16, 16, 3, 1, 1, 1, 1),
    (1, 10, 10, 4, 8, 4, (2, 2), 1, (3, 1), 1),
    (1, 14, 14, 20, 36, 3, 2, 1, 1, 1),
    (1, 9, 9, 4, 4, 2, 3, 0, 1, 1),
    (1, 1, 1, 1, 1, 1, 1, 0, 1, 1),
    (5, 1, 1, 7, 10, 1, 1, 0, 1, 1),
    (1, 6, 8, 8, 8, 3, 1, (-1, -2), 1, 1),
]
WALKS = [(1, 1, 1), (2, 1, 1), (1, 2, 2), (3, 0, 1), ((1, 2), (0, 1), (2, 1)), ((2, 3), 2, 1)]


def drawn(count):
    """So many cases of small odd sizes."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        C, O = (groups * int(n) for n in rng.integers(1, 14, 2))
        N, (H, W), kernel = int(rng.integers(1, 4)), rng.integers(5, 10, 2), rng.integers(1, 4, 2)
        stride, padding, dilation = WALKS[rng.integers(len(WALKS))]
        yield N, int(H), int(W), C, O, tuple(kernel.tolist()), stride, padding, dilation, groups


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def checked(gpu, case, seed=0):
    """The largest error of the forward pass, with and without its end, and of both gradients."""
    N, H, W, C, O, kernel, stride, padding, dilation, groups = case
    kernel, geometry = pair(kernel), ConvGeometry(*map(pair, (stride, padding, dilation)), groups)
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)

    x, w, scale, shift = normal(N, H, W, C), normal(*kernel, C // groups, O), normal(O), normal(O)
    y = kernels.conv2d(x, w, geometry=geometry)
    g, residual = normal(*y.shape), normal(*y.shape)
    X, K, G, S, T, R = (gpu.array(a, np.float32) for a in (x, w, g, scale, shift, residual))
    out = gpu.cupy.empty(y.shape, np.float32)
    convolution.forward(X, K, out, geometry, S, T, R, relu=True)
    sizes = {"input_size": (H, W)}, {"kernel_size": kernel}
    wanted = [
        y,
        kernels.conv2d_dx(g, w, geometry=geometry, **sizes[0]),
        kernels.conv2d_dw(x, g, geometry=geometry, **sizes[1]),
        np.maximum(y * scale + shift + residual, 0),
    ]
    with kernels.use_algorithm("cuda"):
        found = [
            kernels.conv2d(X, K, geometry=geometry),
            kernels.conv2d_dx(G, K, geometry=geometry, **sizes[0]),
            kernels.conv2d_dw(X, G, geometry=geometry, **sizes[1]),
            out,
        ]
    return max(map(error, found, wanted)), list(map(to_host, found))


@pytest.mark.parametrize("cases", [CASES, list(drawn(25))], ids=["chosen", "drawn"])
def test_float64_agrees_for_every_shape(emulated, cases):
    before = emulated.emulation.overruns()
    worst = {case: checked(emulated, case)[0] for case in cases}
    assert max(worst.values()) < 3e-6, max(worst, key=worst.get)
    assert emulated.emulation.overruns() == before


@pytest.mark.parametrize("case", [CASES[1], CASES[10]])
def test_the_order_of_blocks_and_threads_changes_no_bit(emulated, case, monkeypatch):
    monkeypatch.setattr(convolution, "FEWEST", 8)
    _, forwards = checked(emulated, case)
    with emulated.emulation.backwards():
        off, backwards = checked(emulated, case)
    assert off < 3e-6
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_chosen_for_float32_on_a_gpu(emulated):
    shapes = (2, 8, 8, 16), (3, 3, 16, 16)
    for dtype, device in (("f4", "cuda"), ("f8", "cuda"), ("f4", "cpu"), ("f2", "cuda")):
        chosen = kernels.explain(*shapes, dtype=np.dtype(dtype), device=device)
        names = {choice.name for choice in chosen.values()}
        assert (names == {"cuda"}) == ((dtype, device) == ("f4", "cuda")), (dtype, device)


def test_one_launch_each_and_two_for_split_sums(emulated):
    x = emulated.cupy.zeros((4, 12, 12, 8), np.float32)
    w = emulated.cupy.zeros((3, 3, 8, 8), np.float32)
    same = ConvGeometry(padding=(1, 1))
    with emulated.emulation.logging() as launches, emulated.emulation.counting_only():
        kernels.conv2d(x, w, geometry=same)
        kernels.conv2d_dx(x, w, input_size=(12, 12), geometry=same)
        kernels.conv2d_dw(x, x, kernel_size=(3, 3), geometry=same)
    names = [launch.kernel for launch in launches]
    assert names == ["conv_forward", "conv_dx", "conv_dw", "add_shares"]


LOOP = "left.put(a[now ^ 1]), right.put(b[now ^ 1]);\n            __syncthreads();"
MUTANTS = {  # what is wrong, by no more than a fence catches: text, and what stands there instead
    "no barrier after the first tiles": (
        "left.put(a[0]), right.put(b[0]);\n        __syncthreads();",
        "left.put(a[0]), right.put(b[0]);",
    ),
    "no barrier in the loop": (LOOP, LOOP.replace("\n            __syncthreads();", "")),
    "one buffer used twice": ("now ^ 1", "now"),
    "a tap off by one": ("tap % p.KW * p.dw}", "(tap + 1) % p.KW * p.dw}"),
    "a term too few": ("return k < rows ?", "return k < rows - 1 ?"),
    "terms beyond the last": ("return k < rows ?", "return k <= rows ?"),
    "a row beyond the last written": ("count = m < positions ?", "count = m <= positions ?"),
    "filters beyond the last written": (
        "if (e < count) to[e]",
        "if (count > 0 && e <= count) to[e]",
    ),
    "windows to the right of the image": ("(unsigned)w < p.W", "(unsigned)w <= p.W"),
    "windows below the image": ("(unsigned)h < p.H", "(unsigned)h <= p.H"),
    "windows above and left of the image": ("(unsigned)h < p.H", "h < p.H"),
    "a pixel beyond the last of a phase": ("if (m >= pixels) return;", "if (m > pixels) return;"),
    "another tile's rows": ("blockIdx.x * BM + i, o", "blockIdx.x * (BM - 4) + i, o"),
    "another tile's filters": ("o = blockIdx.y * BN + j, count", "o = j, count"),
    "a phase's first tap": ("if (found == 0) *start = k;", "if (found == 0) *start = 0;"),
    "shares that overlap": ("last = min(positions, first + share)", "last = positions"),
    "a share left out": ("s < shares; s++", "s < shares - 1; s++"),
    "the last position left out": (
        "min(positions, first + share)",
        "min(positions - 1, first + share)",
    ),
    "no residual": ("if (residual) y +=", "if (false) y +="),
    "ReLU of what is not to have it": ("relu && y <= 0", "y <= 0"),
}
SEEN_BY = [(2, 9, 9, 5, 18, 3, 2, 1, 1, 1), (3, 7, 8, 8, 20, 3, 1, 1, 1, 1)]


def test_those_shapes_are_right(emulated, monkeypatch):
    monkeypatch.setattr(convolution, "FEWEST", 8)
    assert max(checked(emulated, case)[0] for case in SEEN_BY) < 3e-6


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_seen(emulated, monkeypatch, name):
    monkeypatch.setattr(convolution, "FEWEST", 8)
    monkeypatch.setattr(convolution, "TILES", {1 << 30: convolution.TILES[16]})
    with changed("convolution.cu", *MUTANTS[name]):
        before, wrong = emulated.emulation.overruns(), False
        for case in SEEN_BY:
            wrong = wrong or checked(emulated, case)[0] > 3e-6
            with emulated.emulation.backwards():
                wrong = wrong or checked(emulated, case)[0] > 3e-6
        assert wrong or emulated.emulation.overruns() > before
