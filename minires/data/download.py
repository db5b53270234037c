"""Fetch a file over HTTP: going on where a broken attempt stopped, and checked before it counts."""

from __future__ import annotations

import hashlib
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from minires.data.errors import DataError
from minires.progress_bar import bar

CHUNK = 1 << 18
_NETWORK_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError)


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 30.0,
) -> None:
    """Download a file of known size and checksum.

    The bytes gather in `path` + ".part", from where a later attempt (or a later run) goes on, if
    the server allows it. Only when size and checksum are right does the file get its name, in one
    step: under `path` there is the whole file or none.

    Parameters
    ----------
    url : str
    path : Path
        Its folder is made if need be. A file that exists is left alone.
    sha256 : str
        In hexadecimal.
    size : int
        In bytes.
    attempts : int
        How often to try in all when the connection breaks.
    pause, timeout : float
        Seconds to wait before trying again (doubled every time), and for the server to answer.

    Raises
    ------
    DataError
        If the server refuses or stays unreachable, if the file cannot be written, or if its size
        or checksum is wrong (then nothing is kept).
    """
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = {"unit": "B", "unit_scale": True, "leave": True, "disable": False}
        with bar(total=size, desc=path.name, **shown) as progress:
            _fetch_all(url, part, size, attempts, pause, timeout, progress)
        found = _sha256(part)
        if found != sha256:
            part.unlink()
            raise DataError(
                f"{url}: wrong checksum: got sha256 {found}, expected {sha256}; "
                "the download was removed"
            )
        part.replace(path)
    except OSError as error:
        raise DataError(f"{part}: cannot be written: {error}") from error


def _fetch_all(
    url: str, part: Path, size: int, attempts: int, pause: float, timeout: float, progress: Any
) -> None:
    """Try until `part` has all its bytes."""
    reason = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _fetch(url, part, size, timeout, progress)
        except HTTPError as error:
            error.close()
            reason = f"the server answers {error.code} {error.reason}"
            if error.code == 416 and attempt == 0:  # what is there has no continuation: start anew
                part.unlink(missing_ok=True)
            elif 400 <= error.code < 500 and error.code not in (408, 429):
                raise DataError(f"{url}: {reason}") from error
        except _NETWORK_ERRORS as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        else:
            reason = "the connection was closed"
        if _size(part) == size:
            return
    raise DataError(
        f"{url}: {reason}: got {_size(part):,} of {size:,} bytes in {attempts} attempts; "
        "what is there is kept, so try again later"
    )


def _fetch(url: str, part: Path, size: int, timeout: float, progress: Any) -> None:
    """One attempt: append to `part`, or start it anew where the server sends everything."""
    have = _size(part)
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    headers = {"User-Agent": "minires"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urlopen(Request(url, headers=headers), timeout=timeout) as response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if not goes_on:
            have = 0
        length = response.headers.get("Content-Length")
        if length is not None and have + int(length) != size:
            part.unlink(missing_ok=True)
            raise DataError(
                f"{url}: the server offers {have + int(length):,} bytes, expected {size:,}"
            )
        progress.update(have - progress.n)
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
                if file.tell() > size:
                    raise DataError(f"{url}: the server sends more than the {size:,} bytes wanted")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
