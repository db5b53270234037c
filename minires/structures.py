"""Tuples, named tuples, lists and dicts of values, as models return them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any


def mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """`value` with `change` of everything in it that is no tuple, list or dict, in their order."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[mapped(change, part) for part in value])
    if isinstance(value, tuple | list):
        return type(value)([mapped(change, part) for part in value])
    if isinstance(value, dict):
        same = copy(value)  # of its own type
        for key, part in value.items():
            same[key] = mapped(change, part)
        return same
    return change(value)


def leaves(value: Any) -> list[Any]:
    """Everything in `value` that is no tuple, list or dict."""
    found: list[Any] = []
    mapped(found.append, value)
    return found
