"""CUDA's runtime as CuPy's `runtime` module shows it, with the host's memory as the device's.

CuPy links the real runtime statically, so it cannot be replaced as a library. But all of CuPy
calls it through the functions of one extension module, `cupy_backends.cuda.api.runtime`, and these
are replaced here: for Python as attributes, for CuPy's other extensions as capsules of C functions.
"""

import ctypes
import itertools
import re
from collections.abc import Callable
from typing import Any

COPY_KINDS = ("on_host", "to_device", "to_host", "on_device")  # cudaMemcpyKind
BY_ADDRESS = 4  # cudaMemcpyDefault: the direction follows from where the memory is
ATTRIBUTES = {  # cudaDeviceAttr: what a kernel launch may ask for
    1: 1024, 2: 1024, 3: 64,  # threads in a block, along x and y, along z
    5: 2**31 - 1, 6: 65535, 7: 65535,  # blocks in a grid
    8: 49152,  # shared memory in a block
    10: 32,  # threads in a warp
    16: 4,  # multiprocessors
    39: 2048,  # threads on one of them
    75: 9, 76: 0,  # compute capability
}  # fmt: skip


class Runtime:
    """The functions that minires needs, each with the name and arguments that CuPy gives it.

    What is not here stays as it was, and fails for want of a GPU.
    """

    def __init__(self, driver: ctypes.CDLL) -> None:
        self._allocate = driver.emulated_malloc
        self._allocate.argtypes = [ctypes.c_size_t, ctypes.c_bool]
        self._allocate.restype = ctypes.c_void_p
        self._release = driver.emulated_free
        self._release.argtypes, self._release.restype = [ctypes.c_void_p], None
        self._is_on_device = driver.emulated_is_on_device
        self._is_on_device.argtypes = [ctypes.c_void_p]
        self._is_on_device.restype = ctypes.c_bool
        self._handles = itertools.count(4096, 16)  # of streams and events, which do nothing
        self._counts = dict.fromkeys([*COPY_KINDS, "synchronisations"], 0)

    # ------------------------------------------------------------------ the device

    def getDeviceCount(self) -> int:
        return 1

    def getDevice(self) -> int:
        return 0

    def setDevice(self, device: int) -> None:
        if device != 0:
            raise RuntimeError(f"the emulation has one device, not {device + 1}")

    def deviceCanAccessPeer(self, device: int, peer: int) -> int:
        return 0

    def deviceGetAttribute(self, attribute: int, device: int) -> int:
        return ATTRIBUTES.get(attribute, 0)

    def getDeviceProperties(self, device: int) -> dict[str, Any]:
        return {
            "name": b"the processor, as an emulated GPU",
            "totalGlobalMem": 2**33,
            "sharedMemPerBlock": ATTRIBUTES[8],
            "warpSize": ATTRIBUTES[10],
            "maxThreadsPerBlock": ATTRIBUTES[1],
            "multiProcessorCount": ATTRIBUTES[16],
            "major": ATTRIBUTES[75],
            "minor": ATTRIBUTES[76],
        }

    def driverGetVersion(self) -> int:
        return 13020

    def runtimeGetVersion(self) -> int:
        return 13020

    def _ensure_context(self) -> None:
        pass

    def check_status(self, status: int) -> None:
        if status:
            raise RuntimeError(f"CUDA status {status}")

    # ------------------------------------------------------------------ memory

    def malloc(self, size: int) -> int:
        return self._allocate(size, True)

    def free(self, address: int) -> None:
        self._release(address)

    def hostAlloc(self, size: int, flags: int) -> int:
        return self._allocate(size, False)

    def freeHost(self, address: int) -> None:
        self._release(address)

    def memGetInfo(self) -> tuple[int, int]:
        return 2**33, 2**33

    def memcpy(self, target: int, source: int, size: int, kind: int) -> None:
        # From ordinary host memory: a GPU would first finish what it has to do.
        self._counts["synchronisations"] += 1
        self.memcpyAsync(target, source, size, kind, 0)

    def memcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        if kind == BY_ADDRESS:
            kind = 2 * self._is_on_device(source) + self._is_on_device(target)
        self._counts[COPY_KINDS[kind]] += 1
        ctypes.memmove(target, source, size)

    def memset(self, address: int, value: int, size: int) -> None:
        ctypes.memset(address, value, size)

    def memsetAsync(self, address: int, value: int, size: int, stream: int) -> None:
        ctypes.memset(address, value, size)

    def pointerGetMemoryType(self, address: int) -> int:
        return 2  # cudaMemoryTypeDevice

    # ------------------------------------------------------------------ waiting

    def deviceSynchronize(self) -> None:
        self._counts["synchronisations"] += 1

    def streamSynchronize(self, stream: int) -> None:
        self._counts["synchronisations"] += 1

    def eventSynchronize(self, event: int) -> None:
        self._counts["synchronisations"] += 1

    def streamCreate(self) -> int:
        return next(self._handles)

    def streamCreateWithFlags(self, flags: int) -> int:
        return next(self._handles)

    def streamDestroy(self, stream: int) -> None:
        pass

    def streamQuery(self, stream: int) -> int:
        return 0

    def streamIsCapturing(self, stream: int) -> int:
        return 0

    def eventCreate(self) -> int:
        return next(self._handles)

    def eventCreateWithFlags(self, flags: int) -> int:
        return next(self._handles)

    def eventDestroy(self, event: int) -> None:
        pass

    def eventRecord(self, event: int, stream: int) -> None:
        pass

    def eventQuery(self, event: int) -> int:
        return 0

    def eventElapsedTime(self, first: int, last: int) -> float:
        return 0.1


