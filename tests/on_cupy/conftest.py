"""The GPU that a test gets: the stand-in, the emulated one, or (`pytest -m gpu`) a real one."""

from collections.abc import Iterator

import pytest

from minires import backend
from on_cupy import emulation
from on_cupy.devices import Gpu, cupy_is, skip_or_fail
from on_cupy.strict import stand_in


def wants_real_gpu(config: pytest.Config) -> bool:
    """Whether it is run with `-m gpu`."""
    expression = config.getoption("markexpr", "") or ""
    return "gpu" in expression and "not gpu" not in expression


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `gpu` on the stand-in and the emulated GPU, or on the real one.

    A test that takes `counting_gpu` runs on those that count: on the real one it does not.
    """
    emulated = ["emulated"] if emulation.obstacle() is None else []
    if "counting_gpu" in metafunc.fixturenames:
        metafunc.parametrize("gpu_kind", ["strict", *emulated])
    elif "gpu" in metafunc.fixturenames:
        # Warnings of another machine's CuPy are shown; they are no errors of minires.
        marks = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]
        real = [pytest.param("real", marks=marks)]
        metafunc.parametrize(
            "gpu_kind", real if wants_real_gpu(metafunc.config) else ["strict", *emulated]
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compile the kernels with NVRTC last, when all of them are known."""
    items.sort(key=lambda item: item.name.startswith("test_nvrtc"))


# ---------------------------------------------------------------------- fixtures


@pytest.fixture
def gpu(gpu_kind: str) -> Iterator[Gpu]:
    """A GPU, on which `device="cuda"` works while the test runs."""
    if gpu_kind == "real":
        try:
            cupy = backend.load_cupy()
        except backend.DeviceError as error:
            pytest.exit(f"-m gpu wants a GPU. {error}", returncode=1)
        yield Gpu(gpu_kind, cupy)
        backend.use("cpu")
        return
    if gpu_kind == "strict":
        made = Gpu(gpu_kind, stand_in)
    else:
        emulated = emulation.install()
        made = Gpu(gpu_kind, emulated.cupy, emulated)
    with cupy_is(made.cupy):
        made.start_counting()
        yield made
        made.cupy.cuda.Device(0).use()


@pytest.fixture
def counting_gpu(gpu: Gpu) -> Gpu:
    """A GPU that counts."""
    return gpu


@pytest.fixture
def emulated(pytestconfig: pytest.Config) -> Iterator[Gpu]:
    """The emulated GPU; without it the test is skipped or, where CI asks for it, fails."""
    if (obstacle := emulation.obstacle()) is not None:
        skip_or_fail(pytestconfig, obstacle)
    installed = emulation.install()
    with cupy_is(installed.cupy):
        yield Gpu("emulated", installed.cupy, installed)
