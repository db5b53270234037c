"""One or more examples of every operation, for comparing one device with another.

Sizes are all different, strides leave a remainder, and nothing lies at a kink. The shapes are few:
each number of axes and each dtype means more kernels to compile.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minires import kernels, ops
from minires.backend import device_of, to_device
from minires.engine import raw
from minires.kernels import ConvGeometry
from minires.ops import activation, pooling
from minires.ops.batch_norm import _batch_inv_std, _batch_mean, _gradient_sums, _input_gradient


class Case(NamedTuple):
    """A function of Tensors, and the arrays to call it with.

    Attributes
    ----------
    operation : str
        As in `minires.engine.registry`, without "minires.ops.".
    function : callable
    arrays : list of array
    differentiable : bool
        Whether there is anything to differentiate.
    second : bool
        Whether to differentiate twice.
    """

    operation: str
    function: Callable[..., Any]
    arrays: Sequence[np.ndarray]
    differentiable: bool = True
    second: bool = False


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Random numbers, the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    """Random numbers between 0.5 and 1.5."""
    return np.random.default_rng([7, *shape]).uniform(0.5, 1.5, size=shape)


def beside(values: Any, tensor: Any) -> Any:
    """A constant array on the device where `tensor` is."""
    return to_device(np.asarray(values), device_of(raw(tensor)))


X, Y = normal(3, 4), normal(3, 4, seed=1)
IMAGES = normal(2, 7, 6, 4)
WINDOWS = {"kernel_size": (3, 2), "stride": (2, 2), "padding": (1, 0)}
GRADIENT = normal(2, 4, 3, 4, seed=2)  # of WINDOWS over IMAGES
PLACES = kernels.max_pool_places(IMAGES, kernels.max_pool(IMAGES, **WINDOWS), **WINDOWS)
WALK = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 1}
WEIGHTS = normal(3, 2, 4, 5)
CONVOLVED = normal(2, 4, 4, 5)  # the shape of IMAGES with WEIGHTS along WALK
GROUPED = {**WALK, "groups": 2}
INDICES = np.array([[1], [3], [0]])
ROWS = np.array([2, 0, 2])


def _mean_of(x: Any) -> Any:
    return _batch_mean(x, known=raw(x).mean(axis=(0, 1, 2)))


def _inv_std_of(x: Any) -> Any:
    return _batch_inv_std(x, known=raw(x).var(axis=(0, 1, 2)) ** -0.5)


STATISTICS = [normal(4, seed=4), positive(4)]

CASES = [
    Case("arithmetic.add", ops.add, [X, Y]),
    Case("arithmetic.add", ops.add, [X, normal(4)]),
    Case("arithmetic.subtract", ops.subtract, [X, Y]),
    Case("arithmetic.multiply", ops.multiply, [X, Y], second=True),
    Case("arithmetic.divide", ops.divide, [X, positive(3, 4)], second=True),
    Case("arithmetic.negative", ops.negative, [X]),
    Case("arithmetic.power", ops.power, [positive(3, 4), Y], second=True),
    Case("arithmetic.power", lambda x: x**3, [X], second=True),
    Case("arithmetic.maximum", ops.maximum, [X, Y]),
    Case("arithmetic.minimum", ops.minimum, [X, Y]),
    Case("arithmetic.where", lambda x, y: ops.where(raw(x) > 0, x, y), [X, Y]),
    Case("arithmetic.exp", ops.exp, [X], second=True),
    Case("arithmetic.erf", ops.erf, [X], second=True),
    Case("arithmetic.log", ops.log, [positive(3, 4)], second=True),
    Case("arithmetic.sqrt", ops.sqrt, [positive(3, 4)], second=True),
    Case("arithmetic.absolute", ops.absolute, [X]),
    Case("arithmetic.sign", ops.sign, [X], differentiable=False),
    Case("arithmetic.clip", lambda x: ops.clip(x, low=-0.5, high=0.7), [X]),
    Case("arithmetic.astype", lambda x: ops.astype(x, dtype=np.dtype("float32")), [X]),
    Case("activation.relu", ops.relu, [X]),
    Case("activation.leaky_relu", ops.leaky_relu, [X]),
    Case("activation.sigmoid", ops.sigmoid, [X], second=True),
    Case("activation.tanh", ops.tanh, [X], second=True),
    Case("activation.softmax", ops.softmax, [X], second=True),
    Case("activation.log_softmax", lambda x: ops.log_softmax(x, axis=0), [X], second=True),
    Case(
        "convolution.conv2d",
        lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry(**WALK)),
        [IMAGES, WEIGHTS],
    ),
    Case(
        "convolution.conv2d",
        lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry(**GROUPED)),
        [IMAGES, normal(3, 2, 2, 6)],
        second=True,
    ),
    Case(
        "convolution.conv2d_dx",
        lambda g, w: ops.conv2d_dx(g, w, input_size=(7, 6), geometry=ConvGeometry(**WALK)),
        [CONVOLVED, WEIGHTS],
    ),
    Case(
        "convolution.conv2d_dw",
        lambda x, g: ops.conv2d_dw(x, g, kernel_size=(3, 2), geometry=ConvGeometry(**WALK)),
        [IMAGES, CONVOLVED],
    ),
    Case(
        "loss.binary_cross_entropy",
        lambda x: ops.binary_cross_entropy(x, target=beside(np.full((3, 4), 0.25), x)),
        [1 / (1 + np.exp(X))],
        second=True,
    ),
    Case(
        "loss.cross_entropy",
        lambda x: ops.cross_entropy(x, target=beside(np.eye(4)[[1, 3, 0]], x)),
        [X],
        second=True,
    ),
    Case("matmul.matmul", ops.matmul, [X, normal(4, 5)], second=True),
    Case("matmul.matmul", ops.matmul, [normal(2, 3, 4), normal(4, 5)]),
    Case("matmul.matmul", ops.matmul, [normal(2, 3, 4), normal(2, 4, 5)]),
    Case("matmul.matmul", ops.matmul, [X, normal(4)]),
    Case("shape.reshape", lambda x: ops.reshape(x, shape=(2, -1)), [X]),
    Case("shape.transpose", lambda x: ops.transpose(x, axes=(1, 0)), [X]),
    Case("shape.pad", lambda x: ops.pad(x, width=((1, 0), (2, 1)), value=-1.0), [X]),
    Case("shape._concatenate", lambda *xs: ops.concatenate(xs, axis=1), [X, normal(3, 2)]),
    Case("shape._concatenate", lambda *xs: ops.stack(xs, axis=1), [X, Y]),
    Case("shape.take", lambda x: x[1:, ::-2], [X]),
    Case("shape.take", lambda x: x[0, -1], [X]),
    Case("shape.take", lambda x: x[beside(ROWS, x)], [X]),
    Case("shape.take", lambda x: x[beside(ROWS, x), beside([3, 0, 3], x)], [X]),
    Case("shape.take", lambda x: x[raw(x) > 0], [X]),
    Case("shape.take", lambda x: x[[2, 0]], [X]),
    Case("shape.scatter", lambda x: ops.scatter(x, key=beside(ROWS, x), shape=(5, 4)), [X]),
    Case(
        "shape.scatter",
        lambda x: ops.scatter(x, key=(slice(1, 4), slice(None)), shape=(5, 4)),
        [X],
    ),
    Case("shape.move", lambda x: x.to("cpu").to(device_of(raw(x))), [X]),
    Case("batch_norm.batch_norm", ops.batch_norm, [IMAGES, *STATISTICS], second=True),
    Case("batch_norm._batch_mean", _mean_of, [IMAGES]),
    Case("batch_norm._batch_inv_std", _inv_std_of, [IMAGES]),
    Case(
        "batch_norm._gradient_sums",
        _gradient_sums,
        [normal(2, 7, 6, 4, seed=5), IMAGES, *STATISTICS],
    ),
    Case(
        "batch_norm._input_gradient",
        _input_gradient,
        [normal(2, 7, 6, 4, seed=5), IMAGES, positive(4), normal(2, 4), *STATISTICS],
    ),
    Case(
        "activation.relu_gradient",
        activation.relu_gradient,
        [normal(2, 7, 6, 4, seed=5), IMAGES],
    ),
    Case("batch_norm.scale_shift", ops.scale_shift, [IMAGES, *STATISTICS]),
    Case("pooling.max_pool2d", lambda x: ops.max_pool2d(x, **WINDOWS), [IMAGES]),
    Case(
        "pooling.max_pool2d_scatter",
        lambda g: pooling.max_pool2d_scatter(
            g, indices=beside(PLACES, g), input_size=(7, 6), **WINDOWS
        ),
        [GRADIENT],
    ),
    Case(
        "pooling.max_pool2d_gather",
        lambda x: pooling.max_pool2d_gather(x, indices=beside(PLACES, x), **WINDOWS),
        [IMAGES],
    ),
    Case("pooling.avg_pool2d", lambda x: ops.avg_pool2d(x, **WINDOWS), [IMAGES]),
    Case(
        "pooling.avg_pool2d_dx",
        lambda g: pooling.avg_pool2d_dx(g, input_size=(7, 6), **WINDOWS),
        [GRADIENT],
    ),
    Case("reduction.broadcast_to", lambda x: ops.broadcast_to(x, shape=(2, 3, 4)), [normal(3, 1)]),
    Case("reduction.sum", lambda x: ops.sum(x, axis=0), [X]),
    Case("reduction.sum", ops.sum, [X]),
    Case("reduction.mean", lambda x: ops.mean(x, axis=(1, 2)), [IMAGES]),
    Case("reduction.var", lambda x: ops.var(x, axis=0, ddof=1), [X], second=True),
    Case("reduction.std", lambda x: ops.std(x, axis=0, ddof=1), [X], second=True),
    Case("reduction.logsumexp", lambda x: ops.logsumexp(x, axis=1), [X], second=True),
    Case(
        "reduction.take_along",
        lambda x: ops.take_along(x, indices=beside(INDICES, x), axis=1),
        [X],
    ),
    Case("reduction.take_along", lambda x: ops.max(x, axis=0), [X]),
    Case("reduction.take_along", ops.min, [X]),
    Case(
        "reduction.put_along",
        lambda x: ops.put_along(x, indices=beside(INDICES, x), axis=1, size=4),
        [normal(3, 1)],
    ),
]


def cotangent(array: np.ndarray, seed: int = 99) -> np.ndarray:
    """A random upstream gradient, of the array's shape and dtype."""
    return normal(*array.shape, seed=seed).astype(array.dtype)


def names() -> list[str]:
    """For each case a name of its own."""
    operations = [case.operation for case in CASES]
    return [
        f"{name}-{operations[:i].count(name) + 1}" if operations.count(name) > 1 else name
        for i, name in enumerate(operations)
    ]
