"""What kernels in CUDA C++ take of a GPU is recorded for those of today, and none spills."""

import numpy as np
import pytest

from benchmarks import markdown
from benchmarks.gpu import nvrtc, registers
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.cuda import convolution
from on_cupy.devices import skip_or_fail

AGAIN = "python -m benchmarks.gpu.registers"


@pytest.fixture(scope="module")
def recorded():
    return registers.recorded()


@pytest.fixture
def compiler(pytestconfig):
    """NVRTC, with which nothing here runs on a GPU."""
    try:
        nvrtc.version()
    except nvrtc.NoCompiler as error:
        skip_or_fail(pytestconfig, str(error))
    return nvrtc


def test_every_kernel_as_it_is_now_is_recorded(recorded):
    sources = {source for source, _ in registers.variants()}
    assert recorded["digests"] == {name: registers.digest(name) for name in sources}, AGAIN
    compiled = [(variant["source"], variant["macros"]) for variant in recorded["variants"]]
    assert compiled == list(registers.variants()), AGAIN
    for variant in recorded["variants"]:
        assert variant["on"].keys() == registers.ARCHITECTURES.keys()
        text = (registers.FOLDER / variant["source"]).read_text(encoding="utf-8")
        for kernels in variant["on"].values():
            assert text.count("__global__") == len(kernels), variant["source"]


def test_none_spills_or_uses_local_memory(recorded):
    assert registers.slow(recorded) == []
    for variant in recorded["variants"]:
        for kernels in variant["on"].values():
            assert all(0 < found["registers"] <= registers.MOST for found in kernels.values())


def test_the_table_is_what_is_recorded(recorded):
    page = registers.DOCS.read_text(encoding="utf-8")
    assert markdown.block(page, "registers") == registers.table(recorded), AGAIN


def test_macros_of_every_convolution_are_among_the_variants():
    """Of drawn problems, on arrays that lie at any address."""
    rng = np.random.default_rng(0)
    used = set()
    for _ in range(300):
        C, O = (int(n) for n in rng.choice([1, 3, 4, 16, 24, 64, 130, 512], 2))
        side, images = int(rng.integers(1, 40)), int(rng.integers(1, 300))
        shapes = (images, side, side, C), (3, 3, C, O), (images, side, side, O)
        problem = convolution._problem(*shapes, ConvGeometry(padding=(1, 1)))
        array = _At(16 * int(rng.integers(9)) + int(rng.choice([0, 0, 4])))
        rows = images * side * side
        *_, macros = convolution._tile(problem, str(rng.choice(["C", "O"])), rows, array)
        assert macros in convolution.variants()
        used.add(tuple(macros.values()))
    assert len(used) == len(convolution.variants())


class _At:
    """An array as far as its address goes."""

    def __init__(self, address):
        self.data, self.ptr = self, address


def test_todays_compiler_finds_the_same(compiler, recorded):
    """Of one file; another version of the compiler may count otherwise, but must not spill."""
    found = registers.measure("batch_norm.cu", {}, "sm_90")
    if compiler.version() == recorded["nvrtc"]:
        variants = {variant["source"]: variant["on"] for variant in recorded["variants"]}
        assert found == variants["batch_norm.cu"]["sm_90"]
    assert all(not kernel["local"] and not kernel["spills"] for kernel in found.values())


def test_local_memory_and_spills_are_noticed(compiler):
    """An array that is indexed by what is known late; more numbers than there are registers."""
    source = """
    extern "C" __global__ void late(float *x, int n) {
        float there[300];
        for (int i = 0; i < 300; i++) there[i] = x[i];
        x[n] = there[(int)there[n % 300] % 300];
    }
    extern "C" __global__ void __launch_bounds__(1024, 2) many(float *x) {
        float sums[64];
        for (int i = 0; i < 64; i++) sums[i] = x[i * 1024 + threadIdx.x];
        __syncthreads();
        for (int i = 0; i < 64; i++) x[i * 1024 + threadIdx.x] = sums[i] * sums[63 - i];
    }"""
    found = compiler.compiled(source, "sm_90", ())
    assert found["late"].local >= 256
    assert found["many"].spills > 0
    results = {"variants": [{"macros": {}, "on": {"sm_90": {}}}]}
    results["variants"][0]["on"]["sm_90"] = {k: v._asdict() for k, v in found.items()}
    assert len(registers.slow(results)) == 2


def test_what_is_no_cuda_is_refused(compiler):
    with pytest.raises(compiler.CompileError, match=r"sm_90: .*error"):
        compiler.compiled("nonsense", "sm_90", ())
