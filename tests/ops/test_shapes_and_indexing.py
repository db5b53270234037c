"""Operations that move values: reshape, transpose, join, pad, and every kind of index."""

import numpy as np
import pytest
from helpers import awkward, close, leaf, normal

import minires
from minires import Tensor, ops

x = normal(3, 4, 5)

KEYS = {
    "integer": 1,
    "negative integer": -1,
    "NumPy integer": np.int64(2),
    "slice": slice(1, None),
    "slice with a step": (slice(None), slice(None, None, -2)),
    "empty slice": slice(2, 2),
    "None": (None, 1, slice(None), None),
    "Ellipsis": (Ellipsis, 2),
    "Ellipsis in the middle": (1, Ellipsis, slice(1, 3)),
    "integer array": np.array([2, 0]),
    "duplicates": np.array([1, 1, 0, 1]),
    "negative duplicates": np.array([-1, 2]),
    "matrix of integers": np.array([[0, 1], [2, 0]]),
    "two integer arrays": (np.array([0, 1, 0]), np.array([3, 3, 3])),
    "arrays that broadcast": (np.array([[0], [2]]), np.array([1, 1, 3])),
    "array after a slice": (slice(None), np.array([3, 3, 0])),
    "arrays around a slice": (np.array([0, 0]), slice(None), np.array([4, 4])),
    "array and integer": (np.array([0, 0]), 1),
    "list": [2, 0, 2],
    "list in a tuple": (slice(None), [1, 1]),
    "range": range(2),
    "boolean mask": normal(3, 4, 5, seed=3) > 0,
    "boolean mask of the first axes": normal(3, 4, seed=3) > 0,
    "boolean mask of one axis": (slice(None), np.array([True, False, True, True])),
    "mask that holds nowhere": np.zeros((3, 4, 5), bool),
    "mask and duplicates": (np.array([True, False, True]), np.array([1, 1])),
}


@pytest.mark.parametrize("name", KEYS)
def test_indexing_agrees_with_numpy_and_sends_gradients_back(name):
    key = KEYS[name]
    plain = np.asarray(key) if isinstance(key, list | range) else key
    wanted = x[plain]
    t = Tensor(awkward(x), requires_grad=True)
    out = t[key]
    close(out, wanted)
    g = normal(*wanted.shape)
    out.backward(Tensor(g))
    places = np.arange(x.size).reshape(x.shape)[plain]  # each output's place in x
    gradient = np.zeros(x.size)
    for at in np.ndindex(wanted.shape):
        gradient[places[at]] += g[at]
    close(t.grad, gradient.reshape(x.shape))


def test_tensors_as_keys():
    t = Tensor(x)
    close(t[Tensor(np.array([2, 0, 2]))], x[[2, 0, 2]])
    close(t[t > 0], x[x > 0])
    close(t[:, Tensor(np.array([1, 1]))], x[:, [1, 1]])
    assert t[Tensor(np.array(1))].shape == (4, 5)


def test_an_index_out_of_range_is_an_error():
    for key in (3, -4, (0, 4), np.array([0, 3])):
        with pytest.raises(IndexError, match=r"take\(float64\[3, 4, 5\]"):
            Tensor(x)[key]


def test_a_mask_of_the_wrong_shape_is_an_error():
    with pytest.raises(IndexError, match="take"):
        Tensor(x)[np.ones((4, 3), bool)]


def test_scatter_adds_where_an_element_is_named_twice():
    out = ops.scatter(Tensor([1.0, 10.0, 100.0]), key=np.array([2, 0, 2]), shape=(4,))
    close(out, np.array([10, 0, 101, 0], np.float32))


def test_an_indexed_part_does_not_write_through_to_the_gradient_of_another():
    t = leaf([1.0, 2.0, 3.0])
    (t[:2] * t[1:]).backward(Tensor([1.0, 10.0]))
    close(t.grad, [2, 1 + 30, 20])


# ---------------------------------------------------------------------- shapes


def test_reshape_flatten_and_squeeze():
    t = Tensor(awkward(x))
    close(t.reshape(5, 12), x.reshape(5, 12))
    close(t.reshape(-1, 2), x.reshape(-1, 2))
    close(t.flatten(), x.ravel())
    close(t.flatten(1), x.reshape(3, 20))
    close(t.flatten(2), x)
    one = Tensor(normal(1, 3, 1))
    assert one.squeeze().shape == (3,)
    assert one.squeeze(0).shape == (3, 1)
    assert one.squeeze(-1).shape == (1, 3)
    assert one.squeeze((0, 2)).shape == (3,)
    assert Tensor(2.0).flatten().shape == (1,)


