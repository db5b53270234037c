"""What an option of an optimiser or a schedule may be, and the errors for what it may not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def number(name: str, value: Any, interval: str = "[0, inf)") -> float:
    """`value` as a Python float, if it lies in the interval.

    A Python float, because a NumPy scalar may promote float32 arrays to float64 and cannot be
    written as JSON.

    Parameters
    ----------
    name : str
        The option's name, for the message.
    value : float
        A Python or NumPy number.
    interval : str
        Such as `"(0, 1]"`: above 0, at most 1.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is NaN or out of the interval.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        hint = ": write lr.item()" if hasattr(value, "item") else ""
        said = f"{value!r} of type {type(value).__name__}{hint.replace('lr', name)}"
        raise TypeError(f"{name} must be a number, got {said}")
    converted = float(value)
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = converted >= low if interval[0] == "[" else converted > low
    below = converted <= high if interval[-1] == "]" else converted < high
    if math.isnan(converted) or not (above and below):
        raise ValueError(f"{name} must be in {interval}, got {value!r}")
    return converted


def count(name: str, value: Any, least: int = 1) -> int:
    """`value` as a Python int, if it is a whole number of at least `least`.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is too small.
    """
    if isinstance(value, float) and value.is_integer():
        return count(name, int(value), least)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """`value`, if it is True or False.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def pair(name: str, value: Any, interval: str) -> tuple[float, float]:
    """`value` as a pair of Python floats, if both lie in the interval.

    Raises
    ------
    TypeError
        If it is no pair of numbers.
    ValueError
        If one of them is out of the interval.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise TypeError(f"{name} must be a pair of numbers, got {value!r}")
    first, second = value
    return number(f"{name}[0]", first, interval), number(f"{name}[1]", second, interval)
