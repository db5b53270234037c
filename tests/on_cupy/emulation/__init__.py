"""The real CuPy wheel on a machine without a GPU.

CuPy's Python and Cython run as they are: dispatch, broadcasting, type promotion, strides, and the
CUDA C++ that it writes for each operation. Below that, `driver.cpp`, `blas.cpp` and `runtime.py`
stand in for CUDA, and g++ compiles the CUDA C++ against `device.h` instead of NVRTC.

What needs precompiled device code (sorting, CUB, FFT, CuPy's own random numbers) cannot work and
raises. Fresh memory is full of NaN. docs/cupy.md says what all this shows and what it does not.
"""

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from on_cupy.emulation import build, compiler, runtime

VERSION = "14.2.0"
"""The CuPy that this was written against: its internals are replaced, so no other will do."""

_installed: "Emulation | None" = None


class Launch(NamedTuple):
    """A launch of a kernel.

    Attributes
    ----------
    kernel : str
    blocks, threads : int
        Of the grid, and of each block.
    meets : bool
        Whether threads of a block wait for each other, as in every reduction.
    bytes : int
        From where the first argument points to the end of that array; 0 if it is no array.
    moved : int
        The same of all arguments together: an array that is read and written counts twice if it is
        two arguments.
    """

    kernel: str
    blocks: int
    threads: int
    meets: bool
    bytes: int
    moved: int


class _Launch(ctypes.Structure):
    """As in driver.cpp."""

    _fields_: ClassVar = [
        ("kernel", ctypes.c_char_p),
        ("blocks", ctypes.c_uint),
        ("threads", ctypes.c_uint),
        ("meets", ctypes.c_int),
        ("bytes", ctypes.c_longlong),
        ("moved", ctypes.c_longlong),
    ]


class Emulation:
    """CuPy as a module, and counts of what it asked of the device."""

    def __init__(self, cupy: ModuleType, libraries: Any, parts: Any) -> None:
        self.cupy = cupy
        self.kernels: compiler.Compiler = parts[1]
        self._driver, self._blas = libraries
        self._driver.emulated_log.restype = ctypes.POINTER(_Launch)
        self._driver.emulated_log_size.restype = ctypes.c_longlong
        self._driver.emulated_overruns.restype = ctypes.c_longlong
        self._runtime: runtime.Runtime = parts[0]

    def counts(self) -> dict[str, int]:
        """Since the start: launches, products (cuBLAS calls), copies by kind, synchronisations."""
        return {
            "launches": ctypes.c_longlong.in_dll(self._driver, "emulated_launches").value,
            "products": ctypes.c_longlong.in_dll(self._blas, "emulated_products").value,
            **self._runtime._counts,
        }

    def overruns(self) -> int:
        """How many arrays so far had something written before their first or after their last byte.

        Reading there gives NaN.
        """
        return int(self._driver.emulated_overruns())

    @contextmanager
    def backwards(self) -> Iterator[None]:
        """Run the last block and the last thread first: a race that one order hides shows."""
        flag = ctypes.c_int.in_dll(self._driver, "emulated_backwards")
        flag.value = 1
        try:
            yield
        finally:
            flag.value = 0

    @contextmanager
    def logging(self) -> Iterator[list[Launch]]:
        """A list that has every launch of the `with` block once that ends."""
        flag = ctypes.c_int.in_dll(self._driver, "emulated_logging")
        launches: list[Launch] = []
        self._driver.emulated_forget_log()
        flag.value = 1
        try:
            yield launches
        finally:
            flag.value = 0
            log = self._driver.emulated_log()
            for i in range(self._driver.emulated_log_size()):
                values = (getattr(log[i], name) for name, _ in _Launch._fields_)
                name, blocks, threads, meets, *bytes_ = values
                launches.append(Launch(name.decode(), blocks, threads, bool(meets), *bytes_))

    @contextmanager
    def counting_only(self) -> Iterator[None]:
        """Count, and compute nothing: every array that is made inside holds garbage."""
        flags = [
            ctypes.c_int.in_dll(self._driver, "emulated_launches_only"),
            ctypes.c_int.in_dll(self._blas, "emulated_products_only"),
        ]
        for flag in flags:
            flag.value = 1
        try:
            yield
        finally:
            for flag in flags:
                flag.value = 0


@cache
def obstacle() -> str | None:
    """Why the emulation cannot run here, in words; None if it can."""
    if sys.platform != "linux":
        return f"the emulated driver is for Linux, not for {sys.platform}"
    names = importlib.metadata.packages_distributions().get("cupy", [])
    if not names:
        return f"CuPy is not installed: pip install cupy-cuda13x=={VERSION}"
    version = importlib.metadata.version(names[0])
    if names[0] != "cupy-cuda13x" or version != VERSION:
        return (
            f"{names[0]} {version} is installed, and the emulation replaces the internals of "
            f"cupy-cuda13x {VERSION}: see docs/cupy.md on how to move it on"
        )
    for tool in (build.CXX, "nm"):
        if shutil.which(tool) is None:
            return f"there is no {tool} to build the emulated driver with: install g++"
    return None


def install(with_cublas: bool = True) -> Emulation:
    """Import CuPy on the emulated device; the same object each time.

    Parameters
    ----------
    with_cublas : bool
        Otherwise it is as on a machine with a GPU's driver, and without the toolkit's libraries.

    Raises
    ------
    RuntimeError
        If CuPy was imported before, on whatever there is.
    """
    global _installed
    if _installed is None:
        _installed = _install(with_cublas)
    return _installed


def _install(with_cublas: bool) -> Emulation:
    if "cupy_backends" in sys.modules:
        raise RuntimeError("CuPy has been imported already: the emulation must come first")
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB is precompiled device code
    folder = build.cache_folder(VERSION)
    backends = Path(importlib.util.find_spec("cupy_backends").origin).parent
    paths = build.build_libraries(folder, backends)
    # With these names loaded, CuPy's extensions are linked to them and not to CUDA's.
    driver = ctypes.PyDLL(str(paths["driver.cpp"]), ctypes.RTLD_GLOBAL)
    blas = ctypes.CDLL(str(paths["blas.cpp"]), ctypes.RTLD_GLOBAL)

    import cupy_backends.cuda.api.runtime as cupy_runtime

    emulated = runtime.Runtime(driver)
    runtime.put_in_place(emulated, cupy_runtime)

    if with_cublas:
        # Left to itself, CuPy would look for the real library's file first.
        importlib.import_module("cupy_backends.cuda.libs.cublas")
    import cupy
    import cupy.cuda.compiler as cupy_compiler

    includes = Path(cupy.__file__).parent / "_core" / "include"
    kernels = compiler.Compiler(folder, includes)
    compiler.put_in_place(kernels, cupy_compiler)
    cupy.cuda.set_allocator(None)  # no pool: no array starts with the values of an old one
    cupy.random.default_rng = _no_random_numbers
    return Emulation(cupy, (driver, blas), (emulated, kernels))


def _no_random_numbers(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError("CuPy's random numbers are precompiled device code")
