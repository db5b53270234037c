"""Where assignments are: in a folder of them, a clone of the repository, or its source archive.

They hold solutions, so an installed minires has none. Of an archive only their own files are read,
of a bounded size, and written under names that are made here.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import typer

from minires.coursework.assignment import AssignmentError
from minires.coursework.temporary import TemporaryFolder
from minires.data.files import MAX_ARCHIVE, damage_named

INSIDE = Path("notebooks") / "assignments"
MEMBER = re.compile(r"[^/]+/notebooks/assignments/(\w[\w-]*)/([a-z_]+\.(?:py|toml))", re.ASCII)
MOST_BYTES = 4 << 20
"""Of one file."""
MOST_FILES = 200

ENDS = (".tar.gz", ".tgz", ".zip")


def unpacked(context: typer.Context, place: Path | None) -> Path | None:
    """What `--source` names as a folder, for as long as the command runs."""
    return None if place is None else context.with_resource(assignments_in(place))


@contextmanager
def assignments_in(place: Path) -> Iterator[Path]:
    """The folder with a folder for each assignment; of an archive for the time of the context.

    Raises
    ------
    AssignmentError
        If it is nothing that holds assignments.
    DataError
        If an archive is damaged.
    """
    if place.is_dir():
        yield place / INSIDE if (place / INSIDE).is_dir() else place
        return
    if not place.exists():
        raise AssignmentError(f"{place} does not exist")
    if place.name.lower().endswith(".whl"):
        raise AssignmentError(
            f"{place} is a wheel, which holds no assignments: the source archive (.tar.gz) does"
        )
    if not place.is_file() or not place.name.lower().endswith(ENDS):
        raise AssignmentError(
            f"{place} is neither a folder nor a source archive, whose name ends in .tar.gz or .zip"
        )
    with TemporaryFolder() as folder:
        with damage_named(place):
            count = _unpack(place, folder)
        if not count:
            raise AssignmentError(f"{place} holds no notebooks/assignments: is it of minires?")
        yield folder


def _unpack(place: Path, folder: Path) -> int:
    """Write the assignments' files into a folder; how many there are."""
    count = 0
    for name, file in _files(place):
        match = MEMBER.fullmatch(name)
        if match is None:
            continue
        content = file.read(MOST_BYTES + 1)
        count += 1
        _see_that(len(content) <= MOST_BYTES and count <= MOST_FILES, place)
        target = folder / match[1] / match[2]
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    return count


def _files(place: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of an archive, by name; none but those that are read are unpacked."""
    if place.name.lower().endswith(".zip"):
        try:
            with zipfile.ZipFile(place) as archive:
                for info in archive.infolist():
                    if not info.is_dir() and MEMBER.fullmatch(info.filename):
                        with archive.open(info) as file:
                            yield info.filename, file
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise AssignmentError(f"{place}: corrupt: {error}") from error
        return
    total = 0
    with gzip.open(place) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            total += member.size
            _see_that(total <= MAX_ARCHIVE, place)
            opened = tar.extractfile(member) if member.isreg() else None
            if opened is not None:
                yield member.name, opened
        while chunk := stream.read(1 << 20):  # up to the checksum behind the end
            total += len(chunk)
            _see_that(total <= MAX_ARCHIVE, place)


def _see_that(bounded: bool, place: Path) -> None:
    if not bounded:
        raise AssignmentError(f"{place} holds more than a source archive does")
