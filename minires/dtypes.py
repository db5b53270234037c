"""Which dtype a result has: that of its floating-point inputs, never a wider one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.backend import Array


def unpromoted(out: Array, arrays: Sequence[Any]) -> Array:
    """`out` in the widest dtype of its floating inputs, or float32 if there is none.

    NumPy makes float64 of float32 and integers beside it, float32 of float16 and integers, and
    float64 of integers alone.
    """
    if out.dtype.kind != "f":
        return out
    floating = [a.dtype for a in arrays if hasattr(a, "dtype") and a.dtype.kind == "f"]
    wanted = max(floating, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float32))
    return out.astype(wanted) if wanted.itemsize < out.dtype.itemsize else out


def as_floating(x: Array) -> Array:
    """Integers and truth values as float32; NumPy would compute `exp` of int8 in float16."""
    return x.astype(np.float32) if getattr(x, "dtype", np.dtype(float)).kind in "iub" else x


def widened(x: Any) -> Any:
    """float16 as float32, in a rule whose result is to be rounded once; anything else as it is."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def of_truth_values(mask: Any) -> bool:
    """Whether a mask of this dtype says where to look; if not, its numbers are added to scores.

    Raises
    ------
    TypeError
        If its numbers are integers, which would be added, and mask nothing.
    """
    if mask.kind not in "bf":
        raise TypeError(f"a mask holds truth values or floating numbers, not {mask}")
    return bool(mask.kind == "b")
