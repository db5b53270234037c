"""Comparisons, logic and places of extremes, held against Python's own operators on numbers."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minires import Tensor, ops

COMPARE = {
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
}
numbers = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, float("inf"), float("nan")])


@given(st.data(), st.sampled_from(sorted(COMPARE)))
def test_each_pair_is_compared_as_python_does(data, name):
    compare = COMPARE[name]
    x = data.draw(hnp.arrays(np.float64, (2, 3), elements=numbers))
    y = data.draw(hnp.arrays(np.float64, (3,), elements=numbers))
    wanted = [[compare(a, b) for a, b in zip(row, y.tolist(), strict=True)] for row in x.tolist()]
    wants = Tensor(x, requires_grad=True)
    for result in (compare(wants, Tensor(y)), compare(wants, y), getattr(ops, name)(wants, y)):
        assert result.dtype == bool
        assert result.tolist() == wanted
        assert not result.requires_grad
    assert compare(wants, 0.5).tolist() == [[compare(a, 0.5) for a in row] for row in x.tolist()]


def test_logic_on_truth_values_and_bits():
    a, b = Tensor(np.array([True, True, False])), Tensor(np.array([True, False, False]))
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (~a).tolist() == [False, False, True]
    assert (Tensor(np.array([6], np.uint8)) & 3).tolist() == [2]


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_places_of_extremes(axis):
    x = np.array([[3.0, 1.0, 3.0], [1.0, 3.0, 0.0]])
    for name in ("argmax", "argmin"):
        assert getattr(Tensor(x), name)(axis).tolist() == getattr(np, name)(x, axis=axis).tolist()
