"""0-d arrays as NumPy's scalars, for which Python's operators take a tenth of the time.

An `arithmetic_op` does nothing but arithmetic with Python's operators, and so does its rule: both
are given scalars instead of 0-d arrays of floating-point numbers on the host. Nobody else gets to
see these: results become arrays again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_LISTS = {list, tuple}
_NUMBERS = {float, int, bool}


def safe_as_scalars(args: Sequence[Any]) -> bool:
    """Whether arrays of no axes among an operation's arguments may go as scalars.

    With a GPU about, a scalar would hide that its array was on the host; a list would mean
    something else by `*`. (An array without a gradient stays one in any case: a scalar integer
    would warn if it overflowed.)
    """
    return "cupy" not in sys.modules and _LISTS.isdisjoint(map(type, args))


def as_array(value: Any) -> Any:
    """A NumPy scalar as the array of no axes that it was; anything else as it is."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def operand(value: Any) -> Any:
    """An operation's argument that is no Tensor: a plain array, a number, or what it was.

    A NumPy scalar would turn float32 into float64, a Python number does not. What `np.matrix` and
    the like make of Python's operators is not what is documented here.

    Raises
    ------
    TypeError
        If it is a masked array, or another library's tensor.
    """
    if type(value) in _NUMBERS:  # nearly always
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value if type(value) is np.ndarray else plain(value)
    if hasattr(value, "dtype") and not hasattr(value.dtype, "kind"):
        raise TypeError(f"{foreign(value)} among the operands: make it a minires.Tensor first")
    return value


def plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An instance of a subclass of NumPy's array as such an array.

    Raises
    ------
    TypeError
        If it has a mask.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("a masked array among the operands: a Tensor has no mask; fill it first")
    return np.asarray(array)


def foreign(value: Any) -> str:
    """What a tensor of another library is, for a message."""
    return f"a {type(value).__module__}.{type(value).__name__}"