def test_flatten_keeps_an_empty_batch_apart():
    assert Tensor(np.zeros((0, 2, 3))).flatten(1).shape == (0, 6)


@pytest.mark.parametrize("axes", [None, (0, 1, 2), (2, 0, 1), (1, 2, 0), (-1, 0, 1), (0, -1, -2)])
def test_transpose_and_its_gradient(axes):
    t = leaf(x)
    out = t.transpose(*axes) if axes else t.T
    close(out, x.transpose(axes))
    g = normal(*out.shape)
    wanted = np.zeros(x.shape)
    order = axes or (2, 1, 0)
    for at in np.ndindex(x.shape):
        wanted[at] = g[tuple(at[a] for a in order)]
    close(minires.grad(out, t, Tensor(g)), wanted)


def test_swapaxes():
    close(Tensor(x).swapaxes(0, 2), x.swapaxes(0, 2))
    close(Tensor(x).swapaxes(-1, 1), x.swapaxes(-1, 1))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_concatenate_along_any_axis(axis):
    shape = [3, 4, 5]
    shape[axis] = 2
    y = normal(*shape)
    close(minires.concatenate([Tensor(x), Tensor(y)], axis=axis), np.concatenate([x, y], axis))
    close(ops.concatenate([x, y], axis=axis), np.concatenate([x, y], axis))
    a, b = leaf(x), leaf(y)
    out = minires.concatenate((b, a, b), axis=axis)
    g = normal(*out.shape)
    da, db = minires.grad(out, (a, b), Tensor(g))
    before, middle, after = np.split(g, [2, 2 + x.shape[axis]], axis)
    close(da, middle)
    close(db, before + after)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4])
def test_stack_along_any_new_axis(axis):
    y = normal(3, 4, 5, seed=1)
    a, b = leaf(x), leaf(y)
    out = minires.stack([a, b], axis=axis)
    close(out, np.stack([x, y], axis))
    g = normal(*out.shape)
    da, db = minires.grad(out, (a, b), Tensor(g))
    close(da, np.take(g, 0, axis))
    close(db, np.take(g, 1, axis))


def test_pad_and_its_gradient():
    t = leaf(normal(2, 3))
    out = ops.pad(t, width=((1, 2), (0, 3)), value=9.0)
    wanted = np.full((5, 6), 9.0)
    wanted[1:3, :3] = t.numpy()
    close(out, wanted)
    g = normal(5, 6)
    close(minires.grad(out, t, Tensor(g)), g[1:3, :3])


# ---------------------------------------------------------------------- matmul

SHAPES = [
    ((4,), (4,)),
    ((4,), (4, 3)),
    ((3, 4), (4,)),
    ((3, 4), (4, 2)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((2, 5, 3, 4), (4, 2)),
    ((1, 1), (1, 3)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_matmul_is_the_sum_of_products(left, right):
    a, b = normal(*left), normal(*right, seed=1)
    out = Tensor(awkward(a)) @ Tensor(awkward(b))
    rows = a if a.ndim > 1 else a[None]
    columns = b if b.ndim > 1 else b[:, None]
    lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    rows = np.broadcast_to(rows, lead + rows.shape[-2:])
    columns = np.broadcast_to(columns, lead + columns.shape[-2:])
    wanted = np.zeros((*lead, rows.shape[-2], columns.shape[-1]))
    for *at, i, j in np.ndindex(wanted.shape):
        wanted[(*at, i, j)] = sum(
            rows[(*at, i, k)] * columns[(*at, k, j)] for k in range(rows.shape[-1])
        )
    if a.ndim == 1:
        wanted = wanted[..., 0, :]
    if b.ndim == 1:
        wanted = wanted[..., 0]
    close(out, wanted)


def test_matmul_of_what_does_not_fit():
    for left, right in [((3, 4), (3, 4)), ((4,), (3,)), ((2, 3, 4), (3, 4, 5)), ((), (3,))]:
        with pytest.raises((ValueError, TypeError), match="matmul"):
            Tensor(np.zeros(left)) @ Tensor(np.zeros(right))
