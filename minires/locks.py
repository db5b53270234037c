"""A folder to oneself: two trainings, or two graders, never write to the same one."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minires.files import FileError, whole

if sys.platform == "win32":
    import msvcrt

    def lock(file: int) -> None:
        """Lock an open file until it is closed; an `OSError` if somebody has, or nobody can."""
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:

    def lock(file: int) -> None:
        """Lock an open file until it is closed; an `OSError` if somebody has, or nobody can."""
        try:
            import fcntl
        except ImportError:  # in WebAssembly, where no other process is
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from None
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


LOCK = ".minires.lock"

_this_thread = threading.local()  # .folders: those that it holds


class FolderInUse(FileError):
    """Another process, or another thread of this one, writes to the folder."""


@contextmanager
def hold(folder: str | Path) -> Iterator[None]:
    """Have a folder to oneself inside; it is made if it is missing.

    A thread may hold it again inside. The operating system takes a lock back when its process ends,
    however it ends, so a crash leaves nothing to be cleared up. On a file system without locks, as
    some network folders are, nothing is held.

    Raises
    ------
    FolderInUse
        If somebody else has it, at once.
    OSError
        If the folder cannot be made or written to; the message names it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = whole(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    held: set[Path] = _this_thread.__dict__.setdefault("folders", set())
    if place in held:
        yield
        return
    owner, file = os.getpid(), _locked(folder, place / LOCK)
    held.add(place)
    try:
        yield
    finally:
        held.discard(place)
        if os.getpid() == owner:  # a forked child's end is not the holder's
            _unlock(file, place / LOCK)


def _locked(folder: Path, path: Path) -> int:
    """The open lock file, locked."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        try:
            lock(file)
        except (BlockingIOError, PermissionError):
            os.close(file)
            raise FolderInUse(
                f"{folder} is in use by another process: wait for its end, or take another folder"
            ) from None
        except OSError:
            return file  # no locks here
        if sys.platform == "win32" or _is_still_there(file, path):
            return file
        os.close(file)  # its last holder removed it, and then let go


def _is_still_there(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _unlock(file: int, path: Path) -> None:
    """Remove the lock file while nobody else can have locked it."""
    if sys.platform == "win32":  # which removes no file that somebody has open
        os.close(file)
    with suppress(OSError):
        path.unlink()
    if sys.platform != "win32":
        os.close(file)


def _cannot_write(folder: Path, error: OSError) -> OSError:
    return OSError(error.errno, f"cannot write to {folder}: {error.strerror or error}")
