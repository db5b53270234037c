"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether somebody has asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Inside, the first Ctrl-C only sets `requested`; a second one interrupts at once.

    So do a polite kill (SIGTERM) and a terminal that is closed (SIGHUP); a signal that the process
    was started to ignore, as under nohup, stays ignored. Signals reach the main thread only; in
    another one this does nothing.
    """
    interruption = Interruption()

    def request(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is unknown to Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, request) for number in heard}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
