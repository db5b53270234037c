"""Go through folders of images: hidden ones left out, links followed, nothing met twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from minires.data.errors import DataError
from minires.data.files import damage_named
from minires.data.image import extensions

_OF_THE_SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "lost+found", "system volume information"}

Identity = tuple[int, int]
"""Device and number of a folder: the same however it is reached."""


def folders_in(root: Path) -> list[str]:
    """The names of the folders in `root`, sorted, without hidden ones.

    Raises
    ------
    DataError
        If `root` is no folder or cannot be read.
    """
    if not root.is_dir():
        raise DataError(f"{root}: {'not a folder' if root.exists() else 'no such folder'}")
    return sorted(entry.name for entry in _entries(root) if _is_folder(entry))


def images_in(folder: Path) -> Iterator[Path]:
    """The images in a folder itself, not in its folders, in any order."""
    return (path for entry in _entries(folder) if is_image(path := Path(entry)) and _is_file(entry))


def has_image_in(folder: Path) -> bool:
    """Whether a folder holds an image itself, not only in its folders."""
    return any(True for _ in images_in(folder))


def has_image_below(folder: Path) -> bool:
    """Whether there is an image anywhere in a folder."""
    return any(map(is_image, files_below(folder)))


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in extensions()


def files_below(folder: Path, met: dict[Identity, Path] | None = None) -> Iterator[Path]:
    """The files anywhere in a folder, without hidden ones.

    Links to folders are followed, after all real folders, so that a link to what is here anyway
    adds nothing, nor does one that leads back to where it came from. A link to nothing is a file:
    to leave it out silently could lose an image.

    Parameters
    ----------
    folder : Path
    met : dict, optional
        Filled with every folder that was gone through.

    Raises
    ------
    DataError
        If a folder cannot be read.
    """
    met = {} if met is None else met
    real, links = [folder], list[Path]()
    while real or links:
        here = real.pop() if real else links.pop(0)
        with damage_named(here):
            found = here.stat()
        if met.setdefault((found.st_dev, found.st_ino), here) != here:
            continue
        for entry in sorted(_entries(here), key=lambda entry: entry.name):
            path = Path(entry)
            if _is_folder(entry):
                (links if entry.is_symlink() else real).append(path)
            elif _is_file(entry):
                yield path


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with damage_named(folder), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.casefold() not in _OF_THE_SYSTEM:
                yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as of a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link to nothing, and no pipe or device."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry).exists())
    except OSError:
        return True
