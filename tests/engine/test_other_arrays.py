"""Arrays that are not NumPy's own, as operands and in `Tensor(...)`."""

import operator

import numpy as np
import pytest

from minires import Tensor, ops

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul]
OPERATORS += [operator.lt, operator.eq]


class Named(np.ndarray):
    """Some library's subclass, with arithmetic of its own."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        raise AssertionError("a subclass's own arithmetic was used")


def subclasses(tmp_path, values):
    mapped = np.memmap(tmp_path / "values", dtype=values.dtype, mode="w+", shape=values.shape)
    mapped[...] = values
    return {"matrix": np.matrix(values), "memmap": mapped, "own": values.view(Named)}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("apply", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["matrix", "memmap", "own"])
def test_subclasses_mean_what_arrays_mean(tmp_path, rng, apply, kind):
    values = rng.normal(size=(3, 3))
    x = Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    other = subclasses(tmp_path, values)[kind]
    for result, wanted in (
        (apply(x, other), apply(x, values)),
        (apply(x, Tensor(other)), apply(x, Tensor(values))),
    ):
        assert type(result.numpy()) is np.ndarray
        assert np.array_equal(result.numpy(), wanted.numpy())


def test_a_mask_is_not_dropped_in_silence():
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    for call in (Tensor, lambda a: Tensor([1.0, 2.0]) + a, lambda a: ops.maximum(Tensor([1.0]), a)):
        with pytest.raises(TypeError, match="a masked array"):
            call(masked)


class Foreign:
    """As PyTorch's tensors are: a dtype that is not NumPy's, and `__array__`."""

    dtype, shape = object(), (2,)

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0], np.float32)


def test_another_librarys_tensor_is_converted_where_it_is_meant_and_refused_where_it_is_mixed():
    assert Tensor(Foreign()).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match=r"Foreign among the operands: make it a minires\.Tensor"):
        ops.add(Tensor([1.0, 2.0]), Foreign())


def test_to_nowhere_in_particular_is_the_tensor_itself():
    x = Tensor([1.0], requires_grad=True)
    assert x.to(None) is x
    assert x.to(None, np.float64).dtype == np.float64
