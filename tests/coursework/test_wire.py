"""Messages from a child: whole as they were, bounded in sum, refused where they lie."""

import contextlib
import io
import struct
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minires.coursework.sandbox import wire
from minires.coursework.sandbox.values import plain


def message(text, *bodies):
    """A message of this text, as an attacker writes one."""
    return io.BytesIO(wire.BEGIN + struct.pack("<I", len(text)) + text + b"".join(bodies))


def again(value):
    return wire.read(io.BytesIO(wire.packed(value)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"[1, 2]",
        b"[1, [[1, 2, 3]]]",
        b"[" * 100_000,
        b'[{"$array": 3}, []]',
        b'[{"$array": -1}, [["<f8", [0], "C"]]]',
        b'[{"$array": "a"}, []]',
        b'[{"$array": 0}, [["|O", [1], "C"]]]',
        b'[{"$array": 0}, [["O8", [1], "C"]]]',
        b'[{"$array": 0}, [["<f8,<f8", [1], "C"]]]',
        b'[{"$array": 0}, [["<f8", [-1], "C"]]]',
        b'[{"$array": 0}, [["<f8", [1.5], "C"]]]',
        b'[{"$array": 0}, [["<f8", [true], "C"]]]',
        b'[{"$array": 0}, [["<f8", [1000000000000], "C"]]]',
        b'[{"$array": 0}, [["<f8", [1], "C"]]]',
        b'[{"$array": 0}, [["<f8", [1], "K"]]]',
        b'[{"$array": 0}, [["<f8", [' + b"1, " * 40 + b'1], "C"]]]',
        b"[" + b"9" * 5000 + b", []]",
        b"[\xff, []]",
        b"[1, [" + b'["<f8", [0], "C"], ' * 10_000 + b'["<f8", [0], "C"]]]',
    ],
)
def test_lies_are_noticed(text):
    with pytest.raises(wire.MessageError):
        wire.read(message(text))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_an_error(data):
    with contextlib.suppress(wire.MessageError):
        wire.read(io.BytesIO(data))
    try:
        wire.read(message(b'[{"$array": 0}, [["<f4", [3], "C"]]]', data))
    except wire.MessageError:
        assert len(data) < 12


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(PLAIN.filter(lambda v: "$array" not in repr(v)))
def test_plain_values_cross_as_they_are(value):
    assert again(plain(value)) == plain(value)


@given(arrays.arrays(arrays.scalar_dtypes().filter(lambda d: d.kind in "biuf"), (2, 3)))
def test_arrays_cross_as_they_are(array):
    for sent in (array, array.T, array[:, ::2], array[:0], np.asfortranarray(array)):
        got = again({"x": [sent]})["x"][0]
        assert got.tobytes() == sent.tobytes()
        assert got.dtype == sent.dtype
        assert got.shape == sent.shape
        assert got.flags.writeable


@given(st.fractions() | st.decimals())
def test_exact_numbers_are_sent_as_the_nearest_float(number):
    try:
        nearest = float(number)
    except (ArithmeticError, ValueError):  # larger than any float; a signalling nan
        nearest = {"$type": f"{type(number).__module__}.{type(number).__name__}"}
    got = plain([number])[0]
    assert got == nearest or (got != got and nearest != nearest)


def test_an_altered_fraction_does_nothing():
    forged = Fraction(1, 2)
    forged._numerator = type("int", (int,), {"__truediv__": lambda *_: 7.0})(1)
    assert plain(forged) == {"$type": "fractions.Fraction"}


def test_a_reply_is_bounded_in_sum():
    """Many small arrays, and lists of lists, as one large array: before memory is taken."""
    many = b", ".join([b'["<f8", [1000], "C"]'] * 9_000)
    lists = b"[[" + b"[], " * (2 << 20) + b"[]], []]"
    tracemalloc.start()
    for text in (many, lists):
        with pytest.raises(wire.MessageError, match="more than"):
            wire.read(message(b"[1, [" + many + b"]]" if text is many else text, bytes(1000)))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_only_plain_values_and_arrays_can_be_sent():
    for value in (object(), np.ma.zeros(3), np.array([None]), {1}, b"a", np.float64(1)):
        with pytest.raises(TypeError, match="cannot be sent"):
            wire.packed([value])


def test_a_seal_needs_the_key_the_number_and_every_byte():
    good = wire.seal(b"key", 3, b"data")
    others = [(b"kez", 3, b"data"), (b"key", 4, b"data"), (b"key", 3, b"dat")]
    assert good == wire.seal(b"key", 3, b"data")
    assert all(wire.seal(*other) != good for other in others)
