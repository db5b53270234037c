"""NumPy's functions called with a tensor, and operators without a gradient, judged by PyTorch."""

import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minires
from minires import Tensor
from minires.errors import BackwardError

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # PyTorch's

UNARY = (
    *("exp", "sqrt", "log", "absolute", "negative", "tanh", "sign", "sin", "arctan", "floor"),
    *("square", "log1p", "isnan", "isfinite", "rint", "reciprocal", "cosh", "exp2", "trunc"),
)
BINARY = (
    *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "hypot"),
    *("arctan2", "fmod", "remainder", "floor_divide", "copysign", "logaddexp"),
    *("greater", "less_equal", "equal"),
)
RNG = np.random.default_rng(0)
X, Y = (RNG.uniform(0.2, 2.0, (3, 4)).astype(np.float32) for _ in range(2))
INPUTS = {**dict.fromkeys(UNARY, 1), **dict.fromkeys(BINARY, 2)}


def both(function, *arrays, grad=False):
    """What `function` gives, and its gradient or error, of minires's tensors and of PyTorch's."""
    found = []
    for tensor in (minires.tensor, torch.tensor):
        given_ = [tensor(array, requires_grad=grad) for array in arrays]
        try:
            result = function(*given_)
            if grad:
                result.sum().backward()
        except (TypeError, RuntimeError, AttributeError) as error:
            found.append(error)
        else:
            found.append((result, [x.grad for x in given_]))
    return found


@pytest.mark.parametrize("name", INPUTS)
def test_numpys_functions_of_single_values(name):
    function = getattr(np, name)
    arrays = (X, Y)[: INPUTS[name]]
    (got, _), (wanted, _) = both(function, *arrays)
    assert isinstance(got, Tensor)
    np.testing.assert_allclose(got.numpy(), np.asarray(wanted), 1e-6)
    if INPUTS[name] == 2:  # an array first, and a number
        (got, _), wanted = both(lambda y: function(X, y), Y)[0], function(X, Y)
        np.testing.assert_allclose(got.numpy(), wanted, 1e-6)
        (got, _), (wanted, _) = both(lambda x: function(x, 2.0), X)
        assert got.dtype == np.asarray(wanted).dtype or got.dtype == bool  # there uint8
        np.testing.assert_allclose(got.numpy(), np.asarray(wanted), 1e-6)


@pytest.mark.parametrize("name", INPUTS)
def test_a_gradient_passes_or_it_is_an_error(name):
    """PyTorch refuses them all; here some are operations, whose gradient PyTorch's own has."""
    if name in ("isnan", "isfinite", "greater", "less_equal", "equal"):
        return
    arrays = (X, Y)[: INPUTS[name]]
    got, refused = both(getattr(np, name), *arrays, grad=True)
    assert isinstance(refused, RuntimeError)
    if isinstance(got, TypeError):
        assert f"no gradient by {name}: write" in str(got)
        return
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    theirs_name = {"power": "pow"}.get(name, name)
    getattr(torch, theirs_name)(*theirs).sum().backward()
    for gradient, x in zip(got[1], theirs, strict=True):
        gradient = np.zeros_like(X) if gradient is None else gradient.numpy()
        np.testing.assert_allclose(gradient, x.grad.numpy(), 1e-5, 1e-6)


ASKED = {
    "transpose": (np.transpose, torch.t),
    "squeeze": (np.squeeze, torch.squeeze),
    "reshape": (lambda x: np.reshape(x, (4, 3)), lambda x: torch.reshape(x, (4, 3))),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), lambda x: torch.swapaxes(x, 0, 1)),
    "sum": (lambda x: np.sum(x, axis=1), lambda x: torch.sum(x, 1)),
    "clip": (lambda x: np.clip(x, 0.5, 1), lambda x: torch.clip(x, 0.5, 1)),
}


@pytest.mark.parametrize("name", ASKED)
def test_numpys_functions_that_ask_the_tensor(name):
    ours, theirs = ASKED[name]
    x, y = Tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    got, wanted = ours(x), theirs(y)
    np.testing.assert_allclose(got.numpy(), wanted.detach().numpy(), 1e-6)
    (got * got).sum().backward()
    (wanted * wanted).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), 1e-6)


def test_what_is_written_into_an_array():
    results = []
    for tensor in (minires.tensor, torch.tensor):
        w = tensor(X, requires_grad=True)
        w.data -= 0.5 * tensor(Y)
        w.data *= tensor(Y)
        results.append(w.detach().numpy())
    np.testing.assert_array_equal(*results)
    array = X.copy()
    np.multiply(Tensor(Y), 2, out=array, where=Y > 1)
    np.testing.assert_array_equal(array, np.where(Y > 1, 2 * Y, X))
    with pytest.raises(TypeError, match="no gradient by add: write"):
        array += Tensor(Y, requires_grad=True)
    w = Tensor(X, requires_grad=True)
    loss = (w * w).sum()
    np.add(Tensor(Y), 1, out=(w.detach(),))
    np.testing.assert_array_equal(w.numpy(), Y + 1)
    with pytest.raises(BackwardError, match="written"):
        loss.backward()


def test_methods_of_numpys_functions_and_masked_arrays():
    x = minires.tensor(X)
    np.testing.assert_allclose(np.add.reduce(x).numpy(), X.sum(0), 1e-6)
    np.testing.assert_allclose(np.multiply.outer(x, x).numpy(), np.multiply.outer(X, X))
    parts = np.modf(x)
    assert [type(part) for part in parts] == [Tensor, Tensor]
    with pytest.raises(TypeError, match="masked array"):
        np.ma.array(X) * x


OPERATORS = ("floordiv", "mod", "xor", "lshift", "rshift")
SMALL = st.lists(st.integers(-9, 9), min_size=3, max_size=3)


@given(
    st.sampled_from(OPERATORS), SMALL, SMALL, st.sampled_from(["int64", "int32", "float32"]),
    st.sampled_from(["tensors", "number right", "number left"]),
)  # fmt: skip
def test_operators_without_a_gradient(name, left, right, dtype, form):
    if name in ("floordiv", "mod"):
        right = [n or 3 for n in right]  # what is divided by 0 is each library's own
        left = [n or 1 for n in left]
    elif dtype == "float32":
        dtype = "int64"
    if name in ("lshift", "rshift"):
        right = [abs(n) for n in right]
    apply = getattr(operator, name)
    results = []
    for tensor in (minires.tensor, torch.tensor):
        x, y = (tensor(np.array(n, dtype)) for n in (left, right))
        if form == "number right":
            y = right[0]
        elif form == "number left" and name not in ("lshift", "rshift"):
            x = left[0]
        results.append(apply(x, y))
    got, wanted = results
    assert got.dtype == wanted.numpy().dtype
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())
