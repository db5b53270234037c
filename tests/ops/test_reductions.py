"""Reductions over any axes, and where ties send the gradient."""

import itertools

import numpy as np
import pytest
from helpers import awkward, close, leaf, normal

import minires
from minires import Tensor, ops

x = normal(2, 3, 4)
AXES = [None, 0, 1, -1, -3, (0, 1), (2, 0), (-1, -2), (0, 1, 2), ()]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_reductions_agree_with_numpy(axis, keepdims):
    t = Tensor(awkward(x))
    options = {"axis": axis, "keepdims": keepdims}
    close(t.sum(**options), x.sum(**options))
    close(t.mean(**options), x.mean(**options))
    close(t.max(**options), x.max(**options))
    close(t.min(**options), x.min(**options))
    close(ops.logsumexp(t, **options), np.log(np.exp(x).sum(**options)))
    close(t.var(**options), x.var(**options))
    close(t.std(**options), x.std(**options))
    if axis != ():
        close(t.var(ddof=1, **options), x.var(ddof=1, **options))


def test_variance_by_hand():
    t = Tensor(np.array([1.0, 2.0, 6.0]))
    close(t.var(), (4 + 1 + 9) / 3)
    close(t.var(ddof=1), 7.0)
    close(t.std(ddof=1), 7.0**0.5)


def test_the_first_of_equal_maxima_gets_the_gradient():
    t = leaf([[1.0, 5.0, 5.0, 2.0], [7.0, 7.0, 7.0, 7.0]])
    t.max(axis=1).backward(Tensor([3.0, 4.0]))
    close(t.grad, [[0, 3, 0, 0], [4, 0, 0, 0]])
    close(minires.grad(t.max(axis=0), t, Tensor([1.0, 2.0, 3.0, 4.0])), [[0] * 4, [1, 2, 3, 4]])
    close(minires.grad(t.max(), t), [[0, 0, 0, 0], [1, 0, 0, 0]])


def test_the_first_of_equal_minima_gets_the_gradient():
    t = leaf([[5.0, 1.0, 1.0], [2.0, 2.0, 3.0]])
    close(minires.grad(t.min(axis=-1), t, Tensor([3.0, 4.0])), [[0, 3, 0], [4, 0, 0]])


def test_the_first_counts_along_the_reduced_axes_in_order():
    t = leaf(np.zeros((2, 3, 2)))
    g = minires.grad(t.max(axis=(0, 2)), t, Tensor([1.0, 2.0, 3.0]))
    wanted = np.zeros((2, 3, 2))
    wanted[0, :, 0] = [1, 2, 3]
    close(g, wanted)


def test_maxima_of_integers_and_their_places():
    t = Tensor(np.array([[3, 9, 9], [4, 1, 0]]))
    assert t.max(axis=1).tolist() == [9, 4]
    assert t.argmax(axis=1).tolist() == [1, 0]
    assert t.argmin(axis=0).tolist() == [0, 1, 1]
    assert t.argmax().item() == 1
    assert not leaf([1.0, 2.0]).argmax().requires_grad


def test_gradients_of_sum_and_mean_by_hand():
    g = normal(3)
    t = leaf(x)
    close(minires.grad(t.sum(axis=(0, 2)), t, Tensor(g)), np.ones((2, 3, 4)) * g[:, None])
    close(minires.grad(t.mean(axis=(2, 0)), t, Tensor(g)), np.ones((2, 3, 4)) * g[:, None] / 8)
    close(minires.grad(t.mean(), t), np.full((2, 3, 4), 1 / 24))


def test_broadcast_to_and_its_gradient():
    t = leaf(normal(3, 1))
    out = ops.broadcast_to(t, shape=(2, 3, 4))
    close(out, np.broadcast_to(t.numpy(), (2, 3, 4)))
    g = normal(2, 3, 4)
    close(minires.grad(out, t, Tensor(g)), g.sum(axis=(0, 2))[:, None])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_and_put_along(axis):
    values, size = normal(3, 4), (3, 4)[axis]
    shape = [3, 4]
    shape[axis] = 1
    indices = np.arange(12 // size).reshape(shape) % size
    taken = ops.take_along(Tensor(values), indices=indices, axis=axis)
    close(taken, np.take_along_axis(values, indices, axis))
    put = ops.put_along(taken, indices=indices, axis=axis, size=size)
    wanted = np.zeros((3, 4))
    for at in itertools.product(range(3), range(4)):
        line = list(at)
        line[axis] = 0
        if indices[tuple(line)] == at[axis]:
            wanted[at] = values[at]
    close(put, wanted)
