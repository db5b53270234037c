"""The one file format of minires: named arrays and a JSON tree in an .npz, without any pickle."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minires.backend import to_host
from minires.engine import raw
from minires.files import FileError, atomic_write, refuse_pipe

_TREE = "minires.json"
_ARRAY = "array"  # in the JSON tree, {"array": name} stands for an array


def write_archive(path: str | Path, kind: str, content: dict[str, Any]) -> None:
    """Write a tree of dicts, lists, numbers, strings and arrays, atomically.

    Parameters
    ----------
    path : str or Path
        Its name is kept as it is.
    kind : str
        What the file is, for `read_archive` to check.
    content : dict
        Tensors and GPU arrays are written as host arrays.
    """
    arrays: Any = {}
    tree = {"format": f"minires {kind}", "version": 1, "content": _flatten(content, arrays, "")}
    arrays[_TREE] = np.array(json.dumps(tree))
    # as np.savez, which before NumPy 2.2 leaves the archive open where a disk is full
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as record:
                np.lib.format.write_array(record, np.asanyarray(array), allow_pickle=False)


def check_writable(content: dict[str, Any]) -> None:
    """Raise a TypeError that names the first entry which an archive cannot hold."""
    for key, value in content.items():
        try:
            json.dumps(_flatten(value, {}, ""))
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"{key!r} cannot be written to a file: {error}") from error


def read_archive(path: str | Path, kind: str) -> dict[str, Any]:
    """Read what `write_archive` wrote, arrays as NumPy arrays.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    refuse_pipe(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        with file, np.load(_zip(file), allow_pickle=False) as archive:
            if _TREE not in archive.files:
                raise FileError(f"{path} is not a minires file")
            tree = json.loads(str(archive[_TREE]))
            if tree.get("format") != f"minires {kind}":
                raise FileError(f"{path} is a {tree.get('format')} file, wanted minires {kind}")
            if tree.get("version") != 1:
                raise FileError(
                    f"{path} has version {tree.get('version')} of its format, this minires reads 1"
                )
            arrays = {name: archive[name] for name in archive.files if name != _TREE}
            content: dict[str, Any] = _restore(tree["content"], arrays)
            return content
    except FileError:
        raise
    except Exception as error:  # zipfile and NumPy raise nearly anything on damaged files
        raise FileError(
            f"{path} is damaged or not a minires {kind} file ({type(error).__name__}: {error})"
        ) from error


def _zip(file: BinaryIO) -> BinaryIO:
    """The file, if it is a zip archive that holds no more than it has bytes.

    NumPy takes anything else for a pickle, and unpacks whatever is compressed.
    """
    if file.read(2) != b"PK":
        raise ValueError("no .npz archive")
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise ValueError("its records are compressed, as minires never writes them")
    if sum(record.file_size for record in records) > file.seek(0, io.SEEK_END):
        raise ValueError("its records claim more bytes than it has")
    file.seek(0)
    return file


def _flatten(value: Any, arrays: dict[str, Any], name: str) -> Any:
    value = raw(value)
    if isinstance(value, dict):
        return {
            str(key): _flatten(v, arrays, f"{name}/{key}" if name else str(key))
            for key, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_flatten(v, arrays, f"{name}/{i}") for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "dtype"):
        arrays[name] = to_host(value)
        return {_ARRAY: name}
    return value


def _restore(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _restore(v, arrays) for key, v in value.items()}
    if isinstance(value, list):
        return [_restore(v, arrays) for v in value]
    return value
