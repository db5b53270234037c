"""Array-backend dispatch, in this one file: NumPy on the CPU, CuPy on an NVIDIA GPU.

Everything else asks `xp_of` which module its arrays belong to and calls that; this is the only file
that imports CuPy. The default device matters for creation only (`use`, `default_device`); from then
on results stay where their inputs are.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A `numpy.ndarray` or a `cupy.ndarray`. In a gradient rule that runs under `create_graph` also a
Tensor: rules are written in the operators that all three share."""


class DeviceError(RuntimeError):
    """An array is on the wrong device, or the device asked for is not there."""


_default = "cpu"
_working_cupy: ModuleType | None = None  # set once CuPy has been seen to compute something


def xp_of(*arrays: Array) -> ModuleType:
    """The module, `numpy` or `cupy`, that these arrays belong to.

    Anything that is no array (Python and NumPy scalars, None) belongs nowhere and is ignored; with
    no array at all the answer is `numpy`.

    Raises
    ------
    DeviceError
        If they are not all on the host or all on the same GPU.
    """
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return np
    kinds = (np.ndarray, cupy.ndarray)
    placed = [a for a in arrays if isinstance(a, kinds)]
    if len(placed) > 1 and len({device_of(a) for a in placed}) > 1:
        raise DeviceError(
            f"these arrays are on different devices: {', '.join(map(device_of, placed))}; "
            'move them together first, with tensor.to("cuda") or tensor.cpu()'
        )
    return cupy if placed and isinstance(placed[0], cupy.ndarray) else np


def device_of(array: Array) -> device:
    """`"cpu"`, or `"cuda"` followed by the GPU's number: `"cuda:0"`."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        return _device(f"cuda:{int(getattr(array.device, 'id', 0))}")
    return _device("cpu")


def to_host(array: Array) -> np.ndarray[Any, Any]:
    """The array as a NumPy array: itself if it is one, a copy if it is on a GPU."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        host: np.ndarray[Any, Any] = cupy.asnumpy(array)
        return host
    return np.asarray(array)


def to_device(array: Array, device: str) -> Array:
    """The array on `device` (`"cpu"`, `"cuda"` or `"cuda:N"`): itself if it is there already.

    CuPy computes on its current GPU; the one that was last moved to becomes it.
    """
    kind, number = parse_device(device)
    if kind == "cpu":
        return to_host(array)
    if device_of(array) == f"cuda:{number}":
        return array
    cupy = load_cupy(number)
    cupy.cuda.Device(number).use()
    return cupy.asarray(array)


def parse_device(device: str) -> tuple[str, int]:
    """`("cpu", 0)` or `("cuda", N)`.

    Raises
    ------
    ValueError
        If `device` is none of `"cpu"`, `"cuda"`, `"cuda:N"`.
    """
    kind, colon, number = str(device).partition(":")
    if kind == "cpu" and not colon:
        return "cpu", 0
    if kind == "cuda" and (not colon or number.isdecimal()):
        return "cuda", int(number or 0)
    raise ValueError(f'unknown device {device!r}: expected "cpu", "cuda" or "cuda:N"')


