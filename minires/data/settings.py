"""What a caller sets: numbers and pairs as Python's own, or an error that says what was wanted."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, TypeAlias

from minires.data.errors import DataError

Size: TypeAlias = int | tuple[int, int]


def whole(value: Any, name: str, least: int) -> int:
    """A whole number of at least `least`.

    Raises
    ------
    DataError
        Naming it, if it is another or none.
    """
    if not _is_whole(value):
        raise DataError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise DataError(f"{name} must be at least {least}, got {value}")
    return int(value)


def size_of(value: Any, where: str) -> Size:
    """One positive whole number or two (height, width).

    Raises
    ------
    DataError
        If it is anything else.
    """
    sides: list[Any] = [value, value] if _is_whole(value) else _listed(value)
    if len(sides) != 2 or not all(_is_whole(side) and side > 0 for side in sides):
        raise DataError(f"{where}: size must be one or two positive integers, got {value!r}")
    return int(value) if _is_whole(value) else (int(sides[0]), int(sides[1]))


def as_pair(size: Size) -> tuple[int, int]:
    """(height, width) from either form of a size."""
    return (size, size) if isinstance(size, int) else size


def numbers(value: Any, name: str) -> tuple[float, ...]:
    """A sequence of finite numbers.

    Raises
    ------
    DataError
        If it is anything else.
    """
    found = [_finite(element) for element in _listed(value)]
    known = tuple(x for x in found if x is not None)
    if not found or len(known) < len(found):
        raise DataError(f"{name} must be finite numbers, one a channel, got {value!r}")
    return known


def interval(value: Any, name: str) -> tuple[float, float]:
    """Two finite numbers above 0, the second no smaller.

    Raises
    ------
    DataError
        If it is anything else.
    """
    pair = [_finite(element) or 0.0 for element in _listed(value)]
    low, high = pair if len(pair) == 2 else (0.0, 0.0)
    if not 0 < low <= high:
        raise DataError(f"{name} must be an increasing pair above 0, got {value!r}")
    return low, high


def share(value: Any, name: str) -> float:
    """A number from 0 to 1.

    Raises
    ------
    DataError
        If it is anything else.
    """
    found = None if isinstance(value, bool) else _finite(value)
    if found is None or not 0 <= found <= 1:
        raise DataError(f"{name} must be a probability, got {value!r}")
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _finite(value: Any) -> float | None:
    """As a float: numbers of Python and NumPy, tensors of one element. Text is none."""
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _listed(value: Any) -> list[Any]:
    """The elements of a sequence or array; nothing, if it is neither."""
    if isinstance(value, str | bytes | dict | set):
        return []
    try:
        return list(value)
    except TypeError:
        return []
