"""The command line. Each command is a function in a module of this folder; `commands` has all."""

from __future__ import annotations

import os
import sys

from minires import keyboard_interrupt
from minires.cli.streams import all_open, say
from minires.kernels import get_num_threads


def main() -> None:
    """Run the command line; a mistake of the user's gets one line."""
    if os.environ.get("COLUMNS") == "0":  # some terminals' way to say that they do not know
        del os.environ["COLUMNS"]
    with all_open():
        try:
            get_num_threads()  # if the environment's is wrong, before some operation says so
            from minires.cli.commands import run

            code, message = run(sys.argv[1:] or ["--help"])
        except ValueError as error:
            code, message = 2, str(error)
        finally:
            keyboard_interrupt.leave_at_ctrl_c()
        if message:
            say(message)
    sys.exit(code)
