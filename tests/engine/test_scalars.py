"""0-d tensors, whose arithmetic is that of NumPy's scalars: nobody gets to see one."""

import operator

import numpy as np
import pytest

import minires
from minires import Tensor, detect_nonfinite
from minires.errors import NonFiniteError
from minires.observers import observe

DTYPES = ["float16", "float32", "float64"]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]


def is_array(array, dtype):
    return type(array) is np.ndarray and array.shape == () and array.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operate", OPERATORS)
def test_values_and_gradients_are_those_of_arrays_of_one_element(operate, dtype):
    drawn = np.random.default_rng(0).normal(size=(50, 2)).astype(dtype)
    for a, b in drawn:
        results = []
        for shape in ((), (1,)):
            x, y = (Tensor(np.full(shape, v), requires_grad=True) for v in (a, b))
            z = -operate(operate(x, 0.75), operate(y, x))
            z.backward(Tensor(np.full(shape, 0.3, dtype)))
            results.append([t.data.reshape(()) for t in (z, x.grad, y.grad)])
            assert all(t.data.shape == shape for t in (z, x.grad, y.grad))
        for one, other in zip(*results, strict=True):
            assert is_array(one, dtype)
            np.testing.assert_array_equal(one, other)


def test_mixed_with_other_shapes_and_dtypes():
    x = Tensor(2.0, requires_grad=True)
    y = Tensor(np.arange(3, dtype=np.float64), requires_grad=True)
    z = x * y + 1
    assert z.dtype == np.float64
    z.sum().backward()
    assert is_array(x.grad.data, np.float32)
    assert (x.grad.data, *y.grad.data) == (3, 2, 2, 2)
    assert (Tensor(3) * x).dtype == np.float32
    assert is_array((Tensor(np.int64(3)) + 4).data, np.int64)


def test_everybody_who_looks_sees_arrays():
    x, w = (Tensor(v, requires_grad=True) for v in (3.0, 0.5))
    seen = []
    y = x * w
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.data))
    with observe(lambda op, arrays, constants, out: seen.append(out.data)):
        z = y + y * w
    z.backward(retain_graph=True)
    seen += [y.grad.data, *(g.data for g in minires.grad(z, [x, y, w], retain_graph=True))]
    first = minires.grad(z, x, create_graph=True)
    (second,) = minires.grad(first, [w])
    seen += [first.data, second.data]
    assert len(seen) == 2 + 3 + 1 + 3 + 2  # outputs, hook, retained, and two walks
    assert all(is_array(array, np.float32) for array in seen)
    assert first.data == pytest.approx(0.5 + 0.25)
    assert second.data == pytest.approx(1 + 2 * 0.5)


def test_lists_and_tuples_are_arrays_as_ever():
    for pair in ([1, 2], (1, 2)):
        assert (Tensor(2.0) * pair).data.tolist() == [2, 4]
        assert (pair * Tensor(2.0)).data.tolist() == [2, 4]
        assert (pair + Tensor(2.0)).data.tolist() == [3, 4]
        assert (pair - Tensor(2.0) * 1.0).data.tolist() == [-1, 0]


def test_integers_wrap_without_a_word():
    with np.errstate(all="raise"):
        three, five = (Tensor(np.uint8(v)) for v in (3, 5))
        assert (three - five).data == 254
        assert (-five).data == 251
        assert is_array((five + three).data, np.uint8)


def test_observers_see_what_the_tensors_hold():
    x, w = (Tensor(v, requires_grad=True) for v in (3.0, 0.5))
    seen = []
    with observe(lambda op, arrays, constants, out: seen.extend(arrays)):
        y = x * w
    assert seen[0] is x.data
    assert seen[1] is w.data
    assert y.node.call[0][0] is x.data  # by which `viz` knows their names


def test_what_is_not_finite_is_found():
    x = Tensor(0.0, requires_grad=True)
    with np.errstate(all="ignore"), detect_nonfinite(), pytest.raises(NonFiniteError):
        Tensor(1.0) / x
