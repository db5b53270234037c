"""PyTorch's checkpoint files, read without PyTorch: the zip format (since 1.6) and the older one.

Both are a pickle of ordinary objects, in which each tensor names a storage, a shape and strides,
and the storages' bytes outside it. The older format is one stream: a magic number, a version, facts
about the machine, the pickle, the storages' names, then each storage. The newer is a zip archive
that holds `data.pkl` and one uncompressed record a storage. The file is mapped into memory, so that
only those bytes are read that somebody looks at.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

from minires.files import FileError
from minires.interop.pickle_whitelist import WHITELIST, Storages
from minires.interop.signatures import TORCH_MAGIC, ZIP_START, file_kind, refusal
from minires.interop.unpickler import PickleError, unpickle
from minires.text import shown

_VERSION = 1001


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
    storages = Storages()
    content = unpickle(memory, WHITELIST, storages.refer)
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
    storages = Storages()
    memory.seek(start)
    content = unpickle(memory, WHITELIST, storages.refer)
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
