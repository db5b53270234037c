"""What is done to a convolution's output, block by block, while it is in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Epilogue: TypeAlias = Callable[[slice], None]
"""What an algorithm calls with each range of positions, rows of ``out.reshape(-1, O)``, once it is
written: on the thread that wrote it, in whose cache it is."""


def no_epilogue(positions: slice) -> None:
    """The `Epilogue` of an output to which nothing is to be done."""
