"""Which arrays were overwritten, and when: on the clock that numbers the nodes of the graph.

A rule computes with arrays that its forward read. Were one of them overwritten in between, the
gradient would be wrong without a word. So a write through a Tensor or an optimiser is noted with
the time, and a node that is older than the last write to an array that it kept is an error. It
costs nothing until something is written, and then one comparison a node.

Views share the memory of the array that owns it, so a write to one is a write to all. What is
written into `tensor.data` or into a NumPy array that a Tensor shares is not seen here; see
`overwrites`.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

from minires.backend import Array

tick = itertools.count().__next__
"""The time: a number that is larger at each call."""

newest = -1
"""When anything was last written."""

modules = -1
"""When an attribute of any module was last set: other weights, or another mode."""

_written: dict[int, tuple[int, weakref.ref[Any]]] = {}  # by the owning array's id


def note(array: Array) -> None:
    """Remember that `array` has just been written to."""
    global newest
    own = owner(array)
    key = id(own)
    newest = tick()
    _written[key] = newest, weakref.ref(own, lambda _: _written.pop(key, None))


def since(array: Array, time: int) -> bool:
    """Whether `array`, or what it is a view of, was written to after that time."""
    found = _written.get(id(owner(array)))
    return found is not None and found[0] > time


def owner(array: Array) -> Array:
    """The array whose memory this one shows."""
    while hasattr(base := getattr(array, "base", None), "dtype"):
        array = base
    return array
