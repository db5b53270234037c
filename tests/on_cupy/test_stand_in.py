"""The stand-in refuses what the real CuPy refuses, and counts what it counts."""

import operator

import numpy as np
import pytest

from on_cupy.cases import normal
from on_cupy.strict import stand_in

HOST = normal(3, 4)


def assign(array, key, value):
    array[key] = value


REFUSED = {  # by what is tried: the error, and a function of CuPy and a (3, 4) array
    "a NumPy array on the right": (TypeError, lambda xp, a: a + HOST),
    "a NumPy array on the left": (TypeError, lambda xp, a: HOST + a),
    "a 0-d NumPy array": (TypeError, lambda xp, a: a * np.array(2.0)),
    "a NumPy array in place": (TypeError, lambda xp, a: operator.iadd(a, HOST)),
    "a list": (TypeError, lambda xp, a: operator.add(a, [1.0, 2.0, 3.0, 4.0])),
    "a function of a NumPy array": (TypeError, lambda xp, a: xp.exp(HOST)),
    "a ufunc of a list": (TypeError, lambda xp, a: xp.maximum([1.0, 2.0, 3.0, 4.0], a)),
    "a condition that is a NumPy array": (TypeError, lambda xp, a: xp.where(HOST > 0, a, 0)),
    "joining with a NumPy array": (TypeError, lambda xp, a: xp.concatenate([a, HOST])),
    "assigning a NumPy array": (ValueError, lambda xp, a: assign(a, ..., HOST)),
    "assigning a list": (ValueError, lambda xp, a: assign(a, 0, [1.0, 2.0, 3.0, 4.0])),
    "NumPy's asarray": (TypeError, lambda xp, a: np.asarray(a)),
    "a list's index": (TypeError, lambda xp, a: [1, 2][xp.asarray(1)]),
    "the truth of many": (ValueError, lambda xp, a: bool(a)),
    "a hash": (TypeError, lambda xp, a: hash(a)),
    "sum(initial)": (TypeError, lambda xp, a: a.sum(initial=0)),
    "xp.sum(initial)": (TypeError, lambda xp, a: xp.sum(a, initial=0)),
    "max(where)": (TypeError, lambda xp, a: xp.max(a, where=a > 0, initial=0)),
    "mean(where)": (TypeError, lambda xp, a: a.mean(where=a > 0)),
    "var(mean)": (TypeError, lambda xp, a: xp.var(a, mean=a.mean())),
    "add(where)": (TypeError, lambda xp, a: xp.add(a, a, where=a > 0)),
    "maximum.reduce": (NotImplementedError, lambda xp, a: xp.maximum.reduce(a)),
    "multiply.at": (NotImplementedError, lambda xp, a: xp.multiply.at(a, xp.arange(2), 1.0)),
    "einsum(out)": (TypeError, lambda xp, a: xp.einsum("ij->i", a, out=a[:, 0])),
    "as_strided(writeable)": (
        TypeError,
        lambda xp, a: xp.lib.stride_tricks.as_strided(a, (2,), (8,), writeable=False),
    ),
    "flags.writeable": (AttributeError, lambda xp, a: a.flags.writeable),
    "a Python integer that is out of range": (OverflowError, lambda xp, a: a.astype("u1") * 300),
    "a maximum of nothing": (ValueError, lambda xp, a: a[:0].max(axis=0)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cupy_refuses(gpu, what):
    error, attempt = REFUSED[what]
    with pytest.raises(error):
        attempt(gpu.cupy, gpu.array(HOST))


STRICTER = {
    "NumPy's function of an array": lambda xp, a: np.exp(a),
    "NumPy's sum of an array": lambda xp, a: np.sum(a),
    "a sum of a NumPy array": lambda xp, a: xp.sum(HOST),
}


@pytest.mark.parametrize("what", STRICTER)
def test_where_cupy_lets_a_leak_pass_the_stand_in_does_not(what):
    with pytest.raises(TypeError):
        STRICTER[what](stand_in, stand_in.asarray(HOST))


DIFFERENT = {  # what gives another result than on NumPy, and which
    "indices out of range wrap": (lambda xp, a: a[xp.asarray([4, -4])], HOST[[1, 2]]),
    "reductions are arrays": (lambda xp, a: a.sum()[...], HOST.sum()),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_where_cupy_does_something_else(gpu, what):
    attempt, wanted = DIFFERENT[what]
    np.testing.assert_allclose(gpu.cupy.asnumpy(attempt(gpu.cupy, gpu.array(HOST))), wanted)


COPIES = {  # what is done: uploads, downloads
    "arithmetic": (lambda xp, a: a * 2 + a[0], (0, 0)),
    "a slice": (lambda xp, a: a[1:, ::2], (0, 0)),
    "asarray of NumPy's": (lambda xp, a: xp.asarray(HOST), (1, 0)),
    "asarray of a number": (lambda xp, a: xp.asarray(1.0), (0, 0)),
    "an index array of NumPy's": (lambda xp, a: a[np.array([0, 1])], (1, 0)),
    "an index list": (lambda xp, a: a[[0, 1]], (1, 0)),
    "a boolean mask": (lambda xp, a: a[a > 0], (0, 1)),
    "assigning through a mask": (lambda xp, a: assign(a, a > 0, 0), (0, 1)),
    "get": (lambda xp, a: a.get(), (0, 1)),
    "float": (lambda xp, a: float(a.sum()), (0, 1)),
    "an if": (lambda xp, a: bool((a > 0).any()), (0, 1)),
    "print": (lambda xp, a: repr(a), (0, 1)),
    "nonzero": (lambda xp, a: xp.nonzero(a[0]), (0, 1)),
}


@pytest.mark.parametrize("what", COPIES)
def test_what_is_counted_as_a_copy(counting_gpu, what):
    attempt, wanted = COPIES[what]
    array = counting_gpu.array(HOST)
    counting_gpu.start_counting()
    attempt(counting_gpu.cupy, array)
    counts = counting_gpu.counted()
    assert (counts["to_device"], counts["to_host"]) == wanted
    assert counts["synchronisations"] == counts["to_host"]


@pytest.mark.parametrize("name", ["empty", "empty_like"])
def test_fresh_memory_is_full_of_nan(counting_gpu, name):
    xp = counting_gpu.cupy
    made = xp.empty((2, 3)) if name == "empty" else xp.empty_like(counting_gpu.array(HOST))
    assert np.isnan(made.get()).all()
