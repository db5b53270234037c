"""Numbers at the edges of their types: what is summed, compared, stretched or infinite."""

import math

import numpy as np
import pytest
from helpers import close, leaf, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minires
from minires import Tensor, data, grad, nn, ops, optim
from minires.nn import functional as F

h = np.float16
FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint64]

# ---------------------------------------------------------------------- sums of float16


def pulled(function, length, g):
    """The gradient of `function` of so many zeros, for the upstream gradient g."""
    w = Tensor(np.zeros(length, g.dtype), requires_grad=True)
    return grad(function(w), w, g)


SUMS = {
    "sum": lambda x: x.sum(axis=0),
    "mean": lambda x: x.mean(axis=0),
    "var": lambda x: x.var(axis=0),
    "std": lambda x: x.std(axis=0, ddof=1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=0),
    "softmax": lambda x: F.softmax(x, 0),
    "log_softmax": lambda x: F.log_softmax(x, 0),
    "matmul": lambda x: ops.matmul(Tensor(np.ones((1, x.shape[0]), x.dtype)), x),
    "broadcast": lambda x: pulled(lambda w: w + x, 2, x),
    "one element often": lambda x: pulled(lambda w: w[np.zeros(x.shape, int)], 1, x),
    "average": lambda x: F.avg_pool2d(x.reshape(1, -1, 1, 2), (x.shape[0], 1)),
    "batch norm": lambda x: F.batch_norm(x, None, None, training=True)[:3],
}


@settings(max_examples=8)
@given(st.integers(2049, 6000), st.floats(0.25, 4), st.integers(0, 3))
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_half_precision_lose_nothing_on_the_way(name, count, scale, seed):
    x = (np.random.default_rng(seed).uniform(0.5, 1.5, (count, 2)) * scale).astype(h)
    if name == "sum":
        x = (x / 64).astype(h)  # or the sum itself would be too large
    elif name in ("broadcast", "one element often"):
        x = (x / 512).astype(h)
    found, exact = SUMS[name](Tensor(x)), SUMS[name](Tensor(x.astype(np.float64)))
    assert found.dtype == h
    np.testing.assert_allclose(found.data, exact.data.astype(h), rtol=2e-3, atol=2e-3)


def test_a_step_in_mixed_precision_has_the_gradients_of_float32():
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(64) % 10

    def first_step(amp):
        """What one step of plain SGD with a rate of 1 takes off each parameter."""
        minires.manual_seed(0)
        net = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
            *(nn.Flatten(), nn.Linear(8, 10)),
        )
        before = {name: p.data.copy() for name, p in net.named_parameters()}
        minires.fit(
            net,
            data.ImageDataset(images, labels, [str(i) for i in range(10)]),
            None,
            epochs=1,
            optimizer=optim.SGD(net.parameters(), lr=1.0),
            transform=data.Normalize((0.5,) * 3, (0.25,) * 3),
            amp=amp,
            progress=False,
        )
        return {name: before[name] - p.data for name, p in net.named_parameters()}

    exact, found = first_step(False), first_step(True)
    for name, taken in exact.items():  # of weights, rounded images meet rounded gradients
        allowed = 0.003 if name.endswith("bias") else 0.02
        assert np.abs(found[name] - taken).max() < allowed * np.abs(taken).max(), name


# ---------------------------------------------------------------------- extremes


@given(st.data(), st.sampled_from(INTEGERS + FLOATS), st.sampled_from(["max", "min"]))
def test_extremes_of_any_dtype_are_pythons(draw, dtype, name):
    kind = np.dtype(dtype).kind
    ends = (np.iinfo(dtype).min, np.iinfo(dtype).max) if kind in "iu" else (-9, 9)
    x = draw.draw(hnp.arrays(dtype, (3, 4), elements=st.integers(*map(int, ends))))
    python = {"max": max, "min": min}[name]
    found = getattr(Tensor(x), name)(axis=1)
    assert found.dtype == dtype
    assert found.tolist() == [python(row) for row in x.tolist()]
    image = Tensor(x.reshape(1, 3, 4, 1))
    pooled = {"max": F.max_pool2d, "min": F.min_pool2d}[name](image, (3, 4))
    assert pooled.item() == python(x.ravel().tolist())


@pytest.mark.parametrize("size", [15, 16, 255, 256, 257])
def test_windows_of_any_size_pass_their_gradient(size):
    x = np.zeros((1, size, size, 1))
    x[0, -1, -2] = 1
    t = leaf(x)
    F.max_pool2d(t, size).sum().backward()
    close(t.grad, x)


