"""Tensors that lie in a mapped file, not read yet."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.interop.unpickler import PickleError


class Storage:
    """Numbers of one type in a row, somewhere in the file."""

    def __init__(self, dtype: str, size: int) -> None:
        self.dtype, self.size = dtype, size
        # NumPy has no bfloat16, which is the upper half of a float32
        self.stored = np.dtype("u2" if dtype == "bfloat16" else dtype).newbyteorder("<")
        self.nbytes = size * self.stored.itemsize
        self.memory: mmap.mmap | None = None
        self.start = 0  # where its bytes begin in `memory`

    def place(self, memory: mmap.mmap, start: int) -> None:
        """Say where the bytes are; they must all be there."""
        if not 0 <= start <= len(memory) - self.nbytes:
            raise PickleError("it ends before its tensors do (was it cut off?)")
        self.memory, self.start = memory, start


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the file, not read yet: offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self) -> NDArray[Any]:
        """The numbers, as a read-only view of the mapped file; bfloat16 as new float32."""
        storage = self.storage
        itemsize = storage.stored.itemsize
        if 0 in self.shape:
            return np.empty(self.shape, storage.stored)
        view: NDArray[Any] = np.ndarray(
            self.shape,
            storage.stored,
            storage.memory,
            storage.start + self.offset * itemsize,
            tuple(
                stride * itemsize if length > 1 else 0
                for length, stride in zip(self.shape, self.strides, strict=True)
            ),
        )
        if storage.dtype == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view

    def forget(self) -> None:
        """Give back the memory that holds what was read; it can be read again."""
        storage = self.storage
        if storage.memory is not None and storage.nbytes and hasattr(mmap, "MADV_DONTNEED"):
            before = storage.start % mmap.PAGESIZE
            storage.memory.madvise(
                mmap.MADV_DONTNEED, storage.start - before, storage.nbytes + before
            )
