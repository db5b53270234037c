"""The windows of a row, taken in turns, are matrices already: nothing is copied across a row.

Channels last, the KW*C numbers of a window in one image row are contiguous. Windows that are next
to each other overlap, so they are not the rows of a matrix that BLAS would take. But every KW-th
of them begins where the one before it ended: the windows are KW interleaved matrices, mere views of
the padded rows. Rows follow each other without a gap, so a matrix runs on over the end of a row:
the KW - 1 windows there are nobody's, and their products are left out.
"""

from __future__ import annotations

from typing import NamedTuple

from minires.backend import Array

UNPACKED = 10**6
"""Matrices with fewer products than this OpenBLAS multiplies as they lie. Larger ones it first
copies into another order, which for so few columns takes as long as the products."""

TALLEST = 64
"""How many windows a matrix has at most. Where it is transposed for a gradient these are added up:
float32 sums of more are less exact than PyTorch's."""

LOWEST = 16
"""How many it has at least, if there are so many."""


class Turns(NamedTuple):
    """How windows in a row are split into matrices."""

    every: int  # KW: windows i, i + every, i + 2 * every, ... are one after the other
    matrices: int  # into which these are cut
    height: int  # of one matrix
    windows: int  # in all of them


def in_turns(every: int, windows: int, products: int) -> Turns:
    """At least so many windows, `every` pixels wide, of C channels for O filters: C*O products."""
    per_turn = -(-windows // every)
    highest = UNPACKED // max(every * products, 1)
    matrices = -(-per_turn // min(max(highest, LOWEST), TALLEST))
    height = -(-per_turn // matrices)
    return Turns(every, matrices, height, every * matrices * height)


def by_turns(flat: Array, turns: Turns) -> Array:
    """(..., windows, O) as matrices, (..., every, matrices, height, O), a view."""
    *lead, _, O = flat.shape
    split = flat.reshape(*lead, turns.matrices, turns.height, turns.every, O)
    view: Array = split.swapaxes(-2, -3).swapaxes(-3, -4)
    return view
