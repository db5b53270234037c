"""Sizes of windows and images: one integer for both axes, or a pair."""

from __future__ import annotations

from typing import Any

import numpy as np  # for the type of NumPy's integers only

Size = int | tuple[int, int]


def same(padding: Size | str, kernel: Any, stride: Size, dilation: Size) -> Size:
    """The padding that a word means: "valid" is none, "same" leaves images their size.

    Raises
    ------
    ValueError
        If it is another word, or no padding on both sides does that.
    """
    if not isinstance(padding, str):
        return padding
    spans = [d * (k - 1) for d, k in zip(pair(dilation), pair(kernel), strict=True)]
    if padding not in ("same", "valid") or (padding == "same" and pair(stride) != (1, 1)):
        raise ValueError(f'padding is a size, "valid" or, with stride 1, "same", got {padding!r}')
    if padding == "same" and any(span % 2 for span in spans):
        raise ValueError(
            'padding="same" of an even kernel is one pixel more at the end: write '
            "F.pad(x, (0, 1, 0, 1)) before it, with a padding of half as much"
        )
    return (0, 0) if padding == "valid" else (spans[0] // 2, spans[1] // 2)


def pair(value: Size, name: str = "value") -> tuple[int, int]:
    """`3` and `(3, 3)` mean the same.

    Raises
    ------
    TypeError
        If it is neither an integer nor two of them.
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(v, int | np.integer) for v in both):
        hint = ": write x.shape[1] or x.shape[2] for as many as there are" if None in both else ""
        raise TypeError(f"{name} wants an integer or a pair of them, got {value!r}{hint}")
    return int(both[0]), int(both[1])
