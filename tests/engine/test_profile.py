"""`minires.profile`: times and calls by operation."""

import threading
import time

import numpy as np
import pytest

import minires
from minires import Tensor, engine, grad, ops
from minires.engine import op
from minires.nn import functional as F


@op
def slow(x):
    time.sleep(0.02)
    return x * 2


@slow.vjp
def slow_vjp(g):
    time.sleep(0.05)
    return (g * 2,)


def counts(profile):
    return {n: (p.forward_calls, p.backward_calls) for n, p in profile.operations.items()}


def test_calls_forward_and_backward():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    with minires.profile() as profile:
        y = ops.exp(x) * x * 2
        y.sum().backward()
        ops.exp(np.ones(2))
    assert counts(profile) == {"exp": (2, 1), "multiply": (2, 2), "sum": (1, 1)}


def test_times_are_the_operations_own():
    x = Tensor([1.0], requires_grad=True)
    with minires.profile() as profile:
        slow(x).backward()
        time.sleep(0.03)
    passes = profile.operations["slow"]
    assert passes.forward >= 0.02
    assert passes.backward >= 0.05
    assert passes.seconds == passes.forward + passes.backward
    assert profile.seconds >= passes.seconds + 0.03


def test_what_a_rule_calls_is_part_of_it():
    x, gamma, beta = (Tensor(np.ones(shape), requires_grad=True) for shape in ((4, 3), 3, 3))
    with minires.profile() as profile:
        F.batch_norm(x, None, None, gamma, beta, training=True).sum().backward()
    assert counts(profile) == {"batch_norm": (1, 1), "sum": (1, 1)}


def test_by_shape():
    with minires.profile(by_shape=True) as profile:
        for shape in ((2,), (2,), (5, 1)):
            x = Tensor(np.ones(shape), requires_grad=True)
            ops.exp(x).backward(gradient=x.detach())
        ops.max_pool2d(Tensor(np.ones((1, 4, 4, 1))), kernel_size=(2, 2), **WALK)
    assert counts(profile) == {
        "exp (2,)": (2, 2),
        "exp (5, 1)": (1, 1),
        "max_pool2d (1, 2, 2, 1)": (1, 0),
    }


WALK = {"stride": (2, 2), "padding": (0, 0)}


def test_second_derivatives_count_as_more_calls():
    x = Tensor(2.0, requires_grad=True)
    with minires.profile() as profile:
        first = grad(x**3, x, create_graph=True)
        second = grad(first, x)
    assert float(second) == 12
    assert profile.operations["power"].forward_calls == 1  # those in the rule are the rule's
    assert profile.operations["power"].backward_calls == 2


def test_nothing_is_wrapped_before_and_after():
    before = [(o.forward, o.rule) for o in engine.registry.values()]
    forward = ops.exp.forward
    with pytest.raises(ValueError, match="exp"), minires.profile(), minires.profile():
        raise ValueError("exp" if ops.exp.forward is not forward else "not wrapped")
    assert [(o.forward, o.rule) for o in engine.registry.values()] == before


def test_several_blocks_add_up_and_nest():
    x = Tensor([1.0])
    outer, inner = minires.profile(), minires.profile()
    with outer:
        ops.exp(x)
    with outer:
        ops.exp(x)
        with inner:
            ops.exp(x)
    assert counts(outer) == {"exp": (3, 0)}
    assert counts(inner) == {"exp": (1, 0)}


def test_other_threads_are_left_out_and_work():
    x, found = Tensor([1.0]), []
    with minires.profile() as profile:
        thread = threading.Thread(target=lambda: found.append(ops.exp(x)))
        thread.start()
        thread.join()
    assert profile.operations == {}
    assert float(found[0].data[0]) == pytest.approx(np.e)


def test_errors_still_name_the_forward_line():
    @op
    def broken(x):
        return x * 1

    @broken.vjp
    def broken_vjp(g):
        raise ValueError("on purpose")

    with minires.profile():
        y = broken(Tensor([1.0], requires_grad=True))
        with pytest.raises(minires.errors.BackwardError, match=r"test_profile\.py.*on purpose"):
            y.backward()


def test_the_table():
    with minires.profile() as profile:
        slow(ops.exp(Tensor([1.0], requires_grad=True))).backward()
    lines = str(profile).splitlines()
    assert lines[0].split()[:2] == ["operation", "forwards"]
    assert [line.split()[0] for line in lines[2:4]] == ["slow", "exp"]  # the longest first
    assert lines[-1].startswith("together")
    assert lines[-1].endswith("100.0%")
    assert profile._repr_html_().count("<tr") == 5
    assert "outside operations" in profile._repr_html_()


def test_an_empty_profile_has_a_table():
    assert "together" in str(minires.profile())
