"""PyTorch's checkpoint files, read without PyTorch: the zip format (since 1.6) and the older one.

Both are a pickle of ordinary objects, in which each tensor names a storage, a shape and strides,
and the storages' bytes outside it. The older format is one stream: a magic number, a version, facts
about the machine, the pickle, the storages' names, then each storage. The newer is a zip archive
that holds `data.pkl` and one uncompressed record a storage. The file is mapped into memory, so that
only those bytes are read that somebody looks at.
"""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.files import FileError
from minires.interop.pickles import PickleError, unpickle
from minires.interop.signatures import TORCH_MAGIC, ZIP_START, file_kind, refusal
from minires.text import shown

_VERSION = 1001
MOST_AXES = 32  # what every NumPy has

_DTYPES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}


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


# ---------------------------------------------------------------------- what a pickle may name


@dataclass(frozen=True)
class _StorageType:
    dtype: str


def _counts(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > MOST_AXES:
        raise PickleError(
            f"a tensor's shape or strides are no tuple of at most {MOST_AXES} numbers"
        )
    if not all(type(v) is int and 0 <= v < 2**63 for v in values):
        raise PickleError("a tensor's offset, shape or strides are no whole numbers")
    return values


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    """A tensor, if it lies within its storage; its gradient's flag and hooks are left out."""
    (offset,), shape, strides = _counts((offset,)), _counts(shape), _counts(strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise PickleError("a tensor's storage, shape and strides do not fit together")
    if 0 in shape:
        np.empty(shape, storage.stored)  # which fails where a length makes no sense
        return StoredTensor(storage, 0, shape, strides)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= storage.size:
        raise PickleError(f"a tensor of shape {shape} reaches beyond its {storage.size} numbers")
    if math.prod(shape) > storage.size:  # a copy of it would be larger than the file
        raise PickleError(f"a tensor of shape {shape} repeats its {storage.size} numbers")
    return StoredTensor(storage, offset, shape, strides)


def _same(value: Any, *_: Any) -> Any:
    return value


def _dict(*content: Any) -> dict[Any, Any]:
    """An OrderedDict, empty at first, or a Counter of what a dict says."""
    if content and (len(content) > 1 or type(content[0]) is not dict):
        raise PickleError("a dict is made in a way that PyTorch does not")
    return content[0] if content else {}


_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,  # a schedule's milestones
    "torch._utils._rebuild_tensor": _tensor,  # up to PyTorch 0.3
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _same,
    "torch.Size": _same,
    "torch.device": _same,
    **{f"torch.{name}Storage": _StorageType(dtype) for name, dtype in _DTYPES.items()},
    **{f"torch.{dtype}": dtype for dtype in _DTYPES.values()},
}


class _Storages(dict[str, Storage]):
    """The storages that a pickle refers to, by key."""

    def refer(self, identity: Any) -> Storage:
        """What stands for ("storage", type, key, device, size) in the pickle."""
        match identity:
            case ("storage", _StorageType(dtype), str(key), _, int(size), *rest) if (
                0 <= size < 2**63
            ):
                if any(part is not None for part in rest):
                    raise PickleError("a storage is a window on another, which is not supported")
                storage = self.setdefault(key, Storage(dtype, size))
                if (storage.dtype, storage.size) != (dtype, size):
                    raise PickleError(f"storage {shown(key, 40)} has two types or sizes")
                return storage
        raise PickleError("a tensor's data are described in a way that PyTorch does not")


# ---------------------------------------------------------------------- the two formats


def read_checkpoint(path: str | Path) -> Any:
    """Everything in a PyTorch file, as it was saved.

    Parameters
    ----------
    path : str or Path
        Its name does not matter.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers and strings as they were (an OrderedDict as a dict); each
        tensor as a `StoredTensor`, in PyTorch's layout.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not PyTorch's, or if it asks for anything but tensors
        and plain values; the message names what.
    """
    kind = file_kind(path)
    if kind.format != "torch":
        raise refusal(path, kind, "one of PyTorch's files")
    memory = _map(Path(path))
    try:
        return _read_zip(memory, Path(path)) if memory[:4] == ZIP_START else _read_legacy(memory)
    except PickleError as error:
        raise FileError(f"cannot load {path}: {error}") from error


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError:
        raise FileError(f"cannot load {path}: it is empty") from None


def _read_legacy(memory: mmap.mmap) -> Any:
    if unpickle(memory, {}) != TORCH_MAGIC or unpickle(memory, {}) != _VERSION:
        raise PickleError("its version is unknown")
    machine = unpickle(memory, {})
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleError("it was written on a big-endian machine, which is not supported")
    storages = _Storages()
    content = unpickle(memory, _ALLOWED, storages.refer)
    keys = unpickle(memory, {})
    named = isinstance(keys, list) and all(type(key) is str for key in keys)
    if not named or sorted(keys) != sorted(storages):
        raise PickleError("its list of storages is not that of its tensors")
    for key in keys:
        header = memory.read(8)
        storage = storages[key]
        if len(header) < 8:
            raise PickleError("it ends before its tensors do (was it cut off?)")
        (size,) = struct.unpack("<q", header)
        if size != storage.size:
            raise PickleError(f"a storage holds {size} numbers, its tensors say {storage.size}")
        storage.place(memory, memory.tell())
        memory.seek(storage.nbytes, 1)
    return content


def _read_zip(memory: mmap.mmap, path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            records = {record.filename: record for record in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise PickleError(
            f"its list of records is damaged ({shown(str(error))}); was it cut off?"
        ) from error
    roots = [name.removesuffix("data.pkl") for name in records if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise PickleError("it is a zip archive, but not one of PyTorch's")
    root = roots[0]
    if root + "constants.pkl" in records:
        raise PickleError("it holds a TorchScript program: save the module's state_dict() instead")
    if root + "byteorder" in records:
        start, size = _find(memory, records[root + "byteorder"])
        if memory[start : start + size] != b"little":
            raise PickleError("it was written on a big-endian machine, which is not supported")
    start, size = _find(memory, records[root + "data.pkl"])
    storages = _Storages()
    memory.seek(start)
    content = unpickle(memory, _ALLOWED, storages.refer)
    if memory.tell() > start + size:
        raise PickleError("its pickle is longer than its record")
    for key, storage in storages.items():
        record = records.get(f"{root}data/{key}")
        if record is None:
            raise PickleError(f"it has no record data/{shown(key, 40)}, which a tensor wants")
        start, size = _find(memory, record)
        if size != storage.nbytes:
            raise PickleError(
                f"record data/{shown(key, 40)} has {size} bytes, its tensors say {storage.nbytes}"
            )
        storage.place(memory, start)
    return content


def _find(memory: mmap.mmap, record: zipfile.ZipInfo) -> tuple[int, int]:
    """Where a record's bytes begin, behind its own header, and how many they are."""
    if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1:
        raise PickleError(
            "its records are compressed or encrypted, as PyTorch never writes them: "
            "unpack the archive and pack it again without compression"
        )
    header = memory[record.header_offset : record.header_offset + 30]
    if len(header) < 30 or header[:4] != ZIP_START:
        raise PickleError(f"record {shown(record.filename, 60)} is not where its list says")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = record.header_offset + 30 + name_length + extra_length
    if start + record.file_size > len(memory):
        raise PickleError("it ends before its records do (was it cut off?)")
    return start, record.file_size
