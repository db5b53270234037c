"""Files that are whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from minires.text import bounded

LONGEST_MESSAGE = 800  # characters


class FileError(ValueError):
    """A file is missing, is damaged, or is not what it should be.

    Messages quote files and their names, so they are made fit for a terminal: plain, of one line,
    and of at most `LONGEST_MESSAGE` characters.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(bounded(str(message), LONGEST_MESSAGE))


def whole(path: str | Path) -> Path:
    """The path from the root on, links followed where they lead anywhere.

    `Path.resolve` fails for links in a circle, in Python 3.11 and 3.12 as no error of files does.
    """
    return Path(os.path.realpath(path))


def refuse_pipe(path: str | Path) -> None:
    """Refuse what can be read only once, such as `<(command)`: formats are read here and there.

    Raises
    ------
    FileError
        If it is a pipe, a socket or a device.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FileError(f"cannot read {path}: it is a pipe or a device, and a file is wanted")


def read_small(path: str | Path, most: int = 1 << 20) -> bytes:
    """The content of a file that cannot sensibly be large, such as settings.

    Raises
    ------
    OSError
        If it cannot be read.
    FileError
        If it has more than `most` bytes; that much has been read then.
    """
    with Path(path).open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise FileError(f"{path} has more than {most:,} bytes")
    return content


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write to, which replaces `path` when the block ends without an error.

    With an error, such as a full disk, what was at `path` stays as it was and nothing else is left.
    A link stays, and what it leads to is replaced. What is no file, such as a pipe or /dev/null, is
    written to as it stands.

    Raises
    ------
    OSError
        If the file cannot be written; the message names `path`.
    """
    path = Path(path)
    place = whole(path) if path.is_symlink() else path
    part = place.parent / f".{place.name}.{os.urandom(4).hex()}.part"
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as file:
                yield file
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("xb")
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write {path}: {error.strerror or error}; what was there is unchanged",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def remove_parts(folder: Path, names: Iterable[str]) -> None:
    """Remove what `atomic_write` began for files of these names and, being killed, left there.

    Only for who knows that nobody else is just writing them.
    """
    ours = re.compile(rf"\.({'|'.join(map(re.escape, names))})\.[0-9a-f]{{8}}\.part")
    for path in folder.glob(".*.part"):
        if ours.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
