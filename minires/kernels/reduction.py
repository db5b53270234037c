"""Sums over axes. Those of float16 are float32: 2048 + 1 is 2048 there."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.backend import Array
from minires.kernels.machinery.half_precision import computed_in_float32


def total(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """`x.sum(axis)` in x's dtype, added up in float32 if that is float16."""
    half = x.dtype == np.float16
    found: Array = x.sum(axis=axis, keepdims=keepdims, dtype=np.float32 if half else None)
    return found.astype(np.float16) if half else found


@computed_in_float32(on="cpu and gpu")
def variance(x: Array, *, axis: Any, ddof: int, keepdims: bool) -> Array:
    """The variance over `axis`, divided by the count less `ddof`."""
    found: Array = x.var(axis=axis, ddof=ddof, keepdims=keepdims)
    return found
