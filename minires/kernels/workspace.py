"""Scratch memory that one kernel call leaves for the next.

A fresh large array costs a page fault for every 4 KiB that is written, often more than the
arithmetic. Each thread therefore keeps the buffers of its blocks. Blocks are small, so these are;
what exceeds `LIMIT` is not kept.
"""

from __future__ import annotations

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
        return np.empty(shape, dtype)
    buffer = _buffers.by_name.get(name)
    if buffer is None or buffer.nbytes < size:
        buffer = _buffers.by_name[name] = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(shape)


def release_workspace() -> None:
    """Give the scratch memory of all threads back. Call it while no kernel runs."""
    for names in list(_everyone):
        names.clear()
