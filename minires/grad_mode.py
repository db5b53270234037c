"""Whether operations are recorded: `no_grad`, `enable_grad` and `set_grad_enabled`, by thread."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar, overload

from minires.generators import each_step_inside

_F = TypeVar("_F", bound=Callable[..., Any])


class _Modes(threading.local):
    def __init__(self) -> None:
        self.recording = [True]  # of each `with` block inside the others; the last one counts


modes = _Modes()
"""This thread's."""


class GradMode(ContextDecorator):
    """Recording on or off, as a `with` block or a decorator, on this thread only."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled  # nothing else: a decorated function may run on many threads

    def __enter__(self) -> None:
        modes.recording.append(self._enabled)

    def __exit__(self, *_: object) -> None:
        modes.recording.pop()

    def __call__(self, function: Any) -> Any:
        steps = inspect.isgeneratorfunction(function)
        return each_step_inside(self, function) if steps else super().__call__(function)


@overload
def no_grad() -> GradMode: ...
@overload
def no_grad(function: _F) -> _F: ...
def no_grad(function: Any = None) -> Any:
    """`with no_grad():` operations leave no graph behind. Also a decorator: `@no_grad()`."""
    return GradMode(False) if function is None else GradMode(False)(function)


@overload
def enable_grad() -> GradMode: ...
@overload
def enable_grad(function: _F) -> _F: ...
def enable_grad(function: Any = None) -> Any:
    """`with enable_grad():` records again inside a `no_grad` block. Also a decorator."""
    return GradMode(True) if function is None else GradMode(True)(function)


class _FromNowOn(GradMode):
    """A mode that has begun; as a `with` block or a decorator it is one of those after all."""

    def __init__(self, enabled: bool) -> None:
        super().__init__(enabled)
        self._before = is_grad_enabled()
        modes.recording[-1] = enabled

    def __enter__(self) -> None:
        modes.recording[-1] = self._before
        super().__enter__()

    def __call__(self, function: Any) -> Any:
        modes.recording[-1] = self._before
        return GradMode(self._enabled)(function)


def set_grad_enabled(mode: bool) -> GradMode:
    """Record operations from now on, or no more; `with set_grad_enabled(mode):` in the block only.

    Parameters
    ----------
    mode : bool

    Returns
    -------
    GradMode
        For `with`, and as a decorator.
    """
    return _FromNowOn(mode)


def is_grad_enabled() -> bool:
    """Whether operations on this thread are being recorded."""
    return modes.recording[-1]
