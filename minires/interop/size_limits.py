"""How large a tensor may be that a file asks for: so much, and so many times what goes in."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LEAST = 2**24  # numbers that are always fine: 64 MB
TIMES = 1024  # a network has at most so many channels for each of its images'

_most: contextvars.ContextVar[float] = contextvars.ContextVar("most", default=math.inf)


@contextmanager
def in_proportion(numbers: int) -> Iterator[None]:
    """Refuse tensors in the block that are far larger than images of so many numbers."""
    token = _most.set(max(LEAST, TIMES * numbers))
    try:
        yield
    finally:
        _most.reset(token)


def check_size(shape: Iterable[int]) -> tuple[int, ...]:
    """The shape of a tensor that is about to be made.

    Raises
    ------
    ValueError
        If it is out of all proportion to what went in.
    """
    lengths = tuple(int(n) for n in shape)
    if math.prod(lengths) > _most.get():
        raise ValueError(f"a tensor of {math.prod(lengths):.1e} numbers, which is refused")
    return lengths
