"""Comparisons, logic and where the extremes are: results without a gradient."""

from __future__ import annotations

from minires.backend import Array
from minires.engine import op


@op
def less(x: Array, y: Array) -> Array:
    """`x < y`, element by element; like all here it gives truth values."""
    return x < y


@op
def less_equal(x: Array, y: Array) -> Array:
    """`x <= y`."""
    return x <= y


@op
def greater(x: Array, y: Array) -> Array:
    """`x > y`."""
    return x > y


@op
def greater_equal(x: Array, y: Array) -> Array:
    """`x >= y`."""
    return x >= y


@op
def equal(x: Array, y: Array) -> Array:
    """`x == y`."""
    return x == y


@op
def not_equal(x: Array, y: Array) -> Array:
    """`x != y`."""
    return x != y


@op
def logical_and(x: Array, y: Array) -> Array:
    """`x & y`: of truth values, or the bits of integers."""
    return x & y


@op
def logical_or(x: Array, y: Array) -> Array:
    """`x | y`: of truth values, or the bits of integers."""
    return x | y


@op
def logical_not(x: Array) -> Array:
    """`~x`: of truth values, or the bits of integers."""
    return ~x


@op
def argmax(x: Array, *, axis: int | None = None) -> Array:
    """Where the largest value is, the first of several; over all axes in the flat array."""
    return x.argmax(axis=axis)


@op
def argmin(x: Array, *, axis: int | None = None) -> Array:
    """Where the smallest value is, the first of several; over all axes in the flat array."""
    return x.argmin(axis=axis)
