"""Messages between a grader and its child, and what a bundle's file holds.

4 bytes that begin every message; 4 bytes, the text's length; the text, JSON, a pair of the message
and a list of its arrays' dtypes, shapes and orders, where an array in the message is
`{"$array": number}`; then the arrays' bytes.

The child reads and writes with the same code while a student's runs beside it: all that is used
here after the import is written in C, or in this file, and bound to names of this file's own.
"""

from __future__ import annotations

from hashlib import blake2b
from json.decoder import JSONDecoder
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from math import prod
from struct import pack, unpack
from typing import Any, Protocol

from numpy import dtype, frombuffer, ndarray

REPLY_BYTES = 32 << 20
"""The largest reply of a child, all its arrays together."""
REPLY_TEXT = 4 << 20
"""Its longest text, of which Python's lists take some thirty times as much memory."""
MAX_ARRAYS = 10_000
LARGEST_BUNDLE = 1 << 30

KINDS = "biuf"
"""Arrays of booleans, integers and floating-point numbers cross; no others."""

TAG = 16
"""Bytes of the seal behind a reply."""

CUT_OFF = "a message was cut off"


BEGIN = b"\x93mr\n"


class MessageError(ValueError):
    """What came is no message."""


class Reader(Protocol):
    """Where a message is read from."""

    def read(self, count: int, /) -> bytes:
        """At most so many bytes, fewer only at the end."""


def _refuse(value: object) -> None:
    raise TypeError("something that is neither plain nor an array cannot be sent")


_scan: Any = JSONDecoder().scan_once  # type: ignore[attr-defined]
_encode: Any = c_make_encoder(
    None, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True
)


def packed(message: Any) -> bytes:
    """A message of plain values and arrays, as bytes.

    Raises
    ------
    TypeError
        If there is anything else in it.
    """
    arrays: list[ndarray[Any, Any]] = []
    value = _without_arrays(message, arrays)
    orders = ["F" if a.flags.f_contiguous and not a.flags.c_contiguous else "C" for a in arrays]
    heads = [[a.dtype.str, list(a.shape), o] for a, o in zip(arrays, orders, strict=True)]
    text = "".join(_encode([value, heads], 0)).encode()
    bodies = [a.tobytes("F" if o == "F" else "C") for a, o in zip(arrays, orders, strict=True)]
    return b"".join([BEGIN, pack("<I", len(text)), text, *bodies])


def _without_arrays(value: Any, arrays: list[ndarray[Any, Any]]) -> Any:
    kind = type(value)  # whose == may be a student's, but `is` is not
    if kind is ndarray:
        if value.dtype.kind not in KINDS:
            raise TypeError(f"an array of {value.dtype} cannot be sent")
        arrays.append(value)
        return {"$array": len(arrays) - 1}
    if kind is list or kind is tuple:
        return [_without_arrays(v, arrays) for v in value]
    if kind is dict:
        return {str(k): _without_arrays(v, arrays) for k, v in value.items()}
    if value is None or kind is bool or kind is int or kind is float or kind is str:
        return value
    raise TypeError("something that is neither plain nor an array cannot be sent")


def read(stream: Reader, most: int = REPLY_BYTES, text_most: int = REPLY_TEXT) -> Any:
    """The next message, None at the end; all that may be an attacker's is checked first.

    Parameters
    ----------
    stream : Reader
    most, text_most : int
        The largest number of bytes of all arrays together, and of the text.

    Raises
    ------
    MessageError
        If it is no message, or too large.
    """
    head = stream.read(len(BEGIN))
    if not head:
        return None
    if head != BEGIN:
        raise MessageError("it does not begin as a message")
    length = unpack("<I", _exactly(stream, 4))[0]
    if length > text_most:
        raise MessageError(f"a message of {length} bytes of text, more than {text_most}")
    try:
        (value, heads), _ = _scan(_exactly(stream, length).decode(), 0)
        if len(heads) > MAX_ARRAYS:
            raise MessageError("too many arrays")
        checked = [_checked(*one) for one in heads]
        total = sum(prod(shape) * kind.itemsize for kind, shape, _ in checked)
        if total > most:
            raise MessageError(f"a message of {total} bytes of arrays, more than {most}")
        return _with_arrays(value, [_array(stream, *one) for one in checked])
    except MessageError:
        raise
    except (ValueError, TypeError, LookupError, RecursionError, StopIteration) as error:
        raise MessageError(f"no message: {error}") from error


def _exactly(stream: Reader, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise MessageError(CUT_OFF)
    return data


def _checked(name: Any, shape: Any, order: Any) -> tuple[dtype[Any], tuple[int, ...], Any]:
    """What an array says of itself, if that can be."""
    if type(name) is not str or len(name) > 5 or name[1:2] not in KINDS:
        raise MessageError(f"an array of {str(name)[:20]}")
    if len(shape) > 32 or any(type(n) is not int or not 0 <= n < 1 << 40 for n in shape):
        raise MessageError("an array without a shape")
    if order != "C" and order != "F":
        raise MessageError("an array without an order")
    return dtype(name), tuple(shape), order


def _array(stream: Reader, kind: dtype[Any], shape: tuple[int, ...], order: Any) -> Any:
    data = _exactly(stream, prod(shape) * kind.itemsize)
    return frombuffer(data, kind).reshape(shape, order=order).copy("K")


def _with_arrays(value: Any, arrays: list[Any]) -> Any:
    if type(value) is list:
        return [_with_arrays(v, arrays) for v in value]
    if type(value) is dict:
        if len(value) == 1 and "$array" in value:
            number = value["$array"]
            if type(number) is not int or number < 0:
                raise MessageError("an array without a number")
            return arrays[number]
        return {k: _with_arrays(v, arrays) for k, v in value.items()}
    return value


def seal(key: bytes, number: int, data: bytes) -> bytes:
    """What only who holds the key can put behind the reply of this number."""
    return blake2b(data, key=key, digest_size=TAG, salt=pack("<Q", number)).digest()


class Recorded:
    """A reader that keeps what was read, so that its seal can be looked at."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream
        self.data: list[bytes] = []

    def read(self, count: int, /) -> bytes:
        """As the stream's."""
        data = self._stream.read(count)
        self.data.append(data)
        return data
