"""Operations on drawn shapes, axes, keys and layouts: against their definitions, and gradcheck."""

import math

import numpy as np
import pytest
from declared import function, leaves, mapped
from definitions import DEFINITIONS
from helpers import awkward, close, normal, positive
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minires import ops
from minires.gradcheck import gradcheck

pytestmark = pytest.mark.slow

drawn = settings(derandomize=True, database=None, max_examples=30)

LAYOUTS = [np.array, lambda a: np.array(a, order="F"), awkward]
layouts = st.lists(st.sampled_from(LAYOUTS), min_size=4, max_size=4)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
filled = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


def apart(*shape):
    """Values no two of which are nearer than 0.1, none within 0.02 of 0, for maxima and kinks."""
    count = math.prod(shape)
    order = np.random.default_rng([5, *shape]).permutation(count)
    return np.asarray((order - count // 2 + 0.25).reshape(shape) * 0.1)


def holds(name, *args, layout=LAYOUTS[:1] * 4, **static):
    """The value is the definition's, and the gradient that of central differences."""
    wanted = DEFINITIONS[name](*args, **static)
    close(function(name)(*args, **static), wanted, rtol=1e-10)
    arrays = [a for a in leaves(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def call(*tensors):
        left = list(tensors)

        def put(a):
            return left.pop(0) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a

        return function(name)(*mapped(args, put), **static)

    gradcheck(call, [lay(a) for lay, a in zip(layout, arrays, strict=False)])


@pytest.mark.parametrize(
    "name", ["absolute", "exp", "erf", "log", "sqrt", "tanh", "sigmoid", "relu"]
)
@drawn
@given(shape=shapes, layout=layouts)
def test_elementwise(name, shape, layout):
    x = positive(*shape) if name in ("log", "sqrt") else apart(*shape)
    holds(name, np.asarray(x), layout=layout)


@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]
)
@drawn
@given(pair=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_broadcasting_pairs(name, pair):
    left, right = pair.input_shapes
    x = positive(*left) if name == "power" else apart(*left)
    y = positive(*right, seed=1) if name == "divide" else np.asarray(apart(*right) + 0.05)
    holds(name, np.asarray(x), np.asarray(y))


@drawn
@given(three=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3))
def test_where(three):
    condition, left, right = three.input_shapes
    where = np.asarray(normal(*condition) > 0)
    holds("where", where, np.asarray(normal(*left, seed=1)), np.asarray(normal(*right, seed=2)))


@pytest.mark.parametrize("name", ["sum", "mean", "var", "logsumexp", "max", "min"])
@drawn
@given(data=st.data(), keepdims=st.booleans(), layout=layouts)
def test_reductions(name, data, keepdims, layout):
    shape = data.draw(filled)
    some = hnp.valid_tuple_axes(len(shape), min_size=1)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1) | some)
    x = apart(*shape) if name in ("max", "min") else normal(*shape)
    holds(name, x, axis=axis, keepdims=keepdims, layout=layout)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@drawn
@given(data=st.data(), layout=layouts)
def test_along_an_axis(name, data, layout):
    shape = data.draw(filled)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    holds(name, 2 * normal(*shape), axis=axis, layout=layout)


@drawn
@given(
    pair=hnp.mutually_broadcastable_shapes(
        signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3
    ),
    layout=layouts,
)
def test_matmul(pair, layout):
    left, right = pair.input_shapes
    holds("matmul", normal(*left), normal(*right, seed=1), layout=layout)


@drawn
@given(data=st.data(), layout=layouts)
def test_slices_and_numbers(data, layout):
    shape = data.draw(filled)
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=5))
    holds("getitem", normal(*shape), key, layout=layout)


@drawn
@given(data=st.data(), layout=layouts)
def test_index_arrays_and_masks(data, layout):
    shape = data.draw(filled)
    result = hnp.array_shapes(max_dims=2, max_side=3)
    arrays = hnp.integer_array_indices(shape, result_shape=result)
    key = data.draw(arrays | hnp.arrays(bool, shape))
    holds("getitem", normal(*shape), key, layout=layout)


@drawn
@given(data=st.data(), layout=layouts)
def test_what_is_taken_and_scattered_is_adjoint(data, layout):
    shape = data.draw(filled)
    key = data.draw(hnp.integer_array_indices(shape) | hnp.basic_indices(shape))
    x = layout[0](normal(*shape))
    out = ops.take(x, key=key)
    g = layout[1](normal(*np.shape(out), seed=1))
    back = ops.scatter(g, key=key, shape=shape)
    np.testing.assert_allclose(np.vdot(out, g), np.vdot(x, back), rtol=1e-12, atol=1e-12)


@drawn
@given(data=st.data(), value=st.sampled_from([0.0, -1.5]), layout=layouts)
def test_pad(data, value, layout):
    shape = data.draw(shapes)
    width = tuple(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape)
    assume(shape)
    holds("pad", normal(*shape), width=width, value=value, layout=layout)


@drawn
@given(data=st.data(), layout=layouts)
def test_concatenate_and_stack(data, layout):
    shape = data.draw(filled)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    pieces = []
    for i, length in enumerate(lengths):
        lie = list(shape)
        lie[axis] = length
        pieces.append(normal(*lie, seed=i))
    holds("concatenate", pieces, axis=axis, layout=layout)
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    holds("stack", [normal(*shape, seed=i) for i in range(len(lengths))], axis=place)


@drawn
@given(data=st.data(), layout=layouts)
def test_transpose_and_reshape(data, layout):
    shape = data.draw(filled)
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    signs = data.draw(st.lists(st.booleans(), min_size=len(axes), max_size=len(axes)))
    axes = tuple(a - len(shape) if s else a for a, s in zip(axes, signs, strict=True))
    holds("transpose", normal(*shape), axes=axes, layout=layout)
    turned = tuple(shape[a] for a in axes)
    hidden = data.draw(st.integers(0, len(turned) - 1))
    target = tuple(-1 if i == hidden else n for i, n in enumerate(turned))
    holds("reshape", normal(*shape), shape=target, layout=layout)


@st.composite
def poolings(draw):
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(
        draw(st.integers(max(k - 2 * p, 1), 6)) for k, p in zip(kernel, padding, strict=True)
    )
    shape = (draw(st.integers(0, 2)), *size, draw(st.integers(1, 3)))
    return shape, {"kernel_size": kernel, "stride": stride, "padding": padding}


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@drawn
@given(pooling=poolings(), layout=layouts)
def test_pooling(name, pooling, layout):
    shape, windows = pooling
    holds(name, apart(*shape), layout=layout, **windows)


@drawn
@given(shape=hnp.array_shapes(min_dims=2, max_dims=4, max_side=4), layout=layouts)
def test_batch_norm(shape, layout):
    assume(math.prod(shape[:-1]) > 2)  # of two values the normalised ones are constants
    x = 2 * normal(*shape) + 1
    holds("batch_norm", x, positive(shape[-1]), normal(shape[-1], seed=1), eps=0.1, layout=layout)
