"""Ctrl-C while the command begins and ends: one line, as in between.

Importing takes a second, and so may leaving, and in neither is anything lost. `minires/__init__.py`
imports this before all else: the package is imported before any code of the command line runs.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType


def leave_at_ctrl_c() -> None:
    """From here Ctrl-C ends the process at once, if it is the command and no other program."""
    if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with suppress(ValueError):  # only the main thread may say what a signal does
            signal.signal(signal.SIGINT, _leave)


def raise_at_ctrl_c() -> None:
    """From here it is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command() -> bool:
    """Whether this is `minires ...` or `python -m minires ...`."""
    name, given = getattr(sys, "argv", [""])[0], sys.orig_argv
    if name == "-m":  # Python has not yet found what to run
        return given[given.index("-m") + 1 :][:1] == ["minires"]
    return Path(name).stem == "minires" or Path(name).parts[-2:] == ("minires", "__main__.py")


def _leave(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"minires: interrupted\n")
    os._exit(130)


leave_at_ctrl_c()
