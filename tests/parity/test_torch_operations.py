"""Operations and layers against PyTorch: values and gradients, in float64 and float32."""

import functools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import minires
from minires import Tensor, nn, ops

F = nn.functional
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


def draw(*shape, seed=0, low=None):
    rng = np.random.default_rng([seed, *shape])
    return rng.normal(size=shape) if low is None else rng.uniform(low, low + 2, size=shape)


def images(array):
    """(N, H, W, C) to PyTorch's (N, C, H, W)."""
    return array.transpose(0, 3, 1, 2)


def filters(array):
    """(KH, KW, C, O) to PyTorch's (O, C, KH, KW)."""
    return array.transpose(3, 2, 0, 1)


def same(array):
    return array


def transposed(array):
    return array.T


def compare(ours, theirs, arrays, dtype, layouts=None, out_layout=same):
    """Both functions on the same arrays: the result and every gradient must agree."""
    layouts = layouts or [same] * len(arrays)
    arrays = [a.astype(dtype) for a in arrays]
    tensors = [Tensor(a.copy(), requires_grad=True) for a in arrays]
    torches = [
        torch.tensor(layout(a).copy(), requires_grad=True)
        for a, layout in zip(arrays, layouts, strict=True)
    ]
    out, wanted = ours(*tensors), theirs(*torches)
    near(out_layout(out.numpy()), wanted.detach().numpy(), dtype)
    g = draw(*out.shape, seed=9).astype(dtype)
    out.backward(Tensor(g))
    wanted.backward(torch.tensor(out_layout(g).copy()))
    for t, p, layout in zip(tensors, torches, layouts, strict=True):
        near(layout(t.grad.numpy()), p.grad.numpy(), dtype)


def near(got, wanted, dtype):
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype == np.dtype(dtype)
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale)


x, y = draw(3, 4), draw(3, 4, seed=1)
cube = draw(2, 3, 4)
above = draw(3, 4, low=0.3)

ELEMENTWISE = {
    "add": (lambda a, b: a + b, lambda a, b: a + b, x, draw(4)),
    "subtract": (lambda a, b: a - b, lambda a, b: a - b, x, draw(3, 1)),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b, x, draw(2, 1, 4)),
    "divide": (lambda a, b: a / b, lambda a, b: a / b, x, above),
    "power": (lambda a, b: a**b, lambda a, b: a**b, above, y),
    "square": (lambda a: a**2, lambda a: a**2, x),
    "maximum": (minires.maximum, torch.maximum, x, y),
    "minimum": (minires.minimum, torch.minimum, x, y),
    "where": (
        lambda a, b: minires.where(a > b, a, b * 2),
        lambda a, b: torch.where(a > b, a, b * 2),
        x,
        y,
    ),
    "exp": (minires.exp, torch.exp, x),
    "log": (minires.log, torch.log, above),
    "sqrt": (minires.sqrt, torch.sqrt, above),
    "absolute": (abs, torch.abs, np.array([-1.0, 0.0, 2.0])),
    "clip": (
        lambda a: a.clip(-0.5, 0.5),
        lambda a: a.clamp(-0.5, 0.5),
        np.array([-1.0, -0.5, 0.1, 0.5, 2.0]),
    ),
    "tanh": (F.tanh, torch.tanh, x),
    "sigmoid": (F.sigmoid, torch.sigmoid, x),
    "relu": (F.relu, TF.relu, np.array([-1.0, 0.0, 2.0])),
    "leaky_relu": (
        lambda a: F.leaky_relu(a, 0.2),
        lambda a: TF.leaky_relu(a, 0.2),
        np.array([-1.0, 0.0, 2.0]),
    ),
    "softmax": (lambda a: F.softmax(a, 1), lambda a: TF.softmax(a, 1), cube),
    "log_softmax": (lambda a: F.log_softmax(a, 0), lambda a: TF.log_softmax(a, 0), cube),
    "logsumexp": (lambda a: ops.logsumexp(a, axis=(0, 2)), lambda a: a.logsumexp((0, 2)), cube),
    "sum": (lambda a: a.sum(axis=(0, -1)), lambda a: a.sum((0, -1)), cube),
    "mean": (
        lambda a: a.mean(axis=1, keepdims=True),
        lambda a: a.mean(1, keepdim=True),
        cube,
    ),
    "var": (lambda a: a.var(axis=(1, 2), ddof=1), lambda a: a.var((1, 2)), cube),
    "std": (lambda a: a.std(axis=0), lambda a: a.std(0, unbiased=False), cube),
    "max": (lambda a: a.max(axis=1), lambda a: a.max(1).values, cube),
    "min": (lambda a: a.min(axis=2), lambda a: a.min(2).values, cube),
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, cube, draw(4, 5)),
    "matmul batched": (lambda a, b: a @ b, lambda a, b: a @ b, cube, draw(5, 1, 4, 2)),
    "matmul vector": (lambda a, b: a @ b, lambda a, b: a @ b, draw(4), draw(2, 4, 3)),
    "transpose": (lambda a: a.transpose(2, 0, 1), lambda a: a.permute(2, 0, 1), cube),
    "reshape": (lambda a: a.reshape(4, -1), lambda a: a.reshape(4, -1), cube),
    "flatten": (lambda a: F.flatten(a), lambda a: torch.flatten(a, 1), cube),
    "concatenate": (
        lambda a, b: minires.concatenate([a, b, a], axis=1),
        lambda a, b: torch.cat([a, b, a], 1),
        x,
        draw(3, 2),
    ),
    "stack": (
        lambda a, b: minires.stack([a, b], axis=-1),
        lambda a, b: torch.stack([a, b], -1),
        x,
        y,
    ),
    "pad": (
        lambda a: ops.pad(a, width=((1, 0), (2, 3)), value=2.0),
        lambda a: TF.pad(a, (2, 3, 1, 0), value=2.0),
        x,
    ),
    "slices": (lambda a: a[1:, None, 1:3], lambda a: a[1:, None, 1:3], x),
    "duplicate indices": (
        lambda a: a[np.array([0, 2, 2, 2])],
        lambda a: a[torch.tensor([0, 2, 2, 2])],
        x,
    ),
    "mask": (lambda a: a[a > 0], lambda a: a[a > 0], x),
}


