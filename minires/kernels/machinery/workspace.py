"""The memory of kernels: arrays for results, and scratch that one call leaves for the next.

A fresh large array costs a page fault for every 4 KiB that is written, often more than the
arithmetic. Each thread therefore keeps the buffers of its blocks. Blocks are small, so these are;
what exceeds `LIMIT` is not kept. Results come and go with the graph: of those the C library is told
to keep the memory for the next step, where it would give it back to the system after each.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from minires.backend import Array

LIMIT = 1 << 26
"""The largest buffer, in bytes, that a thread keeps under one name."""


class _Buffers(threading.local):
    """The buffers of one thread, by name."""

    def __init__(self) -> None:
        self.by_name: _Names = _Names()
        _everyone.add(self.by_name)


class _Names(dict[str, Any]):
    """A dictionary that a weak set can hold."""

    __hash__ = object.__hash__  # type: ignore[assignment]


_everyone: weakref.WeakSet[_Names] = weakref.WeakSet()
_buffers = _Buffers()


LINE = 64
"""Bytes in a cache line."""

WORTH_ALIGNING = 1 << 14
"""Arrays of fewer bytes begin where NumPy puts them."""


def empty(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialised array that begins with a cache line, where `xp.empty` may begin inside one.

    A vector of 64 bytes that spans two lines takes two reads: a ResNet step takes a seventh longer.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if xp is not np or size < WORTH_ALIGNING:
        return xp.empty(shape, dtype)
    return _aligned(size, shape, dtype)


def _aligned(size: int, shape: Any, dtype: Any) -> Array:
    spacious = np.empty(size + LINE, np.uint8)
    start = -spacious.__array_interface__["data"][0] % LINE
    return np.ndarray(shape, dtype, spacious, start)


def scratch(xp: ModuleType, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialised array that is valid until this thread asks for the same name again.

    Parameters
    ----------
    xp : module
        `numpy`, or `cupy`, whose own memory pool makes a second one pointless.
    name : str
        What it is for; buffers of different names never overlap.
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    array of the given shape, C-contiguous
    """
    if xp is not np:
        return xp.empty(shape, dtype)
    size = prod(shape) * np.dtype(dtype).itemsize
    if size > LIMIT:
        return empty(xp, shape, dtype)
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.nbytes < size:
        buffer = _buffers.by_name[name] = _aligned(size, size, np.uint8)
    view: Array = np.ndarray(shape, dtype, buffer)
    return view


def release_workspace() -> None:
    """Give the scratch memory of all threads and all freed memory back. Call it while no kernel
    runs."""
    for names in list(_everyone):
        names.clear()
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


KEPT = 1 << 30
"""How many bytes of freed memory the process keeps at most."""

_MALLOC_TRIM_THRESHOLD, _MALLOC_MMAP_THRESHOLD = -1, -3  # as in glibc's malloc.h


def _keep_freed_memory() -> None:
    """Have glibc, where it is, keep up to `KEPT` bytes of freed memory instead of 64 MiB.

    A user's own settings in the environment (`MALLOC_TRIM_THRESHOLD_` and the like) stand.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    if (libc := _glibc()) is not None:
        # Either of them ends glibc's own adjusting of both: 32 MiB is where that would have ended.
        libc.mallopt(_MALLOC_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_MALLOC_TRIM_THRESHOLD, KEPT)


def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        libc = ctypes.CDLL(None)
    except (ImportError, OSError):  # a Python without it, or one that is linked statically
        return None
    return libc if hasattr(libc, "gnu_get_libc_version") else None


_keep_freed_memory()
