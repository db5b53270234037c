"""What is in a .zip file, of which only what may be graded is unpacked, under names of our own.

A name in an archive is only ever read: nothing is written to where it says. Links, encrypted and
damaged files stay where they are, and what is unpacked is bounded in size and number.
"""

from __future__ import annotations

import itertools
import shutil
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minires.coursework.cells import MAX_FILE

MOST_FILES = 50_000
MOST_BYTES = 8 << 30
"""Of an archive that a class is in, without those in it."""

MOST_BYTES_INSIDE = 256 << 20
"""Of an archive in an archive or in a student's folder."""

MOST_BYTES_BESIDE = 2 << 30
"""Of an archive in the folder of a class, which may be an export or a student's."""

SPARE = 1 << 30
"""Bytes of the disk that unpacking leaves free."""

next_number = itertools.count().__next__
"""For names of what is unpacked."""


class TooMuch(ValueError):
    """More than is unpacked."""


@dataclass
class Allowance:
    """What may still be unpacked."""

    files: int
    bytes: int

    def copy(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
        """Write a member to a file.

        Raises
        ------
        TooMuch
            If it has more bytes than are allowed, whatever the archive says of its size.
        """
        if shutil.disk_usage(target.parent).free < SPARE:
            raise TooMuch("there is no room left to unpack it")
        most = min(MAX_FILE, self.bytes)
        with archive.open(member) as source, target.open("xb") as file:
            while chunk := source.read(1 << 16):
                most -= len(chunk)
                if most < 0:
                    break
                self.bytes -= len(chunk)
                file.write(chunk)
        if most < 0:
            target.unlink()
            raise TooMuch(
                f"it has more than {MAX_FILE >> 20} MB"
                if self.bytes >= MAX_FILE
                else "its archive holds too much"
            )


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive: the parts of its name, where it is now, or why it is not."""

    parts: tuple[str, ...]
    path: Path | None
    problem: str
    time: tuple[int, ...]


def members(path: Path, box: Path, allowance: Allowance, wanted: set[str]) -> Iterator[Member]:
    """What an archive holds; what ends with one of the wanted suffixes is unpacked into a folder.

    Raises
    ------
    ValueError
        If it is damaged or holds too many files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            if len(found) > allowance.files:
                raise TooMuch(f"an archive of {len(found):,} files, of which none is looked at")
            allowance.files -= len(found)
            for member in found:
                yield _member(archive, member, box, allowance, wanted)
    except TooMuch:
        raise
    except Exception as error:  # damaged archives raise nearly anything
        raise ValueError(f"a damaged archive: {error}") from error


def _member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    box: Path,
    allowance: Allowance,
    wanted: set[str],
) -> Member:
    name = _name(member)
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    kind = stat.S_IFMT(member.external_attr >> 16)
    problem, place = "", None
    suffix = "".join(Path(parts[-1]).suffixes[-1:]).lower() if parts else ""
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        problem = "its name leads out of its archive"
        parts = tuple(part for part in parts if part != "..") or ("?",)
    elif kind == stat.S_IFLNK:
        problem = "a link, which is not followed"
    elif member.is_dir() or kind == stat.S_IFDIR:
        problem = "a folder"
    elif kind not in (0, stat.S_IFREG):
        problem = "no regular file"
    elif member.flag_bits & 1:
        problem = "encrypted"
    elif suffix in wanted:
        place = box / f"{next_number():06}{suffix}"
        try:
            allowance.copy(archive, member, place)
        except TooMuch as error:
            problem, place = str(error), None
        except Exception as error:  # as above
            problem, place = f"damaged in its archive: {error}", None
    return Member(parts, place, problem, tuple(member.date_time))


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name; what is UTF-8 without saying so, as macOS writes it, is read as that."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except ValueError:
        return member.filename