@DTYPES
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_operations(name, dtype):
    ours, theirs, *arrays = ELEMENTWISE[name]
    compare(ours, theirs, arrays, dtype)


CONVOLUTIONS = [
    ((2, 7, 6, 3), (3, 2, 3, 4), {}),
    ((2, 7, 6, 3), (1, 1, 3, 4), {"stride": 2}),
    ((2, 8, 7, 3), (3, 3, 3, 4), {"stride": (3, 2), "padding": (1, 2)}),
    ((2, 9, 8, 3), (3, 2, 3, 4), {"dilation": (2, 3), "padding": 2}),
    ((2, 7, 6, 4), (3, 2, 2, 6), {"groups": 2, "stride": 2, "padding": 1}),
    ((2, 7, 6, 4), (3, 3, 1, 4), {"groups": 4, "padding": 1}),
    ((2, 12, 12, 16), (3, 3, 16, 16), {"padding": 1}),
    ((1, 19, 17, 3), (7, 7, 3, 8), {"stride": 2, "padding": 3}),
]


@DTYPES
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), CONVOLUTIONS)
def test_convolution(x_shape, w_shape, options, dtype):
    compare(
        lambda x, w, b: F.conv2d(x, w, b, **options),
        lambda x, w, b: TF.conv2d(x, w, b, **options),
        [draw(*x_shape), draw(*w_shape) / 4, draw(w_shape[-1])],
        dtype,
        [images, filters, same],
        images,
    )


@DTYPES
def test_linear(dtype):
    compare(F.linear, TF.linear, [draw(5, 3), draw(3, 4), draw(4)], dtype, [same, transposed, same])


@DTYPES
@pytest.mark.parametrize("options", [(2,), (3, 2, 1), ((3, 2), (1, 2), (1, 0))], ids=str)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling(name, options, dtype):
    compare(
        lambda x: getattr(F, name)(x, *options),
        lambda x: getattr(TF, name)(x, *options),
        [draw(2, 7, 6, 3)],
        dtype,
        [images],
        images,
    )


