"""Sums over the blocks of a batch that come out the same whichever threads add them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from types import ModuleType
from typing import Any, TypeVar

from minires.backend import Array
from minires.kernels.machinery.threads import parallel

Piece = TypeVar("Piece")

MOST = 16
"""Into how many partial sums a sum is split at most."""

MEMORY = 1 << 23
"""How many numbers the partial sums hold in all, unless that allows fewer than `FEWEST`."""

FEWEST = 4

MOST_POSITIONS = 256
"""How many positions one product of a weight gradient adds up at most: float32 sums of more are
less exact than PyTorch's."""


def sum_over_blocks(
    xp: ModuleType,
    add: Callable[[Array, Piece], None],
    pieces: Sequence[Piece],
    shape: tuple[int, ...],
    dtype: Any,
) -> Array:
    """`add(total, piece)` for every piece, on several threads.

    Neighbouring pieces go to one partial sum, one after the other; at the end the partial sums are
    added in their order. What goes where depends on the number of pieces and the shape alone.

    Returns
    -------
    array of the given shape and dtype
        Zeros if there are no pieces.
    """
    count = max(min(len(pieces), MOST, max(FEWEST, MEMORY // max(prod(shape), 1))), 1)
    runs = [pieces[i * len(pieces) // count : (i + 1) * len(pieces) // count] for i in range(count)]

    def run(some: Sequence[Piece]) -> Array:
        total = xp.zeros(shape, dtype)
        for piece in some:
            add(total, piece)
        return total

    partial = parallel(run, runs)
    for other in partial[1:]:
        partial[0] += other
    return partial[0]
