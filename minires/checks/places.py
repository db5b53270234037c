"""Which line of somebody's program a finding is about."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).resolve().parent.parent)


def line_of_function(function: Any) -> str:
    """Where a function, or a module's forward, is defined, as `file:line`; "" if unknown.

    The library's own lines are nobody's mistake.
    """
    target = getattr(type(function), "forward", None)
    if target is None:
        target = function if hasattr(function, "__code__") else getattr(function, "__func__", None)
    code = getattr(inspect.unwrap(target) if callable(target) else None, "__code__", None)
    if code is None or code.co_filename.startswith(_PACKAGE):
        return ""
    return f"{code.co_filename}:{code.co_firstlineno}"


def calling_line() -> str:
    """The nearest line outside the library that led here."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_back is None:
            return ""
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def own_line(line: str) -> str:
    """The line, unless it is one of the library's."""
    return "" if line.startswith(_PACKAGE) or line == "an unknown line" else line


def listed(names: list[str], most: int = 4) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
