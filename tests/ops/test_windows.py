"""Convolution, pooling and batch norm as operations: values against plain loops."""

import numpy as np
import pytest
from helpers import (
    awkward,
    batch_norm_loops,
    close,
    conv2d_loops,
    leaf,
    normal,
    pool_loops,
    positive,
)

import minires
from minires import Tensor, ops
from minires.kernels import ConvGeometry

CONVOLUTIONS = {
    "plain": ((2, 5, 4, 3), (3, 2, 3, 4), {}),
    "one by one": ((2, 3, 4, 5), (1, 1, 5, 3), {}),
    "one by one, stride 2": ((2, 5, 4, 3), (1, 1, 3, 2), {"stride": (2, 2)}),
    "padding": ((2, 4, 3, 2), (3, 3, 2, 5), {"padding": (1, 1)}),
    "padding by axis": ((1, 4, 6, 2), (2, 5, 2, 3), {"padding": (0, 2)}),
    "padding wider than the kernel": ((1, 2, 3, 2), (2, 2, 2, 3), {"padding": (3, 2)}),
    "stride": ((2, 7, 6, 3), (3, 2, 3, 2), {"stride": (2, 2)}),
    "stride with a remainder": ((2, 8, 7, 3), (3, 2, 3, 2), {"stride": (3, 2), "padding": (1, 0)}),
    "stride larger than the kernel": ((1, 9, 8, 2), (2, 1, 2, 3), {"stride": (3, 4)}),
    "dilation": ((2, 7, 8, 2), (3, 2, 2, 3), {"dilation": (2, 3)}),
    "dilation and stride": (
        (1, 9, 8, 2),
        (2, 3, 2, 3),
        {"dilation": (3, 2), "stride": (2, 3), "padding": (2, 1)},
    ),
    "groups": ((2, 4, 5, 6), (3, 2, 3, 4), {"groups": 2, "padding": (1, 1)}),
    "depthwise": ((2, 4, 5, 3), (2, 3, 1, 6), {"groups": 3, "stride": (1, 2)}),
    "kernel as large as the image": ((3, 4, 2, 3), (4, 2, 3, 5), {}),
    "one channel, one filter": ((2, 5, 3, 1), (2, 2, 1, 1), {}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_and_both_its_gradients(name):
    x_shape, w_shape, options = CONVOLUTIONS[name]
    x, w = normal(*x_shape), normal(*w_shape)
    wanted = conv2d_loops(x, w, **options)
    close(
        ops.conv2d(Tensor(awkward(x)), Tensor(awkward(w)), geometry=ConvGeometry(**options)),
        wanted,
        atol=1e-11,
    )
    # it is linear in both: <conv(u, w), g> = <u, dx> for every u, so dx at an element is what the
    # loops give for an image that is 1 there
    a, b = leaf(x), leaf(w)
    g = normal(*wanted.shape)
    dx, dw = minires.grad(
        ops.conv2d(a, b, geometry=ConvGeometry(**options)), (a, b), Tensor(awkward(g))
    )
    for at in list(np.ndindex(x_shape))[:: max(1, x.size // 12)]:
        unit = np.zeros(x_shape)
        unit[at] = 1
        close(dx.numpy()[at], (conv2d_loops(unit, w, **options) * g).sum(), atol=1e-11)
    for at in list(np.ndindex(w_shape))[:: max(1, w.size // 12)]:
        unit = np.zeros(w_shape)
        unit[at] = 1
        close(dw.numpy()[at], (conv2d_loops(x, unit, **options) * g).sum(), atol=1e-11)


def test_convolution_by_hand():
    x = Tensor(np.arange(9.0).reshape(1, 3, 3, 1))
    w = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1))
    # 0*1 + 1*2 + 3*3 + 4*4 = 27: the kernel is not flipped
    close(ops.conv2d(x, w).reshape(2, 2), [[27, 37], [57, 67]])


def test_convolution_in_float32_is_accurate_to_its_rounding():
    x, w = normal(2, 9, 8, 16), normal(3, 3, 16, 8)
    out = ops.conv2d(
        Tensor(x.astype("f4")), Tensor(w.astype("f4")), geometry=ConvGeometry(padding=(1, 1))
    )
    assert out.dtype == np.float32
    close(out, conv2d_loops(x, w, padding=(1, 1)), rtol=0, atol=1e-4)


def test_convolution_of_an_empty_batch():
    x, w = leaf(np.zeros((0, 5, 4, 3))), leaf(normal(3, 2, 3, 4))
    out = ops.conv2d(x, w)
    assert out.shape == (0, 3, 3, 4)
    dx, dw = minires.grad(out, (x, w), Tensor(np.zeros((0, 3, 3, 4))))
    assert dx.shape == (0, 5, 4, 3)
    close(dw, np.zeros((3, 2, 3, 4)))


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "message"),
    [
        ((5, 4, 3), (3, 2, 3, 4), {}, r"images \(N, H, W, C\).*got \(5, 4, 3\)"),
        ((2, 5, 4, 3), (3, 3), {}, r"weights \(KH, KW, C / groups, O\).*\(3, 3\)"),
        ((2, 5, 4, 3), (3, 2, 5, 4), {}, r"\(N, H, W, 5\), got \(2, 5, 4, 3\): 3 channels, not 5"),
        (
            (2, 3, 8, 6),
            (3, 3, 3, 4),
            {},
            r"looks like \(N, C, H, W\).*channels last: x.transpose\(0, 2, 3, 1\)",
        ),
        ((2, 5, 4, 4), (3, 2, 2, 3), {"groups": 2}, "groups=2 must divide both the 4.* and 3"),
        ((2, 5, 4, 3), (3, 2, 3, 4), {"groups": 0}, "groups=0"),
        ((2, 5, 4, 3), (3, 2, 3, 4), {"stride": (0, 1)}, r"stride=\(0, 1\)"),
        ((2, 5, 4, 3), (3, 2, 3, 4), {"padding": (-1, 0)}, r"padding=\(-1, 0\)"),
        ((2, 5, 4, 3), (3, 2, 3, 4), {"dilation": (1, 0)}, r"dilation=\(1, 0\)"),
        ((2, 2, 4, 3), (3, 2, 3, 4), {}, "3x2 kernel.* does not fit into images of 2x4"),
        ((2, 5, 4, 3), (3, 2, 3, 4), {"dilation": (3, 1)}, "does not fit"),
    ],
)
def test_convolution_errors_say_what_was_got_and_wanted(x_shape, w_shape, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        ops.conv2d(
            Tensor(np.zeros(x_shape)), Tensor(np.zeros(w_shape)), geometry=ConvGeometry(**options)
        )
    assert "conv2d" in str(caught.value)


# ---------------------------------------------------------------------- pooling

WINDOWS = [
    {"kernel_size": (2, 2), "stride": (2, 2)},
    {"kernel_size": (3, 2), "stride": (2, 1)},
    {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1)},
    {"kernel_size": (2, 4), "stride": (1, 3), "padding": (1, 2)},
    {"kernel_size": (1, 2), "stride": (3, 2)},
    {"kernel_size": (6, 5), "stride": (1, 1)},
]


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_pooling_takes_the_maximum_and_the_mean_of_each_window(windows):
    x = normal(2, 6, 5, 3)
    loops = (windows["kernel_size"], windows["stride"], windows.get("padding", (0, 0)))
    largest = ops.max_pool2d(Tensor(awkward(x)), **windows)
    close(largest, pool_loops(x, max, *loops))
    mean = ops.avg_pool2d(Tensor(awkward(x)), **windows)
    close(mean, pool_loops(x, lambda v: sum(v) / len(v), *loops, fill=0.0))


def test_padding_never_wins_a_maximum():
    x = Tensor(np.full((1, 3, 3, 1), -5.0))
    out = ops.max_pool2d(x, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    close(out, np.full((1, 3, 3, 1), -5.0))


def test_the_first_maximum_of_a_window_gets_the_gradient_and_overlaps_add():
    x = leaf(np.array([[1.0, 1.0, 0.0], [1.0, 3.0, 3.0], [0.0, 3.0, 0.0]]).reshape(1, 3, 3, 1))
    out = ops.max_pool2d(x, kernel_size=(2, 2), stride=(1, 1))
    close(out.reshape(2, 2), [[3, 3], [3, 3]])
    out.backward(Tensor(np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 2, 2, 1)))
    close(x.grad.reshape(3, 3), [[0, 0, 0], [0, 1111, 0], [0, 0, 0]])
    x = leaf(np.zeros((1, 2, 4, 1)))
    ops.max_pool2d(x, kernel_size=(2, 2), stride=(2, 2)).backward(
        Tensor(np.array([5.0, 7.0]).reshape(1, 1, 2, 1))
    )
    close(x.grad.reshape(2, 4), [[5, 0, 7, 0], [0, 0, 0, 0]])


def test_average_pooling_spreads_the_gradient_evenly():
    x = leaf(np.zeros((1, 3, 3, 1)))
    out = ops.avg_pool2d(x, kernel_size=(2, 2), stride=(1, 1))
    out.backward(Tensor(np.array([4.0, 8.0, 12.0, 16.0]).reshape(1, 2, 2, 1)))
    close(x.grad.reshape(3, 3), [[1, 3, 2], [4, 10, 6], [3, 7, 4]])


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((5, 4, 3), {}, r"images \(N, H, W, C\), got \(5, 4, 3\)"),
        ((1, 5, 4, 3), {"kernel_size": (0, 2)}, r"kernel_size=\(0, 2\)"),
        ((1, 5, 4, 3), {"stride": (0, 2)}, r"stride=\(0, 2\)"),
        ((1, 5, 4, 3), {"padding": (0, -1)}, r"padding=\(0, -1\)"),
        ((1, 5, 4, 3), {"padding": (2, 0)}, r"padding \(2, 0\) is more than half"),
        ((1, 1, 4, 3), {}, r"windows of \(2, 2\) do not fit into images of 1x4"),
    ],
)
def test_pooling_errors_say_what_was_got_and_wanted(name, shape, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        getattr(ops, name)(
            Tensor(np.zeros(shape)), **{"kernel_size": (2, 2), "stride": (2, 2), **options}
        )
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_of_an_empty_batch(name):
    x = leaf(np.zeros((0, 4, 6, 3)))
    out = getattr(ops, name)(x, kernel_size=(2, 3), stride=(2, 3))
    assert out.shape == (0, 2, 2, 3)
    out.backward(Tensor(np.zeros((0, 2, 2, 3))))
    assert x.grad.shape == (0, 4, 6, 3)


# ---------------------------------------------------------------------- batch norm


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 4, 5)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_batch_norm_is_its_definition(shape, eps):
    x = normal(*shape) * 3 + 2
    gamma, beta = positive(shape[-1]), normal(shape[-1])
    out, (mean, var, _) = ops.batch_norm(
        Tensor(awkward(x)), Tensor(gamma), Tensor(beta), eps=eps, with_saved=True
    )
    close(out, batch_norm_loops(x, gamma, beta, eps))
    axes = tuple(range(len(shape) - 1))
    close(mean, x.mean(axis=axes))
    close(var, x.var(axis=axes))


