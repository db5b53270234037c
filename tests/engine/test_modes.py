"""`no_grad`, `enable_grad` and `detach`: when nothing is recorded."""

import threading

import numpy as np
import pytest
from helpers import close, leaf

import minires
from minires import Tensor
from minires.grad_mode import is_grad_enabled


def recorded(x):
    """Whether an operation on `x` leaves a graph."""
    return (x * 2).requires_grad


def test_no_grad_records_nothing():
    x = leaf([1.0])
    with minires.no_grad():
        y = x * 2
    assert not y.requires_grad
    assert y.node is None
    assert recorded(x)
    close(y, [2.0])


def test_modes_nest_and_come_back():
    x = leaf([1.0])
    with minires.no_grad():
        assert not recorded(x)
        with minires.enable_grad():
            assert recorded(x)
            with minires.no_grad():
                assert not recorded(x)
            assert recorded(x)
        assert not recorded(x)
    assert recorded(x)


def test_one_object_may_be_entered_twice():
    x, mode = leaf([1.0]), minires.no_grad()
    with mode:
        with mode:
            assert not recorded(x)
        assert not recorded(x)
    assert recorded(x)


def test_an_exception_restores_the_mode():
    with pytest.raises(KeyError), minires.no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_modes_as_decorators():
    x = leaf([1.0])

    @minires.no_grad()
    def without(depth=2):
        return [recorded(x), *(without(depth - 1) if depth else [])]

    @minires.enable_grad()
    def with_grad():
        return recorded(x)

    assert without() == [False, False, False]
    assert recorded(x)
    with minires.no_grad():
        assert with_grad()
        assert not recorded(x)


def test_modes_hold_on_their_own_thread_only():
    x, seen = leaf([1.0]), []
    with minires.no_grad():
        thread = threading.Thread(target=lambda: seen.append(recorded(x)))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_decorated_function_on_two_threads_at_once():
    inside, leave, after = threading.Event(), threading.Event(), []

    @minires.no_grad()
    def slow():
        inside.set()
        leave.wait(10)

    def other():
        slow()
        after.append(is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with minires.no_grad():
        # the second call begins in another mode than the first, and ends before it
        leave.set()
        slow()
        thread.join()
        assert not is_grad_enabled()
    assert is_grad_enabled()
    assert after == [True]


def test_leaves_made_inside_no_grad_still_want_gradients():
    with minires.no_grad():
        x = leaf([3.0])
    (x * x).backward()
    close(x.grad, [6.0])


def test_backward_works_inside_no_grad_and_enables_nothing():
    x = leaf([3.0])
    y = x * x
    with minires.no_grad():
        y.backward()
        assert not is_grad_enabled()
    close(x.grad, [6.0])


def test_backward_puts_the_mode_back():
    x = leaf([3.0])
    with minires.no_grad(), minires.enable_grad():
        y = x**3
    with minires.no_grad():
        g = minires.grad(y, x, create_graph=True)
        assert not is_grad_enabled()
    close(minires.grad(g, x), [18.0])


def test_detach_shares_the_array_and_cuts_the_graph():
    x = leaf([2.0, 3.0])
    y = x * 2
    cut = y.detach()
    assert not cut.requires_grad
    assert np.shares_memory(cut.data, y.data)
    (y * cut).backward(Tensor([1.0, 1.0]))
    close(x.grad, [8.0, 12.0])


def test_a_copy_shares_nothing():
    x = leaf([2.0])
    copy = x.copy()
    copy.data[0] = 7
    close(x, [2.0])
    assert not copy.requires_grad


def test_comparisons_and_logic_are_outside_the_graph():
    x, y = leaf([1.0, 2.0, 3.0]), leaf([3.0, 2.0, 1.0])
    for got, wanted in [
        (x < y, [True, False, False]),
        (x <= y, [True, True, False]),
        (x > y, [False, False, True]),
        (x >= y, [False, True, True]),
        (x == y, [False, True, False]),
        (x != y, [True, False, True]),
        (x > 1.5, [False, True, True]),
        (x < 1.5, [True, False, False]),
        ((x > 1.5) & (x < 2.5), [False, True, False]),
        ((x < 1.5) | (x > 2.5), [True, False, True]),
        (~(x < y), [False, True, True]),
        (np.array([1.0, 0.0, 3.0]) == x, [True, False, True]),
    ]:
        assert not got.requires_grad
        assert got.dtype == bool
        np.testing.assert_array_equal(got.numpy(), wanted)
