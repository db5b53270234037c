"""Find and read data files, whole, in memory, and never more of them than was bargained for."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from minires.data.errors import DataError

MAX_ARCHIVE = 1 << 30  # bytes, decompressed. CIFAR's archives hold 184 MB


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what the standard library says about an unreadable file into a `DataError` naming it."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except EOFError as error:
        raise DataError(f"{path}: truncated: the compressed data stops in the middle") from error
    except (gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{path}: corrupt: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def open_maybe_gzip(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file for reading, through gzip where its name ends in .gz."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def holds_any(folder: Path, names: Collection[str]) -> bool:
    """Whether at least one of the files is in the folder."""
    return any((folder / name).is_file() for name in names)


def read_files(source: Path, names: Sequence[str], limit: int) -> Iterator[tuple[str, bytes]]:
    """Read files from a folder, or from a .tar.gz archive without unpacking it to disk.

    Parameters
    ----------
    source : Path
        The folder or the archive.
    names : sequence of str
        File names without folders. In an archive the folder of a member does not matter, and no
        name from it is ever used as a path.
    limit : int
        No file may be larger, in bytes.

    Yields
    ------
    name, content : str, bytes
        Each name once, in the order in which the source holds them.

    Raises
    ------
    DataError
        If a file is missing or too large, or if the archive is damaged.
    """
    if source.is_dir():
        for name in names:
            with damage_named(source / name):
                _check_size(source / name, (source / name).stat().st_size, limit)
                yield name, (source / name).read_bytes()
    else:
        yield from _read_archive(source, names, limit)


def _read_archive(path: Path, names: Sequence[str], limit: int) -> Iterator[tuple[str, bytes]]:
    """One pass from beginning to end, since gzip cannot seek, so that its checksum is checked."""
    missing = list(names)
    total = 0
    with (
        damage_named(path),
        gzip.open(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive,
    ):
        for member in archive:
            total += member.size
            _check_size(path, total, MAX_ARCHIVE)
            name = PurePosixPath(member.name).name
            content = archive.extractfile(member) if name in missing and member.isfile() else None
            if content is not None:
                _check_size(path / name, member.size, limit)
                missing.remove(name)
                yield name, content.read()
        while stream.read(1 << 20):  # up to gzip's checksum, behind the archive's end
            total += 1 << 20
            _check_size(path, total, MAX_ARCHIVE)
    if missing:
        raise DataError(f"{path}: the archive holds no {', '.join(missing)}")


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise DataError(f"{path}: {size:,} bytes, expected no more than {limit:,}")
