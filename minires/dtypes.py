"""Which dtype a result has: that of its floating-point inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires.backend import Array


def unpromoted(out: Array, arrays: Sequence[Any]) -> Array:
    """`out` in its floating inputs' dtype: integers next to float32 would make it float64."""
    if out.dtype.char != "d":
        return out
    dtypes = [a.dtype for a in arrays if hasattr(a, "dtype")]
    floating = [dtype for dtype in dtypes if dtype.kind == "f"]
    if not floating or len(floating) == len(dtypes):
        return out
    return out.astype(max(floating, key=lambda dtype: dtype.itemsize), copy=False)