# ---------------------------------------------------------------------- infinite upstream gradients


@pytest.mark.parametrize("dtype", FLOATS)
def test_what_loses_gets_0_of_an_infinite_gradient(dtype):
    a, b = (np.array(v, dtype) for v in ([2, 1, -1, 3], [1, 2, 0, 3]))
    inf = Tensor(np.full(4, np.inf, dtype))

    def gradients(function, *arrays):
        tensors = [Tensor(x, requires_grad=True) for x in arrays]
        return [g.tolist() for g in grad(function(*tensors), tensors, inf)]

    i = math.inf
    assert gradients(ops.maximum, a, b) == [[i, 0, 0, i], [0, i, i, i]]
    assert gradients(ops.minimum, a, b) == [[0, i, i, i], [i, 0, 0, i]]
    assert gradients(ops.relu, a) == [[i, i, 0, i]]
    assert gradients(lambda x: x.clip(0, 2), a) == [[i, i, 0, 0]]
    rows = np.arange(12, dtype=dtype).reshape(4, 3)
    assert gradients(lambda x: x.max(axis=1), rows) == [[[0, 0, i]] * 4]
    assert gradients(lambda x: x.min(axis=1), rows) == [[[i, 0, 0]] * 4]


def test_relus_gradient_of_large_arrays_is_that_of_small_ones():
    y = np.maximum(normal(600_000), 0)
    g = normal(600_000, seed=1)
    g[::7] = np.inf
    g[1::7] = np.nan
    for dtype in FLOATS:
        found = ops.activation.relu_gradient(g.astype(dtype), y.astype(dtype))
        np.testing.assert_array_equal(found, np.where(y.astype(dtype) > 0, g.astype(dtype), 0))


# ---------------------------------------------------------------------- functions of one number


@settings(max_examples=200)
@given(st.floats(-700, 700), st.sampled_from(FLOATS))
def test_sigmoid_keeps_its_digits(x, dtype):
    x = float(np.array(np.clip(x, -6e4, 6e4), dtype))
    exact = math.exp(x) / (1 + math.exp(x)) if x < 0 else 1 / (1 + math.exp(-x))
    found = float(F.sigmoid(Tensor(np.array(x, dtype))).data)
    tiny, eps = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)
    assert abs(found - exact) <= 8 * eps * exact + tiny


def test_the_logarithm_of_a_small_sigmoid_has_a_gradient():
    x = Tensor(np.array(-20, np.float32), requires_grad=True)
    y = F.sigmoid(x)
    assert y.item() == pytest.approx(2.0611536e-9, rel=1e-6)
    y.log().backward()
    assert x.grad.item() == pytest.approx(1, rel=1e-6)


@given(hnp.arrays(np.float64, (4, 3), elements=st.sampled_from([0.0, 1.0, 2.5])), st.integers(0, 1))
def test_the_standard_deviation_has_a_derivative_everywhere(x, ddof):
    t = leaf(x)
    t.std(axis=0, ddof=ddof).sum().backward()
    spread = x.std(axis=0, ddof=ddof)
    with np.errstate(all="ignore"):
        wanted = np.where(spread == 0, 0, (x - x.mean(axis=0)) / (spread * (4 - ddof)))
    close(t.grad, wanted, atol=1e-12)


# ---------------------------------------------------------------------- dtypes

BINARY = [ops.add, ops.subtract, ops.multiply, ops.divide, ops.maximum, ops.power]


@given(st.sampled_from(BINARY), *[st.sampled_from(FLOATS + INTEGERS + ["number"])] * 2)
def test_a_result_has_the_widest_dtype_of_its_floating_inputs(operation, left, right):
    kinds = [k for k in (left, right) if k != "number"]
    if not kinds:
        return
    values = [1.5 if k == "number" else Tensor(np.ones(3, k)) for k in (left, right)]
    floating = [np.dtype(k) for k in kinds if k in FLOATS]
    result = operation(*values).dtype
    if floating:
        assert result == max(floating, key=lambda d: d.itemsize)
    elif result.kind == "f":
        assert result == np.float32
    if "number" in (left, right):
        assert result.kind == "f"