class device(str):
    """A device's name, `device("cuda", 1)` for `"cuda:1"`: a text with `type` and `index`."""

    def __new__(cls, name: str, index: int | None = None) -> Self:
        text = name if index is None else f"{name}:{index}"
        parse_device(text)
        return super().__new__(cls, text)

    @property
    def type(self) -> str:
        """`"cpu"` or `"cuda"`."""
        return parse_device(self)[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """The GPU's number, if it is named."""
        return parse_device(self)[1] if ":" in self else None


_device = cache(device)
"""One `device` for each name: every tensor is asked for its own, again and again."""


def use(name: str) -> None:
    """Choose where new tensors and parameters are created.

    Parameters
    ----------
    name : str
        `"numpy"` or `"cpu"`; `"cupy"`, `"cuda"` or `"cuda:N"`.

    Raises
    ------
    ValueError
        If the name is unknown.
    DeviceError
        If CuPy is not installed, finds no GPU, or lacks the CUDA toolkit's libraries.
    """
    global _default
    kind, number = parse_device({"numpy": "cpu", "cupy": "cuda"}.get(name, name))
    if kind == "cuda":
        load_cupy(number)
    _default = "cpu" if kind == "cpu" else f"cuda:{number}"


def default_device() -> str:
    """Where new tensors and parameters are created: `"cpu"` unless `use` said otherwise."""
    return _default


def finish() -> None:
    """Wait until the GPU has done what was asked of it; without one there is nothing to do."""
    if _working_cupy is not None:
        _working_cupy.cuda.Device().synchronize()


def load_cupy(number: int = 0) -> ModuleType:
    """CuPy, once it has shown that it can compute on GPU `number`.

    Raises
    ------
    DeviceError
        With one of three messages, each naming the command that mends it: CuPy is not installed; it
        finds no GPU; it lacks the CUDA toolkit's libraries.
    """
    global _working_cupy
    if _working_cupy is None:
        try:
            import cupy
        except ImportError as error:
            if error.name != "cupy":  # it is there, and something that it needs is not
                raise DeviceError(f"CuPy is installed, but cannot be imported: {error}") from error
            raise DeviceError(
                "CuPy is not installed, so there is no cuda device. Install it for your driver: "
                "pip install 'minires[cuda13]' (or 'minires[cuda12]'); `nvidia-smi` shows the "
                f"version. ({error})"
            ) from error
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except Exception as error:  # CUDARuntimeError, or what a missing driver library raises
            raise DeviceError(_NO_GPU.format(error)) from error
        if count == 0:
            raise DeviceError(_NO_GPU.format("0 devices"))
        try:
            cupy.matmul(cupy.ones((1, 1), "f"), cupy.ones((1, 1), "f")) + 1
        except Exception as error:  # no NVRTC, no cuBLAS: ImportError, RuntimeError and others
            raise DeviceError(
                "CuPy finds a GPU but not the CUDA toolkit's libraries. Install them: "
                f"pip install 'cupy-cuda13x[ctk]' (or 'cupy-cuda12x[ctk]'). ({error})"
            ) from error
        _working_cupy = cupy
    count = _working_cupy.cuda.runtime.getDeviceCount()
    if number >= count:
        raise DeviceError(f'no device "cuda:{number}": this machine has {count} GPU(s), from 0')
    return _working_cupy


def compiles_cuda() -> bool:
    """Whether CuPy is there to compile CUDA C++."""
    return hasattr(sys.modules.get("cupy"), "RawModule")


@cache
def compiled_cuda(source: str, definitions: tuple[tuple[str, int], ...], name: str) -> Any:
    """A kernel of a file in `minires/kernels/cuda`, compiled for the GPU when first asked for.

    Parameters
    ----------
    source : str
        The file's name.
    definitions : tuple of (str, int)
        Its macros.
    name : str
        The kernel's name.
    """
    return _cuda_module(source, definitions).get_function(name)


@cache
def _cuda_module(source: str, definitions: tuple[tuple[str, int], ...]) -> Any:
    """A whole file: its kernels share one compilation."""
    text, options = cuda_source(source, definitions)
    return sys.modules["cupy"].RawModule(code=text, options=options)


def cuda_source(
    source: str, definitions: tuple[tuple[str, int], ...]
) -> tuple[str, tuple[str, ...]]:
    """The text of a file in `minires/kernels/cuda`, and the compiler's options for these macros."""
    text = (Path(__file__).parent / "kernels" / "cuda" / source).read_text(encoding="utf-8")
    return text, ("--std=c++17", *(f"-D{name}={value}" for name, value in definitions))


def stream_of(array: Array) -> tuple[int, int]:
    """The device of an array on a GPU, and the stream that work on it now goes to."""
    return int(array.device.id), int(sys.modules["cupy"].cuda.get_current_stream().ptr)


_NO_GPU = (
    "CuPy is installed, but finds no NVIDIA GPU. Check the driver with `nvidia-smi`; without a GPU "
    'use device="cpu". ({})'
)