@DTYPES
@pytest.mark.parametrize("seed", range(40))
def test_pooling_rounded_up_and_without_its_padding(seed, dtype):
    """Where PyTorch refuses, so do we."""
    r = random.Random(seed)
    kernel = r.randint(1, 5), r.randint(1, 5)
    windows = {
        "kernel_size": kernel,
        "stride": (r.randint(1, 5), r.randint(1, 5)),
        "padding": tuple(r.randint(0, k // 2) for k in kernel),
        "ceil_mode": r.random() < 0.7,
    }
    x = np.random.default_rng(seed).permutation(2 * 64 * 3).reshape(2, 8, 8, 3) / 100
    x = x[:, : r.randint(1, 8), : r.randint(1, 8)]
    for name, more in (("max_pool2d", {}), ("avg_pool2d", {"count_include_pad": seed % 2 == 0})):
        ours, theirs = (functools.partial(getattr(m, name), **windows, **more) for m in (F, TF))
        try:
            theirs(torch.tensor(images(x)))
        except RuntimeError:
            with pytest.raises(ValueError, match=name):
                ours(Tensor(x))
            continue
        compare(ours, theirs, [x], dtype, [images], images)


def test_ties_in_max_pooling_go_to_the_first():
    ties = np.random.default_rng(0).integers(0, 2, (2, 8, 9, 3)).astype(float)
    compare(
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: TF.max_pool2d(x, 3, 2, 1),
        [ties],
        "float64",
        [images],
        images,
    )


@DTYPES
@pytest.mark.parametrize("size", [1, 2, (3, 2), (5, 4), (9, 8)])
def test_adaptive_average_pooling(size, dtype):
    compare(
        lambda x: F.adaptive_avg_pool2d(x, size),
        lambda x: TF.adaptive_avg_pool2d(x, size),
        [draw(2, 7, 6, 3)],
        dtype,
        [images],
        images,
    )


@DTYPES
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction, smoothing, dtype):
    labels = np.array([2, 0, 1, 1, 2])
    compare(
        lambda x: F.cross_entropy(x, labels, reduction, smoothing),
        lambda x: TF.cross_entropy(
            x, torch.tensor(labels), reduction=reduction, label_smoothing=smoothing
        ),
        [draw(5, 3)],
        dtype,
    )


@DTYPES
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mean_squared_error(reduction, dtype):
    compare(
        lambda a, b: F.mse_loss(a, b, reduction),
        lambda a, b: TF.mse_loss(a, b, reduction=reduction),
        [x, y],
        dtype,
    )


@DTYPES
def test_batch_norm_over_steps_and_in_evaluation(dtype):
    ours = nn.BatchNorm2d(3, momentum=0.2).to(dtype=dtype)
    theirs = torch.nn.BatchNorm2d(3, momentum=0.2).to(getattr(torch, dtype))
    gamma, beta = draw(3, low=0.5).astype(dtype), draw(3).astype(dtype)
    for layer, wrap in ((ours, np.array), (theirs, torch.tensor)):
        layer.weight.data[:] = wrap(gamma)
        layer.bias.data[:] = wrap(beta)
    for step in range(5):
        if step == 4:
            ours.eval()
            theirs.eval()
        compare(ours, theirs, [draw(4, 5, 3, 3, seed=step) * 2 + step], dtype, [images], images)
        near(ours.running_mean.numpy(), theirs.running_mean.numpy(), dtype)
        near(ours.running_var.numpy(), theirs.running_var.numpy(), dtype)
        near(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), dtype)
        near(ours.bias.grad.numpy(), theirs.bias.grad.numpy(), dtype)
    assert ours.num_batches_tracked.item() == theirs.num_batches_tracked.item() == 4


@DTYPES
@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 3)])
def test_batch_norm_1d(shape, dtype):
    ours = nn.BatchNorm1d(3).to(dtype=dtype)
    theirs = torch.nn.BatchNorm1d(3).to(getattr(torch, dtype))
    layout = same if len(shape) == 2 else (lambda a: a.transpose(0, 2, 1))
    compare(ours, theirs, [draw(*shape)], dtype, [layout], layout)


def test_second_derivatives():
    arrays = [draw(2, 5, 4, 2), draw(3, 2, 2, 3), draw(3, low=0.5), draw(3)]
    layouts = [images, filters, same, same]

    def ours(x, w, g, b):
        h = F.batch_norm(F.conv2d(x, w, padding=1), None, None, g, b, training=True)
        return F.max_pool2d(F.tanh(h), 2)

    def theirs(x, w, g, b):
        h = TF.batch_norm(TF.conv2d(x, w, padding=1), None, None, g, b, training=True)
        return TF.max_pool2d(torch.tanh(h), 2)

    a = [Tensor(v, requires_grad=True) for v in arrays]
    t = [
        torch.tensor(layout(v).copy(), requires_grad=True)
        for v, layout in zip(arrays, layouts, strict=True)
    ]
    first = minires.grad((ours(*a) ** 2).sum(), a, create_graph=True)
    wanted = torch.autograd.grad((theirs(*t) ** 2).sum(), t, create_graph=True)
    second = minires.grad(sum((g**3).sum() for g in first), a)
    wanted_second = torch.autograd.grad(sum((g**3).sum() for g in wanted), t)
    for got, want, layout in zip(second, wanted_second, layouts, strict=True):
        scale = want.abs().max().item()
        np.testing.assert_allclose(layout(got.numpy()), want.numpy(), atol=1e-9 * scale)


def test_layers_show_themselves_as_pytorchs_do():
    assert repr(nn.Linear(3, 4)) == repr(torch.nn.Linear(3, 4))
    assert repr(nn.Conv2d(3, 4, 3, 2, 1)) == repr(torch.nn.Conv2d(3, 4, 3, 2, 1))
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(2, 3, bias=False)))
    twin = torch.nn.Sequential(
        torch.nn.ReLU(), torch.nn.Sequential(torch.nn.Linear(2, 3, bias=False))
    )
    assert repr(net) == repr(twin)
