"""Standard output and error as a command finds them: closed, full, or a terminal that obeys."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minires.files import LONGEST_MESSAGE
from minires.text import bounded

LONGEST_LINE = 2000  # characters


class Plain:
    """A stream on which nothing moves the cursor, whatever names and files say."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        lines = text.split("\n")
        try:
            self._stream.write("\n".join(bounded(line, LONGEST_LINE) for line in lines))
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Inside, what is printed is plain."""
    stream = sys.stdout
    sys.stdout = Plain(stream)
    try:
        yield
    finally:
        sys.stdout = stream


def say(message: str) -> None:
    """One line on standard error, in the command's name."""
    line = bounded(" ".join(message.split()), LONGEST_MESSAGE)
    with suppress(OSError):
        print("minires:", line, file=sys.stderr)


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Inside, warnings of Python and its libraries are lines as our own messages are."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        yield


@contextmanager
def all_open() -> Iterator[None]:
    """Inside, there are standard streams, if need be to nowhere.

    Services and programs without a console on Windows have none, and a shell closes them for
    `minires train 2>&-`. The next file to be opened would get the number of a closed one, and what
    a library in C says to standard error would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            os.set_inheritable(nowhere, True)
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    missing = [name for name, stream in streams.items() if stream is None or stream.closed]
    for name in missing:
        nothing = Path(os.devnull).open("r" if name == "stdin" else "w")  # noqa: SIM115
        setattr(sys, name, nothing)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a log is read while it grows, and no name of a class is worth an error of encoding
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        yield
    finally:
        _flush()
        for name in missing:
            getattr(sys, name).close()
            setattr(sys, name, streams[name])


def _flush() -> None:
    """Write what is left, or let Python have nothing to complain of at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):  # it has no number, say
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
