"""What a student's code returned or raised, as plain values; written for the child.

Nothing here calls a method that a student could have written, or looks up a name that a student
could have set anew: types are compared by `is`, and read through descriptors of the base types.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import FrameType, TracebackType
from typing import Any

from numpy import array, dtype, ndarray, sctypeDict

from minires.coursework.sandbox.wire import KINDS, REPLY_BYTES

SCALARS = tuple({t for t in sctypeDict.values() if dtype(t).kind in KINDS})
DEEPEST = 12  # lists in lists, of as many axes as an array may be asked to have and more
MAX_ITEMS = 200_000
MAX_STRING = 10_000
MAX_BITS = 1024

_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__
_view: Any = ndarray.view
_items_of: Any = tuple.__iter__
_base_of: Any = ndarray.__dict__["base"].__get__
_numerator_of: Any = Fraction.__dict__["_numerator"].__get__
_denominator_of: Any = Fraction.__dict__["_denominator"].__get__
_trace_of: Any = BaseException.__dict__["__traceback__"].__get__


class FullError(Exception):
    """There is more than a reply may hold."""


class Room:
    """What is left of the largest reply."""

    def __init__(self) -> None:
        self.items, self.bytes = MAX_ITEMS, REPLY_BYTES

    def take(self, size: int) -> None:
        """Count one thing of this size.

        Raises
        ------
        FullError
            If it does not fit.
        """
        self.items, self.bytes = self.items - 1, self.bytes - size
        if self.items < 0 or self.bytes < 0:
            raise FullError


def named(kind: type) -> dict[str, str]:
    """A type's name, in the place of a value of it."""
    name, module = _name_of(kind), _module_of(kind)
    module = f"{module}." if type(module) is str and module != "builtins" else ""
    return {"$type": f"{module}{name}"[:100]}


def plain(value: Any, room: Room | None = None) -> Any:
    """A result as plain values and arrays; of anything else only its type's name is told.

    Parameters
    ----------
    value : any
    room : Room, optional
        What may be taken, so that a reply as a whole is bounded.
    """
    try:
        return _plain(value, room or Room(), 0)
    except FullError:
        return {"$type": "more than can be sent"}


def _plain(value: Any, room: Room, depth: int) -> Any:
    kind = type(value)
    if kind is not ndarray and issubclass(
        kind, ndarray
    ):  # np.matrix; no method of its own is asked
        value, kind = _view(value, ndarray), ndarray
    if kind is not tuple and issubclass(kind, tuple):  # with names
        value, kind = (*_items_of(value),), tuple
    if kind is ndarray:
        if value.dtype.kind == "O" and value.size < MAX_ITEMS and depth < 5:
            listed = value.tolist()  # whose entries are numbers or arrays, or told by their types
            return _plain(listed if type(listed) is list else [listed], room, depth)
        if value.dtype.kind not in KINDS:
            return {"$type": f"array of {_name_of(value.dtype.type)}"[:100]}
        if value.nbytes > REPLY_BYTES:
            return {"$type": f"array of {value.nbytes >> 20} MB, which is too large"}
        room.take(value.nbytes)
        return value
    room.take(len(value) if kind is str else 8)
    if kind is int and value.bit_length() > MAX_BITS:
        return {"$type": f"int of {value.bit_length()} bits"}
    if value is None or kind is bool or kind is int or kind is float:
        return value
    if kind is str:
        return value[:MAX_STRING].encode("utf-8", "backslashreplace").decode()
    if (kind is list or kind is tuple) and depth < DEEPEST:
        return [_plain(v, room, depth + 1) for v in value]
    if kind is dict and depth < 5:
        own = [(k, v) for k, v in value.items() if type(k) is str]  # no look-up by others' ==
        return {_plain(k, room, 5): _plain(v, room, depth + 1) for k, v in own}
    for scalar in SCALARS:
        if kind is scalar:
            return array(value)
    if kind is Fraction or kind is Decimal:
        return _rounded(value)
    return named(kind)


def _rounded(exact: Any) -> float | dict[str, str]:
    """The float nearest to a fraction or a decimal number, its type's name if there is none."""
    try:
        if type(exact) is Decimal:
            return float(exact)
        above, below = _numerator_of(exact), _denominator_of(exact)
        if type(above) is int and type(below) is int:
            return above / below
    except (ArithmeticError, ValueError):  # too large, or a signalling nan
        pass
    return named(type(exact))


def told(error: BaseException, text: str, sources: dict[str, str]) -> dict[str, Any]:
    """An error as plain values, with the last line of the student's that led to it.

    Parameters
    ----------
    error : BaseException
    text : str
        Its text, for which its own code may have to run; so somebody else asks it.
    sources : dict of str
        The cells by name.
    """
    where, line = "", 0
    kind = type(error)
    if kind is SyntaxError or kind is IndentationError or kind is TabError:
        place: Any = error
        if type(place.filename) is str and place.filename in sources:
            where, text = place.filename, place.msg
            line = place.lineno if type(place.lineno) is int else 0
    trace: TracebackType | None = _trace_of(error)
    while trace is not None:
        frame: FrameType = trace.tb_frame
        name = frame.f_code.co_filename
        if type(name) is str and name in sources:
            where, line = name, trace.tb_lineno
        trace = trace.tb_next
    lines = sources.get(where, "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return {
        "type": _name_of(kind)[:100],
        "text": plain(text)[:500] if type(text) is str else "",
        "where": where,
        "line": line,
        "source": lines[line - 1].strip()[:200] if 0 < line <= len(lines) else "",
    }


def memory(value: Any) -> Any:
    """Where an array's entries are: address, shape, strides and bytes of each, for the grader."""
    if type(value) is not ndarray:
        return plain(value)
    owner = value.base
    while isinstance(owner, ndarray):
        owner = _base_of(owner)
    if owner is not None:  # a mapped file has one memory at two addresses
        return {"$type": "array on memory that is not NumPy's"}
    address = value.__array_interface__["data"][0]
    return [address, list(value.shape), list(value.strides), value.itemsize]
