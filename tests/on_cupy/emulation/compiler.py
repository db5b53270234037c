"""CuPy's kernels compiled by g++ for `driver.cpp`, in place of NVRTC for a GPU."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from on_cupy.emulation.build import CXX, HERE, run

FLAGS = ["-std=c++17", "-O1", "-w", "-fpermissive", "-fPIC"]
PREFIX = "emulated:"  # as in driver.cpp
KERNEL = re.compile(
    r'(?:extern\s*"C"\s*)?__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\('
)
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+([\w:<>]+)\s+(\w+)\s*\[\s*\]")
HALF = """
inline unsigned short __half_as_ushort(const half &v) { return ((__half_raw)v).x; }
inline half __ushort_as_half(unsigned short v) { __half_raw raw = {v}; return half(raw); }
"""


class Compiler:
    """Compiles each source once and remembers every one that was asked for.

    Parameters
    ----------
    folder : Path
        Where libraries are kept from one process to the next.
    includes : Path
        CuPy's own headers.
    """

    def __init__(self, folder: Path, includes: Path) -> None:
        self.folder = folder
        self.includes = includes
        self.sources: dict[str, tuple[str, tuple[str, ...]]] = {}  # by hash: source, options

    def compile(self, source: str, options: tuple[str, ...] = ()) -> bytes:
        """What `cuModuleLoadData` of driver.cpp wants for this source."""
        key = _key(source, options)
        self.sources[key] = (source, options)
        library = self.folder / f"{key}.so"
        if not library.exists():
            part = library.with_suffix(f".{os.getpid()}.part")
            command = [*self._command(options), "-shared"]
            command += ["-include", self._precompiled_header(options)]
            run(*command, "-x", "c++", "-", "-o", part, text=_for_host(source))
            part.replace(library)
        return f"{PREFIX}{library}\0".encode()

    def _command(self, options: tuple[str, ...]) -> list[str | Path]:
        kept = [option for option in options if option.startswith(("-D", "-I"))]
        return [CXX, *FLAGS, *kept, "-I", self.includes]

    def _precompiled_header(self, options: tuple[str, ...]) -> Path:
        """device.h and CuPy's headers, read once: this makes compiling several times faster."""
        header = self.folder / f"all-{_key('', options)}.h"
        compiled = header.with_suffix(".h.gch")
        if not compiled.exists():
            names = ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")
            # The text and not the path of device.h: another checkout may use this folder.
            lines = [(HERE / "device.h").read_text(), *(f"#include <cupy/{n}>" for n in names)]
            header.write_text("\n".join(lines) + "\n")
            part = compiled.with_suffix(f".{os.getpid()}.part")
            run(*self._command(options), "-x", "c++-header", header, "-o", part)
            part.replace(compiled)
        return header


def _key(source: str, options: tuple[str, ...]) -> str:
    """A name for the kernel. Where CuPy's headers lie does not matter, only its version does."""
    definitions = [option for option in options if option.startswith("-D")]
    return hashlib.sha256("\0".join([source, *definitions]).encode()).hexdigest()[:32]


def _for_host(source: str) -> str:
    """The source with what driver.cpp needs to run its kernels one thread at a time."""
    if "<" in "".join(re.findall(r"template\s*<[^>]*>\s*__global__", source)):
        raise NotImplementedError("kernels that are templates cannot be emulated")
    synchronises = "__sync" in source or "__shfl" in source
    body = DYNAMIC_SHARED.sub(r"static \1 \2[49152 / sizeof(\1)]", source)
    tail = [HALF] if "float16.cuh" in source else []
    tail += [f"RUNNER({name})" for name in dict.fromkeys(KERNEL.findall(source))]
    tail += [f'extern "C" {{ extern const bool kernel_synchronises = {synchronises:d}; }}']
    return "\n".join([body, *tail])


def put_in_place(compiler: Compiler, module: Any) -> None:
    """Let CuPy's compiler `module` use `compiler`, and keep nothing in a cache of its own."""

    def compile_kernel(
        source: str, options: tuple[str, ...] = (), *args: Any, **kwargs: Any
    ) -> tuple[bytes, None]:
        if len(args) > 2 and args[2]:
            raise NotImplementedError("kernels that are templates cannot be emulated")
        try:
            return compiler.compile(source, options), None
        except RuntimeError as error:
            raise module.CompileException(str(error), source, "kernel", options) from error

    class NoCache:
        def load(self, name: str) -> None:
            return None

        def save(self, name: str, payload: bytes, source: str) -> None:
            pass

    module._compile_using_nvrtc_no_warning = compile_kernel
    module._kernel_cache_backend = NoCache()
    module._preprocess = lambda *args, **kwargs: ""
    module._get_nvrtc_version = lambda: (13, 2)
    module._get_arch = lambda: "90"
    module._get_arch_for_options_for_nvrtc = lambda arch=None: ("-arch=sm_90", "cubin")
