"""The real CuPy wheel on its emulated device: that it is there, is the right one, and is real."""

import numpy as np
import pytest

from on_cupy import emulation
from on_cupy.cases import normal
from on_cupy.devices import skip_or_fail
from on_cupy.strict import dump_api


def test_the_emulation_runs_here(emulated):
    """The canary: skipped with the reason where it cannot run, and on CI a failure."""
    assert emulated.cupy.__version__ == emulation.VERSION


def test_the_stand_in_knows_this_cupys_interface(emulated):
    recorded = dump_api.TARGET.read_text()
    assert dump_api.as_text(dump_api.dump(emulated.cupy)) == recorded, (
        "run tests/on_cupy/strict/dump_api.py"
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_equal_numpys(emulated, dtype, transposed):
    a, b = normal(2, 3, 4).astype(dtype), normal(2, 4, 5).astype(dtype)
    x, y = emulated.array(a), emulated.array(b)
    if transposed:
        x, y, a, b = y.transpose(0, 2, 1), x.transpose(0, 2, 1), *_transposed(a, b)
    rtol = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    for got, wanted in (
        (x @ y, a @ b),
        (x[0] @ y[0], a[0] @ b[0]),
        (x[0] @ y[0, :, 0], a[0] @ b[0, :, 0]),
    ):
        np.testing.assert_allclose(got.get(), wanted, rtol=rtol, atol=rtol)


def _transposed(a, b):
    return b.transpose(0, 2, 1), a.transpose(0, 2, 1)


def test_reductions_wait_at_barriers(emulated):
    values = normal(5, 1000)
    got = emulated.array(values).sum(axis=1).get()
    np.testing.assert_allclose(got, values.sum(axis=1), rtol=1e-12)


def test_threads_of_a_block_meet_and_exchange(emulated):
    source = r"""
    extern "C" __global__ void exchange(const float *x, float *y) {
        __shared__ float there[64];
        there[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        float opposite = there[63 - threadIdx.x];
        y[threadIdx.x] = opposite + __shfl_xor_sync(0xffffffff, opposite, 1);
    }"""
    x = np.arange(64, dtype=np.float32)
    y = emulated.cupy.empty(64, np.float32)
    emulated.cupy.RawKernel(source, "exchange")((1,), (64,), (emulated.array(x), y))
    opposite = x[::-1]
    np.testing.assert_array_equal(y.get(), opposite + opposite.reshape(-1, 2)[:, ::-1].ravel())


def test_scattered_additions(emulated):
    total = emulated.cupy.zeros(3)
    emulated.cupy.add.at(total, emulated.array([2, 0, 2]), emulated.array([1.0, 2.0, 3.0]))
    assert total.get().tolist() == [2, 0, 4]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda xp: xp.sort(xp.arange(3.0)),
        lambda xp: xp.fft.fft(xp.ones(4)),
        lambda xp: xp.random.default_rng(0).random(3),
        lambda xp: xp.random.RandomState(0).random_sample(3),
        lambda xp: xp.linalg.svd(xp.ones((2, 2))),
    ],
    ids=["sort", "fft", "default_rng", "RandomState", "svd"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_precompiled_raises_and_gives_no_garbage(emulated, attempt):
    with pytest.raises(Exception):  # noqa: B017, PT011 - which error is up to CuPy
        attempt(emulated.cupy)


# ---------------------------------------------------------------------- NVRTC


def test_nvrtc_compiles_every_kernel_of_this_run(emulated, pytestconfig):
    """conftest.py puts it last, so that it sees them all."""
    from cupy.cuda import compiler
    from cupy_backends.cuda.libs import nvrtc

    try:
        version = ".".join(map(str, nvrtc.getVersion()))
    except Exception as error:  # which one is up to CuPy
        skip_or_fail(pytestconfig, f"no NVRTC: pip install nvidia-cuda-nvrtc ({error})")
    (emulated.array(normal(3, 4)) * 2).sum()  # something, if this test runs alone
    kernels = emulated.emulation.kernels

    def complaint(key):
        """What NVRTC says against a kernel; None once it has compiled it."""
        passed = kernels.folder / f"{key}.nvrtc-{version}"
        if passed.exists():
            return None
        source, options = kernels.sources[key]
        options = (*options, "-arch=compute_90", "--device-as-default-execution-space")
        try:
            compiler._NVRTCProgram(source, "", method="ptx").compile(options)
        except compiler.CompileException as error:
            return f"{error}\n{source[-1000:]}"
        passed.touch()
        return None

    complaints = [text for text in map(complaint, kernels.sources) if text is not None]
    assert kernels.sources
    assert not complaints, f"{len(complaints)} kernels, the first: {complaints[0]}"
