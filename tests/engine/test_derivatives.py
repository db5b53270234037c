"""Every operation's first, second and (for some) third derivative against finite differences."""

import numpy as np
import pytest
from helpers import along, check_gradients, normal, positive

from minires import engine, ops
from minires.kernels import ConvGeometry
from minires.ops import comparison

x34, y34 = normal(3, 4), normal(3, 4, seed=1)
picture = normal(2, 5, 4, 3)
WALK = {
    "stride": (2, 1),
    "padding": (1, 0),
    "dilation": (1, 2),
}  # 5 + 2 - 3 leaves a remainder of 1
MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]])
ROWS = np.array([2, 0, 2, 2])
PAIRS = (np.array([[0, 1], [1, 1]]), np.array([[3, 0], [0, 0]]))
BEST = np.array([[3], [0], [2]])
TARGET = np.array([[0.1, 0.6, 0.3, 0.0], [0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
POOL = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}

CASES = {
    "absolute": (ops.absolute, x34),
    "add": (ops.add, x34, y34),
    "add broadcast": (ops.add, normal(3, 1, 4), normal(5, 1, seed=1)),
    "add 0-d": (ops.add, normal(3, 4), normal()),
    "astype": (lambda x: ops.astype(x, dtype=np.float64), x34),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, **POOL), picture),
    "batch_norm": (ops.batch_norm, normal(2, 3, 2, 3), positive(3), normal(3)),
    "batch_norm eps": (
        lambda x, g, b: ops.batch_norm(x, g, b, eps=0.5),
        normal(5, 2),
        normal(2),
        normal(2, seed=1),
    ),
    "broadcast_to": (lambda x: ops.broadcast_to(x, shape=(2, 3, 4)), normal(3, 1)),
    "clip": (lambda x: ops.clip(x, low=-0.5, high=0.7), x34),
    "clip low": (lambda x: ops.clip(x, low=0.1), x34),
    "clip high": (lambda x: ops.clip(x, high=0.1), x34),
    "concatenate": (
        lambda x, y, z: ops.concatenate([x, y, z], axis=-1),
        x34,
        normal(3, 1),
        normal(3, 2),
    ),
    "concatenate axis 0": (lambda x, y: ops.concatenate([x, y]), x34, normal(2, 4)),
    "concatenate one tensor twice": (lambda x: ops.concatenate([x, x * x], axis=1), x34),
    "conv2d": (
        lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry(**WALK)),
        picture,
        normal(3, 2, 3, 4),
    ),
    "conv2d plain": (ops.conv2d, normal(2, 4, 3, 2), normal(2, 3, 2, 3)),
    "conv2d 1x1": (ops.conv2d, normal(2, 3, 4, 3), normal(1, 1, 3, 2)),
    "conv2d groups": (
        lambda x, w: ops.conv2d(
            x, w, geometry=ConvGeometry(stride=(1, 2), padding=(0, 1), groups=2)
        ),
        normal(2, 3, 4, 4),
        normal(2, 3, 2, 6),
    ),
    "conv2d depthwise": (
        lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry(padding=(1, 1), groups=3)),
        normal(1, 4, 3, 3),
        normal(3, 2, 1, 3),
    ),
    "conv2d_dx": (
        lambda g, w: ops.conv2d_dx(g, w, input_size=(5, 4), geometry=ConvGeometry(**WALK)),
        normal(2, 3, 2, 4),
        normal(3, 2, 3, 4),
    ),
    "conv2d_dw": (
        lambda x, g: ops.conv2d_dw(x, g, kernel_size=(3, 2), geometry=ConvGeometry(**WALK)),
        picture,
        normal(2, 3, 2, 4),
    ),
    "binary_cross_entropy": (
        lambda x: ops.binary_cross_entropy(x, target=TARGET),
        1 / (1 + np.exp(-x34)),
    ),
    "cross_entropy": (lambda x: ops.cross_entropy(x, target=TARGET), x34),
    "divide": (ops.divide, x34, positive(3, 4)),
    "divide broadcast": (ops.divide, normal(4), positive(2, 3, 1)),
    "divide by itself shifted": (lambda x: x / (x * x + 1), x34),
    "exp": (ops.exp, x34),
    "flatten": (lambda x: ops.flatten(x, start_axis=1), normal(2, 3, 4)),
    "getitem slice": (lambda x: x[1:, ::-2], x34),
    "getitem integer": (lambda x: x[-1], x34),
    "getitem None": (lambda x: x[:, None, 2], x34),
    "getitem ellipsis": (lambda x: x[..., 1:3], normal(2, 3, 4)),
    "getitem duplicates": (lambda x: x[ROWS], x34),
    "getitem pairs": (lambda x: x[PAIRS], x34),
    "getitem mask": (lambda x: x[MASK], x34),
    "getitem mixed": (lambda x: x[1:, ROWS], normal(3, 4)),
    "leaky_relu": (lambda x: ops.leaky_relu(x, negative_slope=0.3), x34),
    "log": (ops.log, positive(3, 4)),
    "log_softmax": (ops.log_softmax, x34),
    "log_softmax axis": (lambda x: ops.log_softmax(x, axis=0), normal(4, 2, 3)),
    "logsumexp": (ops.logsumexp, x34),
    "logsumexp axes": (
        lambda x: ops.logsumexp(x, axis=(0, -1), keepdims=True),
        normal(2, 3, 4),
    ),
    "matmul": (ops.matmul, x34, normal(4, 2)),
    "matmul vector vector": (ops.matmul, normal(4), normal(4, seed=1)),
    "matmul vector matrix": (ops.matmul, normal(4), normal(4, 3)),
    "matmul matrix vector": (ops.matmul, x34, normal(4)),
    "matmul vector batch": (ops.matmul, normal(4), normal(2, 4, 3)),
    "matmul batch vector": (ops.matmul, normal(2, 3, 4), normal(4)),
    "matmul batch matrix": (ops.matmul, normal(2, 3, 4), normal(4, 5)),
    "matmul matrix batch": (ops.matmul, x34, normal(2, 4, 5)),
    "matmul batch batch": (ops.matmul, normal(2, 3, 4), normal(2, 4, 5)),
    "matmul stretched batches": (ops.matmul, normal(2, 1, 3, 4), normal(3, 4, 2)),
    "matmul with itself": (lambda x: x @ x, normal(3, 3)),
    "max": (ops.max, x34),
    "max axis": (lambda x: ops.max(x, axis=-2), normal(2, 3, 4)),
    "max axes": (lambda x: ops.max(x, axis=(2, 0), keepdims=True), normal(2, 3, 4)),
    "max_pool2d": (lambda x: ops.max_pool2d(x, **POOL), picture),
    "max_pool2d overlapping": (
        lambda x: ops.max_pool2d(x, kernel_size=(2, 3), stride=(1, 1)),
        normal(1, 4, 5, 2),
    ),
    "maximum": (ops.maximum, x34, normal(4, seed=1)),
    "mean": (ops.mean, x34),
    "mean axes": (lambda x: ops.mean(x, axis=(0, -1)), normal(2, 3, 4)),
    "mean keepdims": (lambda x: ops.mean(x, axis=1, keepdims=True), normal(2, 3, 4)),
    "min": (ops.min, x34),
    "min axis": (lambda x: ops.min(x, axis=1, keepdims=True), normal(2, 3, 4)),
    "minimum": (ops.minimum, x34, normal(4, seed=1)),
    "move": (lambda x: ops.move(x, device="cpu", source="cpu"), x34),
    "multiply": (ops.multiply, x34, y34),
    "multiply broadcast": (ops.multiply, normal(3, 1, 4), normal(5, 1, seed=1)),
    "multiply by itself": (lambda x: x * x, x34),
    "negative": (ops.negative, x34),
    "pad": (lambda x: ops.pad(x, width=((1, 0), (2, 3)), value=1.5), x34),
    "power": (ops.power, positive(3, 4), y34),
    "power broadcast": (ops.power, positive(4), normal(3, 1)),
    "power square": (lambda x: x**2, x34),
    "power cube": (lambda x: x**3, x34),
    "power negative": (lambda x: x**-1.5, positive(3, 4)),
    "power reflected": (lambda x: 2.5**x, x34),
    "put_along": (lambda x: ops.put_along(x, indices=BEST, axis=1, size=4), normal(3, 1)),
    "relu": (ops.relu, x34),
    "reshape": (lambda x: ops.reshape(x, shape=(2, -1)), x34),
    "scale_shift": (ops.scale_shift, normal(2, 3, 4), normal(4), normal(4, seed=1)),
    "scatter": (lambda x: ops.scatter(x, key=ROWS, shape=(3, 2)), normal(4, 2)),
    "erf": (ops.erf, x34),
    "sigmoid": (ops.sigmoid, x34),
    "sign": (lambda x: ops.sign(x) * x, x34),
    "softmax": (ops.softmax, x34),
    "softmax axis": (lambda x: ops.softmax(x, axis=1), normal(2, 4, 3)),
    "sqrt": (ops.sqrt, positive(3, 4)),
    "stack": (lambda x, y: ops.stack([x, y], axis=1), x34, y34),
    "stack last": (lambda x, y: ops.stack([x, y], axis=-1), x34, y34),
    "subtract": (ops.subtract, x34, y34),
    "subtract broadcast": (ops.subtract, normal(4), normal(2, 3, 1)),
    "sum": (ops.sum, x34),
    "sum axes": (lambda x: ops.sum(x, axis=(-1, 0)), normal(2, 3, 4)),
    "sum keepdims": (lambda x: ops.sum(x, axis=1, keepdims=True), normal(2, 3, 4)),
    "take": (lambda x: ops.take(x, key=(slice(None), 1)), x34),
    "take_along": (lambda x: ops.take_along(x, indices=BEST, axis=-1), x34),
    "tanh": (ops.tanh, x34),
    "transpose": (ops.transpose, normal(2, 3, 4)),
    "transpose axes": (lambda x: ops.transpose(x, axes=(2, 0, -2)), normal(2, 3, 4)),
    "var": (ops.var, x34),
    "var ddof": (lambda x: ops.var(x, axis=(0, 2), ddof=1), normal(2, 3, 4)),
    "var keepdims": (lambda x: ops.var(x, axis=-1, ddof=2, keepdims=True), normal(3, 5)),
    "std": (lambda x: x.std(axis=0, ddof=1), normal(4, 3)),
    "where": (lambda x, y: ops.where(MASK, x, y), x34, y34),
    "where broadcast": (lambda x, y: ops.where(MASK, x, y), normal(4), normal(3, 1)),
}


