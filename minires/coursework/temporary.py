"""Temporary folders that do not outlive their owner for long, however it ends.

A folder is locked while it is in use, and the operating system lets go of the lock when the process
ends, killed or not. Whoever makes the first folder in another process removes those that nobody
holds. Where there are no such locks, folders are removed by their age.
"""

from __future__ import annotations

import functools
import os
import shutil
import stat
import sys
import tempfile
import time
import weakref
from pathlib import Path
from types import TracebackType

from minires.locks import lock

PREFIX = "minires-grading-"
UNLOCKED = "minires-grade-"
"""What earlier versions named folders that they did not lock."""

NO_LOCK = -1

OLD = 3600.0
"""Seconds after which a folder without a lock is nobody's: no question takes so long."""


class TemporaryFolder:
    """A folder of this process alone; as a context manager its path.

    Attributes
    ----------
    name : str
        Its path.
    """

    def __init__(self) -> None:
        _remove_leftovers_once()
        lock = None
        while lock is None:  # somebody took it for a leftover before it was locked
            self.name = tempfile.mkdtemp(prefix=PREFIX)
            lock = _locked(Path(self.name))
        self._removed = weakref.finalize(self, _remove, self.name, lock)

    def cleanup(self) -> None:
        """Remove it, which otherwise happens when nobody has the object any more."""
        self._removed()

    def __enter__(self) -> Path:
        return Path(self.name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cleanup()


def remove_leftovers() -> list[Path]:
    """Remove the folders that ended processes of this user left; which they were."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob("minires-grad*-*"):
        if not folder.name.startswith((PREFIX, UNLOCKED)) or not _is_own(folder):
            continue
        lock = _locked(folder) if folder.name.startswith(PREFIX) else NO_LOCK
        if lock is None or (lock == NO_LOCK and not _is_old(folder)):
            continue
        _remove(str(folder), lock)
        removed.append(folder)
    return removed


@functools.cache
def _remove_leftovers_once() -> None:
    remove_leftovers()


def _is_own(folder: Path) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False  # somebody else was quicker
    return stat.S_ISDIR(state.st_mode) and (sys.platform == "win32" or state.st_uid == os.geteuid())


def _is_old(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > OLD
    except OSError:
        return False


def _remove(folder: str, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock != NO_LOCK:
        os.close(lock)


if sys.platform == "win32":

    def _locked(folder: Path) -> int | None:
        return NO_LOCK  # no folder can be opened there

else:

    def _locked(folder: Path) -> int | None:
        """The folder, open and locked; None if somebody holds it or has removed it."""
        try:
            file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            lock(file)
        except BlockingIOError:
            os.close(file)
            return None
        except OSError:
            os.close(file)
            return NO_LOCK
        try:
            if os.path.samestat(os.fstat(file), folder.stat()):
                return file
        except OSError:
            pass
        os.close(file)
        return None
