"""Call a function in a copy of this process, which ends by itself when its time is over.

For code that is the project's own but may loop, crash or take memory, such as mutants. Students'
code runs in a `sandbox.Child`, which costs more and holds more.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WALL = 4
"""A call may take so many times its processor seconds by the clock on the wall."""


class LostError(RuntimeError):
    """The call did not return; the text says why."""


def forked(function: Callable[[], Any], *, seconds: float, memory: int) -> Any:
    """What a function returns, as JSON keeps it.

    Parameters
    ----------
    function : callable
    seconds : float
        Of processor time.
    memory : int
        Bytes of address space beside what this process has.

    Raises
    ------
    LostError
        If it takes too long, crashes or fails.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _serve(function, writer, seconds, memory)
    os.close(writer)
    try:
        text = _read(reader, time.monotonic() + WALL * seconds + 1)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if text:
        return json.loads(text)
    code = os.waitstatus_to_exitcode(status)
    raise LostError("it took too long" if code in (-signal.SIGPROF, -signal.SIGKILL) else "a crash")


def _serve(function: Callable[[], Any], writer: int, seconds: float, memory: int) -> None:
    """In the copy: never returns."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal ends it
        with os.fdopen(writer, "w") as file:
            file.write(json.dumps(function()))
    finally:
        os._exit(1)


def _read(reader: int, until: float) -> bytes:
    """All that is written, nothing if that takes too long."""
    parts = []
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([reader], [], [], left)
        part = os.read(reader, 1 << 16) if ready else b""
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