def test_no_operation_is_left_out():
    without = {o.name for o in vars(comparison).values() if isinstance(o, engine.Op)}
    assert {name.split(" ")[0] for name in CASES} >= set(ops.__all__) - without


def test_every_operation_has_a_rule():
    lacking = [
        name
        for name, operation in engine.registry.items()
        if name.startswith("minires.") and operation.rule is None and ".comparison." not in name
    ]
    assert lacking == []


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives(name):
    f, *arrays = CASES[name]
    # powers and roots are one operation of several steps: all are differentiated at once
    check_gradients(f, *arrays)


def tanh_of_convolution(x, w):
    return ops.tanh(ops.conv2d(x, w, geometry=ConvGeometry(stride=(2, 1), padding=(1, 0))))


THIRD = {
    "exp": (ops.exp, normal(3, 2)),
    "log": (ops.log, positive(3, 2)),
    "tanh": (ops.tanh, normal(3, 2)),
    "sigmoid": (ops.sigmoid, normal(3, 2)),
    "sqrt": (ops.sqrt, positive(3, 2)),
    "power": (ops.power, positive(3, 2), normal(3, 2)),
    "cube": (lambda x: x**3, normal(3, 2)),
    "divide": (ops.divide, normal(3, 2), positive(3, 2)),
    "product of three": (lambda x, y: x * y * x, normal(3, 2), normal(2)),
    "softmax": (ops.softmax, normal(2, 3)),
    "logsumexp": (ops.logsumexp, normal(2, 3)),
    "cross_entropy": (lambda x: ops.cross_entropy(x, target=TARGET[:2]), normal(2, 4)),
    "std": (lambda x: x.std(axis=0), normal(4, 2)),
    "batch_norm": (ops.batch_norm, normal(4, 2), positive(2), normal(2)),
    "batch_norm between curves": (
        lambda x, g, b: ops.tanh(ops.batch_norm(x * x, g, b)),
        normal(4, 2),
        positive(2),
        normal(2),
    ),
    "conv2d": (tanh_of_convolution, normal(1, 4, 3, 2), normal(2, 3, 2, 2)),
    "max_pool2d": (
        lambda x: ops.max_pool2d(x, kernel_size=(2, 2), stride=(1, 2)) ** 3,
        normal(1, 3, 4, 2),
    ),
    "avg_pool2d": (
        lambda x: ops.avg_pool2d(x, kernel_size=(2, 2), stride=(1, 2)) ** 3,
        normal(1, 3, 4, 2),
    ),
    "matmul": (lambda x, y: ops.tanh(x @ y), normal(2, 3), normal(3, 2)),
    "concatenate": (lambda x, y: ops.concatenate([x, x * y]) ** 3, normal(2, 2), normal(2)),
    "var": (lambda x: x.var(axis=0) ** 2, normal(4, 2)),
}


@pytest.mark.parametrize("name", THIRD)
def test_third_derivative(name):
    f, *arrays = THIRD[name]
    check_gradients(along(f, *arrays), *arrays)