def test_batch_norm_gradients_by_their_definition():
    # d xhat_i / d x_j = ([i = j] - 1/M - xhat_i xhat_j / M) / std, one channel at a time
    x, gamma, beta = normal(2, 3, 2, 4), positive(4), normal(4)
    g = normal(2, 3, 2, 4, seed=5)
    leaves = leaf(x), leaf(gamma), leaf(beta)
    dx, dgamma, dbeta = minires.grad(ops.batch_norm(*leaves, eps=0.1), leaves, Tensor(awkward(g)))
    for c in range(4):
        values, upstream = x[..., c].ravel(), g[..., c].ravel()
        std = np.sqrt(values.var() + 0.1)
        xhat = (values - values.mean()) / std
        jacobian = (np.eye(12) - 1 / 12 - np.outer(xhat, xhat) / 12) / std
        close(dx[..., c].flatten(), gamma[c] * upstream @ jacobian)
        close(dgamma[c], upstream @ xhat)
        close(dbeta[c], upstream.sum())


def test_batch_norm_of_values_far_from_zero_keeps_its_digits():
    x = normal(64, 3, seed=2)
    out = ops.batch_norm(
        Tensor((x + 1000).astype("f4")), Tensor(np.ones(3, "f4")), Tensor(np.zeros(3, "f4"))
    )
    wanted = batch_norm_loops((x + 1000).astype("f4").astype(float), np.ones(3), np.zeros(3))
    close(out, wanted, rtol=0, atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3), (0, 3), (0, 4, 4, 3)])
def test_batch_norm_of_fewer_than_two_values_is_an_error(shape):
    with pytest.raises(ValueError, match=r"more than one value per channel, got [01] from shape"):
        ops.batch_norm(Tensor(np.zeros(shape)), Tensor(np.ones(3)), Tensor(np.zeros(3)))


def test_scale_shift_scales_and_shifts_without_touching_its_input():
    x, scale, shift = normal(2, 3, 4), normal(4), normal(4, seed=1)
    t = Tensor(x.copy())
    close(ops.scale_shift(t, Tensor(scale), Tensor(shift)), x * scale + shift)
    close(t, x)


def test_move_to_where_a_tensor_is_gives_the_tensor():
    t = leaf([1.0])
    assert t.to("cpu") is t
    assert t.cpu() is t
    with pytest.raises(ValueError, match=r'unknown device .gpu.: expected "cpu", "cuda"'):
        t.to("gpu")
