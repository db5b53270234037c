"""Who looks on while operations run: profilers, recorders, the search for NaNs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

Observer: TypeAlias = Callable[[Any, Sequence[Any], dict[str, Any], Any], None]
"""`observer(op, arrays, constants, result)`, after a forward on Tensors; the result is one."""

GradientObserver: TypeAlias = Callable[[Any, Any, Any, Sequence[Any]], None]
"""`observer(op, node, g, gradients)`, after an operation's rule."""


class _Watching(threading.local):
    forward: Observer | None = None
    backward: GradientObserver | None = None


watching = _Watching()
"""This thread's observers."""


@contextmanager
def observe(
    forward: Observer | None = None, backward: GradientObserver | None = None
) -> Iterator[None]:
    """Call `forward(op, arrays, constants, result)` after every forward inside the block.

    And `backward(op, node, g, gradients)` after every rule. What is None stays as it was.
    """
    outer = watching.forward, watching.backward
    watching.forward = forward or outer[0]
    watching.backward = backward or outer[1]
    try:
        yield
    finally:
        watching.forward, watching.backward = outer
