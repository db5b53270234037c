"""The parent's side of a child: start it in its sandbox, ask it, kill it when its time is up."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import math
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from minires.coursework.sandbox import boot
from minires.coursework.sandbox.wire import CUT_OFF, TAG, MessageError, Recorded, packed, read, seal
from minires.coursework.temporary import TemporaryFolder

NOBODY = 65534
MOST_PRINTED = 4096
TIMED_OUT = "time-out"
ISOLATION = Path(boot.__file__).with_name("isolation.py")
"""A script that runs on Linux only, so nothing imports it."""


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes
    ----------
    memory, disk, file : int
        Bytes of address space, of its folder, and of one file.
    processes : int
        And threads, the one that the student's code runs in not counted.
    open_files : int
    """

    memory: int = 1 << 30
    disk: int = 16 << 20
    file: int = 8 << 20
    processes: int = 1
    open_files: int = 64


class IsolationError(RuntimeError):
    """This system cannot lock a child in."""


class ChildLost(RuntimeError):
    """The child ended without an answer, or took too long; the text says which."""

    def __init__(self, text: str, timed_out: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class Child:
    """A process with a student's code, as a context manager.

    Parameters
    ----------
    task : dict
        The first message: cells, modules, name and driver; see `child.Session`.
    seconds : float
        Of processor time.
    wall : float
        Seconds by the clock after which the child is killed.
    limits : Limits
    sandboxed : bool
        False runs the code with the rights of whoever grades, which is never right for work of
        others.
    """

    def __init__(
        self,
        task: dict[str, Any],
        seconds: float,
        wall: float,
        limits: Limits,
        sandboxed: bool = True,
    ) -> None:
        self._key, self._number = secrets.token_bytes(32), 0
        self.task = task | {"key": self._key.hex(), "processes": limits.processes}
        self.seconds, self.wall = seconds, wall
        self.timed_out = False
        self.log = b""
        self._folder = TemporaryFolder()
        folder = Path(self._folder.name)
        allowed = asdict(limits) | {"cpu": math.ceil(seconds)}
        command, environment, cwd = (_isolated if sandboxed else _free)(
            folder, task["modules"], allowed
        )
        if not sandboxed:
            self.task["processes"] = None
        self._status, status = os.pipe()
        printed, self._prints = os.pipe()
        self._printed = os.fdopen(printed, "rb")
        self._mark = secrets.token_bytes(16)
        try:
            self._process = subprocess.Popen(
                [*command, str(status)] if sandboxed else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._prints,
                env=environment,
                cwd=cwd,
                start_new_session=True,
                pass_fds=[status] if sandboxed else [],
            )
        except BaseException:
            os.close(self._status)
            self._printed.close()
            self.mute()
            raise
        finally:
            os.close(status)
        self._log = threading.Thread(target=self._keep_log, daemon=True)
        self._log.start()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._kill_after, args=(wall,), daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._process.kill()
        if sys.platform != "win32":  # which knows no groups of processes
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, 9)
        self._process.wait()
        self.mute()  # the last that can write there
        self._log.join(timeout=2)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _open(stream).close()
        os.close(self._status)
        self._folder.cleanup()

    def _kill_after(self, wall: float) -> None:
        """Count the seconds; those in which this process did not run itself do not count."""
        tick = 0.05
        while wall > 0:
            before = time.monotonic()
            if self._done.wait(min(tick, wall)):
                return
            wall -= min(time.monotonic() - before, 4 * tick)
        self.timed_out = True
        self._process.kill()

    def _keep_log(self) -> None:
        """Read what the student prints, to the end, and keep the beginning up to the mark."""
        kept, most = b"", MOST_PRINTED + len(self._mark)
        with self._printed as stream:
            while chunk := stream.read1(1 << 16):
                if len(kept) < most:
                    kept = (kept + chunk)[:most]
                    self.log = kept.partition(self._mark)[0][:MOST_PRINTED]

    def mute(self) -> None:
        """Keep nothing of what is printed from now on."""
        if self._prints >= 0:
            with contextlib.suppress(OSError):
                os.write(self._prints, self._mark)
            os.close(self._prints)
            self._prints = -1

    def start(self) -> None:
        """Send the task.

        Raises
        ------
        IsolationError, ChildLost
        """
        self._send(self.task)

    def ask(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the student's code makes of these arguments.

        Raises
        ------
        IsolationError
            If the sandbox could not be built.
        ChildLost
            If there is no answer.
        """
        self._send({"arguments": arguments})
        stream = Recorded(_open(self._process.stdout))
        try:
            answer = read(stream)
            whole = b"".join(stream.data)
            sealed = seal(self._key, self._number, whole) if answer is not None else b""
            if stream.read(TAG if sealed else 0) != sealed:
                raise MessageError("its answer is not the grader's own")
        except MessageError as error:
            raise self._lost(str(error)) from error
        self._number += 1
        if not isinstance(answer, dict):
            raise self._lost("")
        return answer

    def _send(self, message: Any) -> None:
        try:
            stream = _open(self._process.stdin)
            stream.write(packed(message))
            stream.flush()
        except OSError as error:
            raise self._lost("") from error

    def _lost(self, reason: str) -> IsolationError | ChildLost:
        if self.timed_out:
            text = f"{TIMED_OUT}: it took more than {self.wall:g} s by the clock"
            return ChildLost(text, timed_out=True)
        try:
            code = self._process.wait(timeout=2.0 if reason in ("", CUT_OFF) else 0.2)
        except subprocess.TimeoutExpired:
            return ChildLost(reason or "it gave no answer")
        told = self._told()
        failed = [line for line in told if line.startswith("failed")]
        if failed:
            return IsolationError(f"isolation {failed[0]}")
        if "out of time" in told:
            text = f"{TIMED_OUT}: it took more than {self.seconds:g} s of computing"
            return ChildLost(text, timed_out=True)
        if code < 0:
            code = 128 - code
        name = {137: "killed", 139: "a crash in memory"}
        return ChildLost(
            f"the process ended before it answered (exit code {code}"
            + (f", {name[code]}" if code in name else "")
            + ")"
            + (f": {reason}" if reason else "")
        )

    def _told(self) -> list[str]:
        """What the sandbox said, which has ended; the child has no such channel."""
        os.set_blocking(self._status, False)
        try:
            return os.read(self._status, 4096).decode(errors="replace").splitlines()
        except BlockingIOError:
            return []


def _open(stream: Any) -> BinaryIO:
    assert stream is not None
    return stream  # type: ignore[no-any-return]


ENVIRONMENT = {
    "PATH": "",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


def _program(packages: str, parts: str) -> list[str]:
    """Python with its standard library, these packages and nothing else; see `boot`."""
    boot_file = f"{parts}/boot.py"
    start = (
        f"import sys; sys.path.append({packages!r}); names = {{}}; "
        f"source = open({boot_file!r}, encoding='utf-8').read(); "
        "exec(compile(source, 'boot', 'exec'), names); "
        f"names.pop('parts')({parts!r}).main()"
    )
    return ["-I", "-S", "-B", "-c", start]


def _interpreter() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _packages(modules: Sequence[str]) -> dict[str, str]:
    """Where the allowed packages are that are not of the standard library, by their file's name."""
    found = {}
    for module in modules:
        if module in sys.stdlib_module_names:
            continue
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.origin:
            raise ModuleNotFoundError(f"the question allows {module}, which is not installed")
        path = Path(spec.origin)
        path = path.parent if path.name == "__init__.py" else path
        found[path.name] = str(path)
        libraries = path.parent / f"{module}.libs"
        if libraries.is_dir():
            found[libraries.name] = str(libraries)
    return found


def _free(
    folder: Path, modules: Sequence[str], limits: dict[str, int]
) -> tuple[list[str], dict[str, str], str]:
    """A command that runs a child without a sandbox."""
    (folder / "packages").mkdir()
    for name, path in _packages(modules).items():
        (folder / "packages" / name).symlink_to(path)
    (folder / "box").mkdir()
    command = [_interpreter(), *_program(str(folder / "packages"), str(Path(boot.__file__).parent))]
    return command, dict(ENVIRONMENT), str(folder / "box")


def _isolated(
    folder: Path, modules: Sequence[str], limits: dict[str, int]
) -> tuple[list[str], dict[str, str], str]:
    """A command that runs a child in its sandbox."""
    (folder / "root").mkdir()
    python = _interpreter()
    config = {
        "root": str(folder / "root"),
        "user": _user(),
        "visible": [
            *((path, path) for path in _system_files(python)),
            *((path, f"/packages/{name}") for name, path in _packages(modules).items()),
        ],
        "hidden": _site_packages(),
        "parts": _parts(),
        "limits": limits,
        "python": python,
        "command": [python, *_program("/packages", "/grader")],
        "environment": ENVIRONMENT | {"HOME": "/box", "TMPDIR": "/box"},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [python, "-I", "-S", "-B", str(ISOLATION), str(folder / "config.json")]
    return command, {"LANG": "C.UTF-8", "PATH": ""}, "/"


@functools.cache
def _parts() -> dict[str, str]:
    """The sources of what runs in a child."""
    folder = Path(boot.__file__).parent
    names = [f"{part}.py" for part in ("boot", *boot.PARTS)]
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


@functools.cache
def _system_files(python: str) -> tuple[str, ...]:
    """What Python needs to run, beside packages."""
    names = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/dev/null"]
    names += ["/dev/urandom"]
    if sys.base_prefix == "/usr":
        names.append(python)
    else:
        names.append(os.path.realpath(sys.base_prefix))
    return tuple(name for name in names if os.path.lexists(name))


@functools.cache
def _site_packages() -> tuple[str, ...]:
    """Folders of installed packages inside what a child sees."""
    places = [Path("/usr/lib/python3/dist-packages")]
    for root in {Path("/usr"), Path(os.path.realpath(sys.base_prefix))}:
        for kind in ("site-packages", "dist-packages"):
            places += root.glob(f"lib*/python3*/{kind}")
    return tuple(sorted({str(place) for place in places}))


def _user() -> int:
    """A user id that nobody has, where all ids may be used; in most containers `nobody`."""
    try:
        first, _, count = Path("/proc/self/uid_map").read_text().split()[:3]
    except (OSError, ValueError):
        return NOBODY
    if os.geteuid() == 0 and first == "0" and int(count) > 3_000_000_000:
        return 2_000_000_000 + secrets.randbelow(100_000_000)
    return NOBODY


@functools.cache
def isolation_problem() -> str | None:
    """Why no child can be locked in on this system, None where it can.

    A child is started and asked once.
    """
    if not sys.platform.startswith("linux"):
        return f"isolation needs Linux, this is {sys.platform}"
    task = {
        "given": [],
        "cells": [{"name": "probe", "source": "def probe():\n    return 1", "how": "all"}],
        "parts": [],
        "modules": ["numpy"],
        "name": "probe",
        "driver": None,
    }
    try:
        with Child(task, 10, 60, Limits()) as process:
            process.start()
            answer = process.ask({})
    except (IsolationError, ChildLost, OSError, ValueError) as error:
        return str(error)
    return None if answer.get("result") == 1 else f"a child answered {answer}"