def test_dtypes_that_the_conventions_name():
    mask = Tensor(np.array([True, False]))
    assert (Tensor(np.ones(2, h)) * np.ones(2, np.int16)).dtype == h
    assert (Tensor(np.ones(2, np.uint8)) / 255).dtype == np.float32
    assert ops.where(mask, 1.0, 0.0).dtype == np.float32
    assert ops.where(mask.numpy(), 1.0, 0.0).dtype == np.float32
    assert Tensor(np.ones(2, np.int64)).mean().dtype == np.float32
    for function in (ops.exp, ops.sqrt, ops.tanh, F.sigmoid, F.softmax):
        assert function(Tensor(np.ones(2, np.int8))).dtype == np.float32


# ---------------------------------------------------------------------- pooling over a grid


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.data(),
)
def test_a_cell_has_the_mean_of_its_own_pixels(size, grid, draw):
    x = draw.draw(
        hnp.arrays(np.float64, (1, *size, 1), elements=st.sampled_from([1.0, 2.0, np.nan]))
    )
    found = F.adaptive_avg_pool2d(Tensor(x), grid).data[0, :, :, 0]
    for i, j in np.ndindex(*grid):
        rows = slice(i * size[0] // grid[0], -(-(i + 1) * size[0] // grid[0]))
        columns = slice(j * size[1] // grid[1], -(-(j + 1) * size[1] // grid[1]))
        np.testing.assert_allclose(found[i, j], x[0, rows, columns, 0].mean(), rtol=1e-12)


def test_means_of_integers_are_refused():
    pixels = Tensor(np.full((1, 4, 4, 1), 200, np.uint8))
    for pool in (lambda x: F.adaptive_avg_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2)):
        with pytest.raises(ValueError, match="floating-point numbers, got uint8"):
            pool(pixels)


def test_the_norm_of_half_precision_gradients():
    p = Tensor(np.zeros(1, h), requires_grad=True)
    p.grad = Tensor(np.array([300.0], h))
    assert float(optim.clip_grad_norm_([p], 3.0)) == pytest.approx(300)
    close(p.grad, [3.0], rtol=1e-3)


# ---------------------------------------------------------------------- integers, long sums


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_losses_of_integers_do_not_wrap_round(dtype):
    assert F.cross_entropy(Tensor(np.array([[5, 1, 2]], dtype)), np.array([0])).item() == (
        pytest.approx(0.0659, abs=1e-4)
    )
    zero, far = np.array([0], dtype), np.array([100], dtype)
    assert F.mse_loss(Tensor(zero), far).item() == 10000
    assert F.mse_loss(Tensor(far), zero).item() == 10000


def test_batch_norm_of_integers_is_refused():
    images = Tensor(np.array([[0, 1, 2], [3, 1, 1]], np.uint8))
    with pytest.raises(TypeError, match="batch_norm wants floating images, got uint8"):
        F.batch_norm(images, None, None, training=True)


@pytest.mark.parametrize(("dtype", "rtol"), [(h, 1e-3), (np.float32, 1e-5)])
@pytest.mark.parametrize("axis", [0, (0, 1), (0, 2), 1])
def test_long_sums_keep_their_digits(axis, dtype, rtol):
    rng = np.random.default_rng(0)
    array = rng.uniform(0.04, 0.06, (500, 700, 2)).astype(dtype)
    wide = array.astype(np.float64)
    for name in ("sum", "mean", "var", "std"):
        found = getattr(Tensor(array), name)(axis=axis).numpy()
        np.testing.assert_allclose(found, getattr(wide, name)(axis=axis), rtol)
    b = Tensor(np.zeros(2, dtype), requires_grad=True)
    (Tensor(array) + b).backward(Tensor(array))
    np.testing.assert_allclose(b.grad.numpy(), wide.sum(axis=(0, 1)), rtol)
    x = Tensor(array, requires_grad=True)
    x.mean().backward(Tensor(np.full((), 1000, dtype)))
    np.testing.assert_allclose(x.grad.numpy(), np.full(array.shape, 1000 / array.size), rtol)


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
def test_float16_softmax_of_many_values(function):
    x = np.random.default_rng(0).standard_normal((2, 70_000)).astype(h)
    wanted = function(Tensor(x.astype(np.float32))).numpy()
    np.testing.assert_allclose(function(Tensor(x)).numpy(), wanted.astype(h), 2e-3, 1e-7)


def test_powers_with_unsigned_exponents():
    x = Tensor([2.0, 3.0], requires_grad=True)
    (x ** Tensor(np.array([0, 2], np.uint8))).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 6])
