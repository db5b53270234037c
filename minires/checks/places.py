"""Which line of somebody's program a finding is about."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from minires.data import DataLoader
from minires.nn import Module
from minires.optim import Optimizer

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_MADE: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Where layers, optimisers and loaders were made, of those that were made in `noted`."""


@contextmanager
def noted() -> Iterator[None]:
    """In the block, it is noted where each layer, optimiser and loader is made."""
    kinds: tuple[Any, ...] = (Module, Optimizer, DataLoader)
    plain = [kind.__init__ for kind in kinds]

    def noting(make: Any) -> Any:
        @wraps(make)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            _MADE[self] = calling_line()
            make(self, *args, **kwargs)

        return init

    for kind, make in zip(kinds, plain, strict=True):
        kind.__init__ = noting(make)
    try:
        yield
    finally:
        for kind, make in zip(kinds, plain, strict=True):
            kind.__init__ = make


def line_of(thing: Any) -> str:
    """Where a function, or a module's forward, is defined, as `file:line`; "" if unknown.

    The library's own lines are nobody's mistake: of its layers, optimisers and loaders it is where
    they were made, if that was noted.
    """
    target = getattr(type(thing), "forward", None)
    if target is None:
        target = thing if hasattr(thing, "__code__") else getattr(thing, "__func__", None)
    code = getattr(inspect.unwrap(target) if callable(target) else None, "__code__", None)
    if code is None or code.co_filename.startswith(_PACKAGE):
        try:
            return _MADE.get(thing, "")
        except TypeError:  # what has no hash or no weak references
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
