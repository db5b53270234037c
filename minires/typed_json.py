"""What a JSON file says, as the dataclass that it must be: every value has its field's type."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from minires.files import FileError, read_small

T = TypeVar("T")


def read_json(path: Path) -> Any:
    """The content of a small JSON file.

    Raises
    ------
    OSError
        If it cannot be read.
    FileError
        If it is too large, too deep or no JSON, or if a key stands twice in an object.
    """
    content = read_small(path)
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is damaged: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in an object")
    return found


def build(kind: type[T], values: Any) -> T:
    """A dataclass of these values; lists become tuples where its field wants one.

    Raises
    ------
    ValueError
        If a field is missing, unknown or of another type; the message names it.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"an object was wanted, got {_named(values)}")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"{unknown[0]!r} is unknown")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name!r} is missing")
    return kind(**{name: _value(name, hints[name], value) for name, value in values.items()})


def _value(name: str, hint: Any, value: Any) -> Any:
    """The value, if it is of the type that is wanted."""
    if hint is Any:
        return value
    if is_dataclass(hint):
        return build(hint, value)  # type: ignore[arg-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (hint,) = (argument for argument in arguments if argument is not types.NoneType)
        return _value(name, hint, value)
    if origin is Literal:  # which of them it is, the dataclass itself may say better
        return _value(name, type(arguments[0]), value)
    if origin in (list, tuple) and type(value) is list:
        return origin(_value(name, arguments[0], item) for item in value)
    if hint is float and type(value) is int and abs(value) < 1e300:
        return float(value)
    if type(value) is (origin or hint):
        return value
    raise ValueError(f"{name} must be {_WANTED[origin or hint]}, got {_named(value)}")


_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "an object",
}


def _named(value: Any) -> str:
    """A value as a message names it: what might be long is only told by its kind."""
    return _WANTED[type(value)] if isinstance(value, list | dict) else repr(value)
