"""With the garbage collector off nothing stays alive, and what a rule has used goes at once."""

import gc
import weakref

import numpy as np
import pytest
from helpers import leaf, normal

import minires
from minires import Tensor, nn, ops
from minires.engine import Node


@pytest.fixture(autouse=True)
def no_garbage_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def count_nodes():
    return sum(type(o) is Node for o in gc.get_objects())


def build(x):
    """A graph with branches, shared inputs, saved outputs and saved arguments; its arrays."""
    a = x.exp()
    b = a * x
    c = ops.softmax(b @ b.T)
    d = minires.concatenate([c, a.max(axis=1, keepdims=True)], axis=1)
    e = (d[:, 1:] + d[:, :-1]).sum()
    return e, [weakref.ref(t.data) for t in (a, b, c, d, e)]


def alive(references):
    return [i for i, reference in enumerate(references) if reference() is not None]


def test_nothing_is_alive_after_backward():
    x = leaf(normal(3, 4))
    nodes = count_nodes()
    loss, arrays = build(x)
    assert count_nodes() > nodes
    loss.backward()
    del loss
    assert alive(arrays) == []
    assert count_nodes() == nodes


def test_nothing_is_alive_after_a_graph_is_merely_dropped():
    x = leaf(normal(3, 4))
    nodes = count_nodes()
    loss, arrays = build(x)
    del loss
    assert alive(arrays) == []
    assert count_nodes() == nodes


def test_backward_frees_the_graph_while_the_loss_is_still_held():
    x = leaf(normal(3, 4))
    loss, arrays = build(x)
    loss.backward()
    assert alive(arrays) == [4]  # the loss itself


def test_a_retained_graph_dies_with_its_loss():
    x = leaf(normal(3, 4))
    nodes = count_nodes()
    loss, arrays = build(x)
    loss.backward(retain_graph=True)
    assert 0 in alive(arrays)
    del loss
    assert alive(arrays) == []
    assert count_nodes() == nodes


def test_second_derivatives_leave_nothing_alive():
    x = leaf(normal(3, 4))
    nodes = count_nodes()
    loss, arrays = build(x)
    g = minires.grad(loss, x, create_graph=True)
    gg = minires.grad((g * g).sum(), x)
    assert gg.shape == (3, 4)
    del loss, g, gg
    assert alive(arrays) == []
    assert count_nodes() == nodes


def test_what_a_node_saved_is_freed_as_soon_as_it_has_been_used():
    x = leaf(np.full(3, 0.1))
    references, alive_at_the_end = [], []
    y = x
    for _ in range(5):
        y = y.tanh()  # its rule keeps its output
        references.append(weakref.ref(y.data))
    x.register_hook(lambda g: alive_at_the_end.extend(alive(references[:-1])))
    y.backward(Tensor(np.ones(3)))
    assert alive_at_the_end == []


def test_only_what_a_rule_asks_for_is_kept():
    x = leaf(normal(30, 40))
    inner = x * 2.0
    references = [weakref.ref(inner.data)]
    outer = inner.exp()  # exp keeps its output, not its input
    del inner
    assert alive(references) == []
    total = outer.sum()  # sum keeps a shape only
    del outer
    total.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2 * x.numpy()))


def test_a_small_operation_remembers_its_call_until_the_walk():
    x = leaf(normal(8, 8))
    inner = x * 2.0
    references = [weakref.ref(inner.data)]
    outer = inner.exp()
    total = outer.sum()
    del inner
    arguments, keywords, out = outer.node.call
    assert alive(references) == [0]
    assert keywords == {}
    np.testing.assert_array_equal(out, np.exp(arguments[0]))
    del arguments, out
    total.backward()
    assert outer.node.call is None
    assert alive(references) == []
    assert leaf(normal(8, 9)).sum().node.call is None  # the argument is too large


def test_errors_and_no_grad_leave_nothing_alive():
    x = leaf(normal(3, 4))
    nodes = count_nodes()
    with minires.no_grad():
        y = x.exp()
    with pytest.raises(ValueError, match="add"):
        x.exp() + y[:, :3]
    del y
    assert count_nodes() == nodes


def test_hooks_leave_nothing_alive():
    x = leaf(normal(3, 4))
    nodes, seen = count_nodes(), []
    y = x.exp()
    y.register_hook(lambda g: seen.append(g.shape))
    y.sum().backward()
    del y
    assert count_nodes() == nodes
    assert seen == [(3, 4)]


def test_module_hooks_leave_nothing_alive():
    layer = nn.Linear(4, 2)
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    layer.register_forward_hook(lambda module, args, out: None)
    x = leaf(normal(3, 4), np.float32)
    nodes = count_nodes()
    layer(x).sum().backward()
    assert count_nodes() == nodes
    layer(x)
    assert count_nodes() == nodes


def test_a_training_step_leaves_nothing_alive():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    x = Tensor(normal(2, 6, 8, 3, dtype=np.float32))
    nodes = count_nodes()
    for _ in range(3):
        net.zero_grad()
        out = net(x)
        (out * out).mean().backward()
        del out
        assert count_nodes() == nodes
