"""NVIDIA's compiler of CUDA C++, which needs no GPU: what a kernel takes of a multiprocessor."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Sequence
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

OPTIONS = ("-ftz=true", "--device-as-default-execution-space")
"""What CuPy adds to the options that it is given."""


class Resources(NamedTuple):
    """What one kernel takes, as the assembler reports it.

    Attributes
    ----------
    registers : int
        Of each thread; 255 is the most.
    shared : int
        Bytes of shared memory of a block.
    local : int
        Bytes of a thread's local memory, which lies in the GPU's memory and is slow.
    spills : int
        Bytes that are moved there, and back, for want of registers.
    """

    registers: int
    shared: int
    local: int
    spills: int


class NoCompiler(RuntimeError):
    """NVRTC is not installed."""


class CompileError(RuntimeError):
    """The source is no CUDA C++ that NVRTC takes; the text is what it says."""


@cache
def _library() -> Any:
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    found = [str(path) for folder in folders for path in folder.glob("*/lib/libnvrtc.so.*")]
    if not found and (system := find_library("nvrtc")):
        found = [system]
    if not found:
        raise NoCompiler("NVRTC is not installed: pip install nvidia-cuda-nvrtc (no GPU is needed)")
    return ctypes.CDLL(sorted(found)[-1])


def version() -> str:
    """Such as "13.5".

    Raises
    ------
    NoCompiler
        If there is none.
    """
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def compiled(source: str, architecture: str, options: Sequence[str]) -> dict[str, Resources]:
    """What each kernel of a source takes on an architecture, such as "sm_90".

    Raises
    ------
    NoCompiler
        If NVRTC is not installed.
    CompileError
        If it refuses the source.
    """
    library, program = _library(), ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    try:
        every = [f"-arch={architecture}", *OPTIONS, *options, "--ptxas-options=-v"]
        pointers = (ctypes.c_char_p * len(every))(*(option.encode() for option in every))
        status = library.nvrtcCompileProgram(program, len(every), pointers)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, text)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    log = text.value.decode()
    if status:
        raise CompileError(f"{architecture}: {log}")
    return read_log(log)


def read_log(log: str) -> dict[str, Resources]:
    """The assembler's report, by kernel."""
    found = {}
    for name, report in re.findall(
        r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry|\Z)", log, re.S
    ):

        def number(pattern: str, report: str = report) -> int:
            return sum(map(int, re.findall(pattern, report)))

        found[name] = Resources(
            registers=number(r"Used (\d+) registers"),
            shared=number(r"(\d+) bytes smem"),
            local=number(r"(\d+) bytes stack frame") + number(r"(\d+) bytes lmem"),
            spills=number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
        )
    return found
