"""Hooks on tensors: they see the whole gradient, and may replace it."""

import numpy as np
import pytest
from helpers import close, leaf

import minires
from minires import Tensor
from minires.errors import BackwardError


def test_a_hook_sees_the_sum_of_all_paths_once():
    x, seen = leaf([2.0]), []
    y = x * 3
    y.register_hook(lambda g: seen.append(g.numpy().copy()))
    (y * 5 + y * y).backward()
    assert len(seen) == 1
    close(seen[0], [5 + 12])


def test_a_hook_may_replace_the_gradient():
    x = leaf([2.0, 3.0])
    y = (x * 3).retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * y).backward(Tensor([1.0, 1.0]))
    close(y.grad, [120.0, 180.0])
    close(x.grad, [360.0, 540.0])


def test_a_hook_on_a_leaf_changes_what_is_accumulated():
    x = leaf([2.0])
    x.register_hook(lambda g: -g)
    (x * 3).backward()
    (x * 4).backward()
    close(x.grad, [-7.0])
    close(minires.grad(x * 5, x), [-5.0])


def test_hooks_run_in_order_each_on_what_the_one_before_gave():
    x = leaf([1.0])
    x.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: None)
    x.register_hook(lambda g: g * 10)
    (x * 3).backward()
    close(x.grad, [40.0])


def test_a_removed_hook_runs_no_more():
    x = leaf([1.0])
    keep, drop = [], []
    x.register_hook(lambda g: keep.append(1))
    remove = x.register_hook(lambda g: drop.append(1))
    (x * 2).backward()
    remove()
    (x * 2).backward()
    assert (len(keep), len(drop)) == (2, 1)


def test_a_hook_may_remove_itself():
    x, calls = leaf([1.0]), []

    def once(g):
        calls.append("once")
        remove()

    remove = x.register_hook(once)
    x.register_hook(lambda g: calls.append("always"))
    (x * 2).backward()
    (x * 2).backward()
    assert calls == ["once", "always", "always"]


def test_hooks_under_create_graph_stay_differentiable():
    x = leaf([2.0])
    y = x * x
    remove = y.register_hook(lambda g: g * g)
    # dy = (y's upstream)^2 with upstream 3 y^2, times 2 x: 9 x^8 * 2 x
    first = minires.grad(y**3, x, create_graph=True)
    close(first, [18 * 2.0**9])
    remove()  # or it would run on the second walk too
    close(minires.grad(first, x), [162 * 2.0**8])


def test_what_a_hook_computes_is_recorded_under_create_graph_only():
    x, w = leaf([2.0]), leaf([3.0])
    recorded = []

    def weigh(g):
        recorded.append((g * w).requires_grad)
        return g * w

    x.register_hook(weigh)
    (x * 5).backward()
    close(x.grad, [15.0])
    first = minires.grad(x * 5, x, create_graph=True)
    assert recorded == [False, True]
    close(minires.grad(first, w), [5.0])


def test_a_hook_on_what_is_not_reached_does_not_run():
    x, y, calls = leaf([1.0]), leaf([1.0]), []
    y.register_hook(calls.append)
    (x * 2).backward()
    assert calls == []


@pytest.mark.parametrize(
    ("returned", "named"), [(np.ones(2), r"\(2,\)"), (3.0, "float"), (Tensor([1.0]), r"\(1,\)")]
)
def test_a_hook_that_returns_something_else_is_an_error(returned, named):
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: returned)
    with pytest.raises(BackwardError, match=f"hook on a tensor of shape .2,. returned {named}"):
        (x * 2).backward(Tensor([1.0, 1.0]))
