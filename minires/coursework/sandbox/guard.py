"""Keeps what measures in a child apart from the student's code that it measures.

A student's code runs in a thread of its own, so that no frame of the grader's lies beneath it; an
audit hook, which nobody can take off, refuses the doors to other frames and to the process's
memory. Nothing of this is a wall as the sandbox is: who writes to memory by address can do all that
the child can. Hence the child knows no answers, and judges nothing.

See sys.addaudithook and PEP 578.
"""

from __future__ import annotations

import gc
import sys
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from typing import Any

FRAMES = frozenset({"tb_frame", "gi_frame", "cr_frame", "ag_frame"})
REFUSED = frozenset(
    {
        "sys._current_frames",
        "sys._current_exceptions",
        "sys._settraceallthreads",
        "sys._setprofileallthreads",
        "sys.settrace",
        "sys.setprofile",
        "sys.monitoring.register_callback",
        "sys.addaudithook",
        "gc.get_objects",
        "gc.get_referrers",
        "gc.get_referents",
        "code.__new__",
    }
)
MODULES = ("_ctypes", "ctypes", "_test", "_xx", "_interp", "cffi", "_cffi")
"""With these, memory can be written by address, or an interpreter without the hook be had."""

_enable, _disable = gc.enable, gc.disable


class Window:
    """While it is open, as a context manager, frames may be looked at; no other code runs then."""

    def __init__(self) -> None:
        self.open = False

    def __enter__(self) -> None:
        self.open = True

    def __exit__(self, *error: object) -> None:
        self.open = False


def lock_up() -> Window:
    """Refuse all that leads to the grader's frames, for good."""
    window = Window()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            name = args[0]
            if type(name) is not str:
                raise ImportError("a module's name is a str")
            if name.startswith("numpy.ctypeslib"):
                return  # which `from numpy import *` imports, and which does without ctypes
            if name.rpartition(".")[2].startswith(MODULES):
                raise ImportError(f"{name} may not be used here")
        elif window.open:
            return
        elif event == "sys._getframe":
            raise ValueError("frames may not be used here")  # which namedtuple and logging expect
        elif event == "_thread.start_new_thread":
            raise RuntimeError("can't start new thread")
        elif event in REFUSED or (event == "object.__getattr__" and args[1] in FRAMES):
            raise RuntimeError(f"{event} may not be used here")

    sys.addaudithook(hook)
    return window


class Direct:
    """Calls code that is trusted, as one calls functions."""

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What the function returns."""
        return function(*args, **options)

    def release(self) -> None:
        """Nothing is kept."""


class Worker:
    """A thread for a student's code; the caller waits while it runs.

    Whatever comes back is kept until `release`, and let go in that thread: so a student's `__del__`
    runs there too.
    """

    def __init__(self) -> None:
        self._go, self._done = allocate_lock(), allocate_lock()
        self._go.acquire()
        self._done.acquire()
        self._job: Any = None
        self._kept: list[Any] = []
        start_new_thread(self._serve, ())

    def _serve(self) -> None:
        while True:
            self._go.acquire()
            job = self._job
            function, args, options = job
            _enable()
            try:
                job[:] = True, function(*args, **options), None
            except BaseException as error:
                job[:] = False, error, None
            _disable()
            del function, args, options, job
            self._done.release()

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What the function returns or raises."""
        job: list[Any] = [function, args, options]
        self._kept.append((function, args, options, job))
        self._job = job
        self._go.release()
        self._done.acquire()
        good, value, _ = job
        if good:
            return value
        raise value

    def release(self) -> None:
        """Let go of everything."""
        kept, self._kept = self._kept, []
        self.call(kept.clear)
