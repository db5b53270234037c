"""Ctrl-C while the command begins and ends: one line, as in between.

Importing takes a second, and so may leaving, and in neither is anything lost. `minires/__init__.py`
imports this before all else: the package is imported before any code of the command line runs. For
the same reason this imports next to nothing.
"""

import os
import signal
import sys


def leave_at_ctrl_c() -> None:
    """From here Ctrl-C ends the process at once, if it is the command and no other program."""
    if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:  # noqa: SIM105
            signal.signal(signal.SIGINT, _leave)
        except ValueError:  # only the main thread may say what a signal does
            pass


def raise_at_ctrl_c() -> None:
    """From here it is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command() -> bool:
    """Whether this is `minires ...` or `python -m minires ...`."""
    name: str = getattr(sys, "argv", [""])[0]
    if name == "-m":  # Python has not yet found what to run
        return sys.orig_argv[sys.orig_argv.index("-m") + 1 :][:1] == ["minires"]
    parts = name.replace(os.sep, "/").split("/")
    return parts[-1].partition(".")[0] == "minires" or parts[-2:] == ["minires", "__main__.py"]


def _leave(number: int, frame: object) -> None:
    try:
        os.write(2, b"minires: interrupted\n")
    finally:
        os._exit(130)


leave_at_ctrl_c()
