"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class FileError(ValueError):
    """A file is missing, is damaged, or is not what it should be."""


def shown(text: str, most: int = 100) -> str:
    """What a file says, fit for a message: short, on one line, nothing that moves a cursor."""
    shortened = text if len(text) <= most else text[:most] + "..."
    return shortened if shortened.isprintable() else ascii(shortened)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write to, which replaces `path` when the block ends without an error.

    With an error, such as a full disk, what was at `path` stays as it was and nothing else is left.

    Raises
    ------
    OSError
        If the file cannot be written; the message names `path`.
    """
    path = Path(path)
    part = path.parent / f".{path.name}.{os.urandom(4).hex()}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("xb")
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write {path}: {error.strerror or error}; what was there is unchanged",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def remove_parts(folder: Path) -> None:
    """Remove what `atomic_write` began in a folder and could not clear up, having been killed."""
    for path in folder.glob(".*.part") if folder.is_dir() else ():
        if re.fullmatch(r"\..+\.[0-9a-f]{8}\.part", path.name):
            with suppress(OSError):
                path.unlink()
