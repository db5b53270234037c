"""Sizes of windows and images: one integer for both axes, or a pair."""

from __future__ import annotations

import numpy as np  # for the type of NumPy's integers only

Size = int | tuple[int, int]


def pair(value: Size, name: str = "value") -> tuple[int, int]:
    """`3` and `(3, 3)` mean the same.

    Raises
    ------
    TypeError
        If it is neither an integer nor two of them.
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(v, int | np.integer) for v in both):
        raise TypeError(f"{name} wants an integer or a pair of them, got {value!r}")
    return int(both[0]), int(both[1])