# ---------------------------------------------------------------------- putting it in place

C_TYPES = {
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "intptr_t": ctypes.c_ssize_t,
    "float": ctypes.c_float,
    "PyObject *": ctypes.py_object,
}


def put_in_place(replacement: Runtime, module: Any) -> None:
    """Let CuPy's runtime `module` do what `replacement` does, before any other extension loads."""
    _replace_functions(replacement, module)
    # A kernel is cached under this version; the real question would load the real library.
    module._getLocalRuntimeVersion = replacement.runtimeGetVersion


def _replace_functions(replacement: Runtime, module: Any) -> None:
    python = ctypes.pythonapi
    python.PyCapsule_New.restype = ctypes.py_object
    python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    python.PyCapsule_GetName.restype = ctypes.c_char_p
    python.PyCapsule_GetName.argtypes = [ctypes.py_object]
    python.Py_IncRef.argtypes, python.Py_IncRef.restype = [ctypes.py_object], None
    for name, capsule in list(module.__pyx_capi__.items()):
        function = getattr(replacement, name, None)
        if function is None:
            continue
        signature = python.PyCapsule_GetName(capsule)  # Cython names a capsule by it
        pointer = _c_function(function, signature.decode())
        # A capsule only points to these two. Cached arrays are freed while the interpreter is taken
        # down, when a module's own references are gone: so they are kept for ever.
        python.Py_IncRef(pointer)
        python.Py_IncRef(signature)
        address = ctypes.cast(pointer, ctypes.c_void_p).value
        module.__pyx_capi__[name] = python.PyCapsule_New(address, signature, None)
        setattr(module, name, function)


def _c_function(function: Callable[..., Any], signature: str) -> Any:
    """`function` with a C signature such as `PyObject *(intptr_t, int __pyx_skip_dispatch)`."""
    result, listed = re.fullmatch(r"(.*?) ?\((.*)\)", signature).groups()
    arguments = [a for a in listed.split(", ") if a != "void"]
    count = len(arguments) - (arguments[-1:] == ["int __pyx_skip_dispatch"])
    types = [C_TYPES[a.removesuffix(" __pyx_skip_dispatch")] for a in arguments]

    def called_from_c(*values: Any) -> Any:
        returned = function(*values[:count])
        # ctypes in Python 3.11 gives None back without a reference; () is as good, and safe.
        return () if returned is None else returned

    return ctypes.PYFUNCTYPE(C_TYPES[result], *types)(called_from_c)
