"""No reduction of a large array runs in a few thread blocks: a GPU has a hundred processors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from minires import Tensor, kernels, models, optim
from minires.kernels import reduction
from minires.nn import functional as F

LARGE, BLOCKS = 1 << 20, 64


@pytest.fixture
def held(emulated) -> Callable[[], Any]:
    """`with held():` checks every reduction of more than 1 MB in it. Nothing is computed."""

    @contextmanager
    def holding() -> Iterator[None]:
        with emulated.emulation.logging() as launches, emulated.emulation.counting_only():
            yield
        large = [launch for launch in launches if launch.meets and launch.bytes > LARGE]
        large = [launch for launch in large if launch.kernel not in ("conv_forward", "conv_dx")]
        assert large
        few = [launch for launch in large if launch.blocks < BLOCKS]
        assert not few, few[:3]

    return holding


@pytest.mark.parametrize(
    ("network", "images", "size"),
    [("resnet20", 128, 32), ("resnet18", 8, 224), ("resnet50", 4, 224)],
)
def test_the_reductions_of_a_training_step(emulated, held, network, images, size):
    model = models.create(network, 10, 3).to("cuda")
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, labels = np.zeros((images, size, size, 3), np.float32), np.zeros(images, np.int64)
    with held():
        loss = F.cross_entropy(model(Tensor(x).to("cuda")), labels)
        loss.backward()
        optimizer.step()


SUMS = {  # shape, axes: over leading axes, over all, over trailing axes, over some in between
    "channels of images": ((128, 32, 32, 16), (0, 1, 2)),
    "few channels": ((64, 64, 64, 3), (0, 1, 2)),
    "a prime number of rows": ((524287, 2), (0,)),
    "rows of many": ((600, 1999), (0,)),
    "all": ((1000, 1000), (0, 1)),
    "a few long rows": ((3, 400000), (1,)),
    "between": ((5, 300, 40, 30), (1, 3)),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("function", [kernels.total, kernels.mean])
def test_sums_of_every_kind(emulated, held, name, function):
    shape, axes = SUMS[name]
    x = emulated.cupy.empty(shape, np.float32)
    with held():
        function(x, axis=axes, keepdims=False)


@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_in_stages_are_right(gpu, monkeypatch, keepdims):
    """With small arrays taken for large ones: shapes and axes of every kind, rests and primes."""
    monkeypatch.setattr(reduction, "LARGE", 64)
    monkeypatch.setattr(reduction, "FILLING", 16)
    rng = np.random.default_rng(5)
    for _ in range(100 if gpu.kind == "strict" else 8):
        shape = tuple(rng.integers(1, [13, 9, 7, 5]).tolist())[: rng.integers(1, 5)]
        axes = tuple(np.flatnonzero(rng.random(len(shape)) < 0.6).tolist()) or (0,)
        x = (rng.normal(size=shape) + 1).astype(np.float32)
        wanted = x.sum(axis=axes, keepdims=keepdims, dtype=np.float64)
        got = kernels.total(gpu.array(x), axes, keepdims)
        assert got.shape == wanted.shape, (shape, axes)
        np.testing.assert_allclose(got.get(), wanted, rtol=1e-5, atol=1e-5, err_msg=f"{shape}")
        whole = kernels.total(gpu.array(x.astype(np.int8)), axes, keepdims)
        assert whole.dtype == np.int64
        np.testing.assert_array_equal(whole.get(), x.astype(np.int8).sum(axes, keepdims=keepdims))


def test_a_write_outside_an_array_is_noticed(emulated):
    source = 'extern "C" __global__ void put_one(float *x, int at) { x[at] = 1; }'
    put_one = emulated.cupy.RawKernel(source, "put_one")
    x = emulated.cupy.zeros(3, np.float32)
    for at, more in ((2, 0), (3, 1), (-1, 1)):
        before = emulated.emulation.overruns()
        x = emulated.cupy.zeros(3, np.float32)
        put_one((1,), (1,), (x, np.int32(at)))
        assert emulated.emulation.overruns() == before + more, at


def test_running_backwards_shows_who_depends_on_the_order(emulated):
    source = r"""
    extern "C" __global__ void last_one(int *x) {
        __syncthreads();
        *x = 10 * blockIdx.x + threadIdx.x;
    }
    """
    last_one = emulated.cupy.RawKernel(source, "last_one")
    x = emulated.cupy.zeros(1, np.int32)
    last_one((3,), (5,), (x,))
    assert int(x[0]) == 24
    with emulated.emulation.backwards():
        last_one((3,), (5,), (x,))
    assert int(x[0]) == 0
