"""Call functions in a copy of this process, one by one; each ends when its time is over.

For code that is the project's own but may loop, crash or take memory, such as mutants. Students'
code runs in a `sandbox.Child`, which costs more and holds more.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

WALL = 20
"""A call may take so many times its processor seconds by the clock: machines are busy."""

Call = Callable[[], Any]


@dataclass(frozen=True)
class Lost:
    """What stands for the result of a call that did not return."""

    why: str


def forked(calls: Sequence[Call], *, seconds: float, memory: int) -> Iterator[Any]:
    """What each call returns, as JSON keeps it; `Lost` where one takes too long or crashes.

    Parameters
    ----------
    calls : sequence of callable
    seconds : float
        Of processor time, for each.
    memory : int
        Bytes of address space beside what this process has, for all.
    """
    done = 0
    while done < len(calls):
        for result in _until_one_is_lost(calls[done:], seconds, memory):
            done += 1
            yield result


def _until_one_is_lost(calls: Sequence[Call], seconds: float, memory: int) -> Iterator[Any]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _serve(calls, writer, seconds, memory)
    os.close(writer)
    count = 0
    status = None
    try:
        with os.fdopen(reader, "rb", buffering=0) as lines:
            while count < len(calls) and (line := _line(lines, WALL * seconds + 1)):
                count += 1
                yield json.loads(line)
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if count < len(calls):
        code = os.waitstatus_to_exitcode(status)
        late = code in (-signal.SIGPROF, -signal.SIGKILL)
        yield Lost("it takes too long" if late else f"a crash (exit code {code})")


def _serve(calls: Sequence[Call], writer: int, seconds: float, memory: int) -> None:
    """In the copy: never returns."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        import resource

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for call in calls:
            signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal ends the process
            os.write(writer, json.dumps(call()).encode() + b"\n")
        os._exit(0)
    finally:
        os._exit(1)


def _line(stream: BinaryIO, seconds: float) -> bytes:
    """The next line, short of its end where that is not there in time or never."""
    parts = b""
    until = time.monotonic() + seconds
    while not parts.endswith(b"\n") and (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([stream], [], [], left)
        part = stream.readline() if ready else b""
        if not part:
            return b""
        parts += part
    return parts
