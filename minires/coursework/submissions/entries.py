"""Everything that was handed in, as a list: files, archives as if they were folders, and the rest.

Nothing is left out: what cannot be read, such as a link or a damaged archive, says why. Links are
not followed, so that nobody hands in somebody else's file.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from minires.coursework.submissions.archives import (
    MOST_BYTES,
    MOST_BYTES_BESIDE,
    MOST_BYTES_INSIDE,
    MOST_FILES,
    Allowance,
    members,
    next_number,
)
from minires.files import whole

DEEPEST = 30
"""Folders in folders, archives counted."""

MOST_ENTRIES = 50_000
"""Of a class: more is the whole disk, or somebody's home."""

MOST_ARCHIVES = 3
"""Archives in archives."""

WANTED = {".ipynb", ".py", ".txt", ".json", ".zip", ".yml", ""}
"""Suffixes of what is unpacked: the others are only named."""

NOT_WORK = {"__pycache__", "__macosx", "thumbs.db", "desktop.ini", "node_modules", "venv"}
NOT_WORK |= {"site-packages"}


@dataclass(frozen=True)
class Entry:
    """A file, or a folder without any.

    Attributes
    ----------
    parts : tuple of str
        The names of its folders and its own, from the place that was given on, fit for reading.
    path : Path or None
        Where its content is.
    problem : str
        Why it has none.
    changed : float
        When it was written, in seconds.
    """

    parts: tuple[str, ...]
    path: Path | None
    problem: str = ""
    changed: float = 0.0

    @property
    def name(self) -> str:
        """Its own."""
        return self.parts[-1]

    @property
    def shown(self) -> str:
        """All names, as a path."""
        return "/".join(self.parts)

    @property
    def is_hidden(self) -> bool:
        """Whether it is what systems and programs leave, and no work."""
        return any(is_hidden(part) for part in self.parts)


def is_hidden(name: str) -> bool:
    """Whether a name is of what systems and programs leave, and no work."""
    return name.startswith((".", "~$")) or name.casefold() in NOT_WORK


def readable(name: str) -> str:
    """A file's name as text; one that is not UTF-8 is taken for Latin-1, as old archives have."""
    try:
        text = os.fsencode(name).decode()
    except UnicodeDecodeError:
        text = os.fsencode(name).decode("latin-1")
    except UnicodeEncodeError:  # half of a surrogate pair, from an archive
        text = name.encode("utf-8", "backslashreplace").decode()
    return unicodedata.normalize("NFC", text)


def entries(place: Path, box: Path, skip: Path | None = None) -> list[Entry]:
    """Everything in a folder or an archive, or the one file.

    Parameters
    ----------
    place : Path
    box : Path
        A folder to unpack into.
    skip : Path, optional
        A folder inside that is not looked at.

    Raises
    ------
    ValueError
        If there is no such place, or more in it than any class hands in.
    """
    if place.is_dir():
        all_of_it = _in_folder(place, (), box, None if skip is None else whole(skip))
        found = list(islice(all_of_it, MOST_ENTRIES + 1))
        if len(found) > MOST_ENTRIES:
            raise ValueError(
                f"{place} holds more than {MOST_ENTRIES:,} files: name the class's own"
            )
        return found
    if not place.exists():
        raise ValueError(f"{place} does not exist")
    entry = Entry((readable(place.name),), place, changed=_changed(place))
    if not place.is_file():
        return [replace(entry, path=None, problem="no regular file")]
    if not is_archive(entry):
        return [entry]
    allowance = Allowance(MOST_FILES, MOST_BYTES)
    inside = list(_in_archive(replace(entry, parts=()), box, allowance, MOST_ARCHIVES))
    return [e if e.parts else replace(e, parts=entry.parts) for e in inside]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def is_archive(entry: Entry) -> bool:
    """Whether a file is a .zip, also one that is named as a notebook."""
    if entry.path is None or not entry.name.lower().endswith((".zip", ".ipynb", ".py")):
        return False
    with suppress(OSError), entry.path.open("rb") as file:
        return file.read(4) == b"PK\3\4" or entry.name.lower().endswith(".zip")
    return False


def _in_folder(
    folder: Path, parts: tuple[str, ...], box: Path, skip: Path | None
) -> Iterator[Entry]:
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
        device = folder.stat().st_dev
    except OSError as error:
        yield Entry(parts or (folder.name,), None, f"it cannot be read: {error.strerror}")
        return
    if not found and parts:
        yield Entry(parts, None, "an empty folder")
    for item in found:
        own, path = (*parts, readable(item.name)), Path(item.path)
        if item.is_symlink():
            yield Entry(own, None, "a link, which is not followed")
        elif item.is_dir(follow_symlinks=False):
            if skip is not None and whole(path) == skip:
                continue
            if is_hidden(own[-1]):
                yield Entry(own, None, "a hidden folder")
            elif len(own) > DEEPEST:
                yield Entry(own, None, "too deep a folder")
            elif path.lstat().st_dev != device:  # /proc, whose files may never end
                yield Entry(own, None, "a folder on another file system")
            else:
                yield from _in_folder(path, own, box, skip)
        elif item.is_file(follow_symlinks=False):
            entry = Entry(own, path, changed=_changed(path))
            if is_archive(entry) and not is_hidden(own[-1]):
                most = MOST_BYTES_BESIDE if len(own) == 1 else MOST_BYTES_INSIDE
                allowance = Allowance(MOST_FILES, most)
                yield from _in_archive(entry, box, allowance, MOST_ARCHIVES)
            else:
                yield entry
        else:
            yield Entry(own, None, "no regular file")


def _in_archive(entry: Entry, box: Path, allowance: Allowance, deeper: int) -> Iterator[Entry]:
    assert entry.path is not None
    inner = box / f"{next_number():06}"
    inner.mkdir()
    folders: set[tuple[str, ...]] = set()
    filled: set[tuple[str, ...]] = set()
    try:
        for member in members(entry.path, inner, allowance, WANTED):
            names = tuple(readable(part) for part in member.parts)
            parts = (*entry.parts, *names)
            filled |= {names[:i] for i in range(len(names))}
            if member.problem == "a folder":
                folders.add(names)
                continue
            found = Entry(parts, member.path, member.problem, _seconds(member.time))
            if len(parts) > DEEPEST:
                yield replace(found, path=None, problem="in too deep a folder")
            elif found.is_hidden or not is_archive(found):
                yield found
            elif deeper == 1:
                yield replace(found, path=None, problem="an archive in too many archives")
            else:
                inside = Allowance(allowance.files, min(allowance.bytes, MOST_BYTES_INSIDE))
                yield from _in_archive(found, box, inside, deeper - 1)
    except ValueError as error:
        yield replace(entry, path=None, problem=str(error))
        return
    for folder in sorted(folders - filled):
        yield Entry((*entry.parts, *folder), None, "an empty folder")
    if not filled:
        yield replace(entry, path=None, problem="an empty archive")


def _seconds(date: tuple[int, ...]) -> float:
    with suppress(ValueError, OverflowError, OSError):
        return time.mktime((*date, 0, 0, -1))  # type: ignore[arg-type]
    return 0.0
