"""Batch norm's sums in CUDA C++ against float64, and mutants of them."""

import numpy as np
import pytest

from minires import Tensor, kernels, nn
from minires.kernels.cuda import batch_norm
from on_cupy.cuda_shapes import changed, error

SHAPES = [  # channels around the 32 threads of a row; rows for one block and for several
    *[(rows, C) for rows in (2, 3, 33, 300) for C in (1, 2, 3, 5, 16, 31, 32, 33, 64, 130)],
    *[(4, 7, 5, 16), (1, 9, 9, 33), (8, 4, 4, 64), (700, 3), (1, 1, 2, 200), (2, 5, 5, 7)],
]


def checked(gpu, shape, offset=0.5, seed=0):
    """The largest error over statistics, running statistics and gradient sums."""
    rng = np.random.default_rng([seed, *shape])
    x, g = (rng.normal(size=shape).astype(np.float32) + np.float32(off) for off in (offset, 0))
    C, axes = shape[-1], tuple(range(len(shape) - 1))
    running = rng.normal(size=C).astype(np.float32), rng.random(C).astype(np.float32)
    wide, count = x.astype(np.float64), x.size // C
    mean, var = wide.mean(axes), wide.var(axes)
    inv_std = 1 / np.sqrt(var + 1e-5)
    moved = gpu.array(running[0]), gpu.array(running[1])
    found = batch_norm.statistics(gpu.array(x), 1e-5, *moved, 0.3)
    on_gpu = gpu.array(mean, np.float32), gpu.array(inv_std, np.float32)
    sums = batch_norm.gradient_sums(gpu.array(g), gpu.array(x), *on_gpu)
    centred = (wide - mean.astype(np.float32)) * inv_std
    pairs = [
        (found[0], mean),
        (found[1], var),
        (found[2], inv_std),
        (moved[0], 0.7 * running[0] + 0.3 * mean),
        (moved[1], 0.7 * running[1] + 0.3 * var * count / (count - 1)),
    ]
    errors = [error(got, wanted) for got, wanted in pairs]
    # of sums relative to what was added up: they may cancel
    sizes = np.abs(g).sum(axes).max(), np.abs(g * centred).sum(axes).max()
    wanted = g.astype(np.float64).sum(axes), (g * centred).sum(axes)
    for got, want, size in zip(sums.get(), wanted, sizes, strict=True):
        errors.append(float(np.nan_to_num(np.abs(got - want) / size, nan=1).max()))
    return max(errors), [found.get(), sums.get(), *(m.get() for m in moved)]


def test_float64_agrees_for_every_shape(emulated):
    before = emulated.emulation.overruns()
    worst = {shape: checked(emulated, shape)[0] for shape in SHAPES}
    assert max(worst.values()) < 1e-6, max(worst, key=worst.get)
    assert emulated.emulation.overruns() == before


def test_a_mean_far_from_zero_costs_no_digits(emulated):
    assert checked(emulated, (300, 5), offset=100.0)[0] < 2e-5  # x itself has 7 digits


@pytest.mark.parametrize("shape", [(300, 33), (700, 3)])
def test_the_order_of_blocks_and_threads_changes_no_bit(emulated, shape):
    _, forwards = checked(emulated, shape)
    with emulated.emulation.backwards():
        _, backwards = checked(emulated, shape)
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one, other)


def test_not_a_number_stays(emulated):
    x = emulated.cupy.ones((4, 3), np.float32)
    x[2, 1] = np.nan
    assert np.isnan(batch_norm.statistics(x, 1e-5, None, None, 0.1).get()[:, 1]).all()


def test_a_layer_takes_two_launches_each_way(emulated):
    layer = nn.BatchNorm2d(5).to("cuda")
    x = Tensor(np.ones((2, 3, 3, 5), np.float32), requires_grad=True, device="cuda")
    emulated.start_counting()
    y = layer(x)
    assert emulated.counted()["launches"] == 2 + 1  # and the number of batches
    g = Tensor(np.ones(y.shape, np.float32), device="cuda")
    emulated.start_counting()
    y.backward(g)
    assert emulated.counted()["launches"] <= 2 + 3  # and the leaves' copies


def test_what_does_not_fit_is_left_to_array_code(emulated):
    x = np.random.default_rng(0).normal(size=(40, 3))
    with emulated.emulation.logging() as launches:
        mean, var, _ = kernels.statistics(emulated.array(x), 1e-5)
        kernels.statistics(emulated.array(x, np.float32), 1e-5)
    names = [launch.kernel for launch in launches]
    assert names.count("norm_statistics") == 1
    np.testing.assert_allclose(mean.get(), x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(var.get(), x.var(0), rtol=1e-12)


MUTANTS = {  # what is wrong: text, and what stands there instead
    "no wait before the threads' sums are read": (
        "second;\n        __syncthreads();\n        if (y == 0)",
        "second;\n        if (y == 0)",
    ),
    "no wait for who was last": (
        "gridDim.x - 1;\n    __syncthreads();",
        "gridDim.x - 1;",
    ),
    "one buffer for both sums": ("found[1]", "found[0]"),
    "the last thread's sum left out": ("other < high", "other < high - 1"),
    "rows overlap": ("row += gridDim.x * high", "row += gridDim.x * high - 1"),
    "the last row left out": ("row < rows;", "row < rows - 1;"),
    "channels beyond the last": ("if (y == 0 && c < C) finish", "if (y == 0) finish"),
    "partial sums beyond the last channel": ("if (y == 0 && c < C) {", "if (y == 0) {"),
    "a block left out": ("block < (int)gridDim.x;", "block < (int)gridDim.x - 1;"),
    "not counted down": ("arrived[blockIdx.y] = 0", "arrived[blockIdx.y] = 1"),
    "whoever comes first finishes": ("== gridDim.x - 1", "== 0"),
    "the biased variance kept": ("var * rows / (rows - 1.0)", "var"),
    "the wrong sign": ("(double)x[at] - mean[c]", "mean[c] - x[at]"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_seen(emulated, name):
    with changed("batch_norm.cu", *MUTANTS[name]):
        batch_norm._arrived.cache_clear()
        before = emulated.emulation.overruns()
        wrong = []
        for shape in ((300, 33), (33, 5), (300, 33)):
            off, forwards = checked(emulated, shape)
            with emulated.emulation.backwards():
                off_too, backwards = checked(emulated, shape)
            same = all(map(np.array_equal, forwards, backwards))
            wrong.append(max(off, off_too) > 1e-6 or not same)
        overran = emulated.emulation.overruns() > before
    batch_norm._arrived.cache_clear()
    assert any(wrong) or overran
