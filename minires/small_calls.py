"""What the stepper needs: small operations remember their call until the backward pass.

A rule keeps only what it asks for. `viz.step_through` shows all values in a graph, so it can do so
where they are few and cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from minires.backend import Array

Call: TypeAlias = tuple[Sequence[Any], dict[str, Any], Array]
"""An operation's arrays, keywords and output."""

SMALL = 64
"""Elements. A call with no larger array is remembered."""


def remembered(arrays: Sequence[Any], constants: dict[str, Any], out: Array) -> Call | None:
    """The call of an operation with a small output, or None if an argument is large."""
    for array in arrays:
        if getattr(array, "size", 0) > SMALL:
            return None
    return arrays, constants, out
