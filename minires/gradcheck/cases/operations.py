"""The operations' cases: the public ones, those inside their gradients, and compositions.

Keys are names as in `minires.ops`, or in the engine's registry. Lengths of axes differ, since equal
ones hide an exchange; strides leave a remainder; gamma is not 1 and beta not 0.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np  # indices and masks

from minires import kernels, ops
from minires.engine import raw
from minires.gradcheck.cases.case import (
    Case,
    HostArray,
    apart,
    case,
    chance,
    nonzero,
    normal,
    positive,
)
from minires.kernels import ConvGeometry
from minires.kernels.convolution.choose import ALGORITHMS
from minires.ops import activation, pooling, shape
from minires.ops.batch_norm import _batch_inv_std, _batch_mean, _gradient_sums, _input_gradient

Options = dict[str, Any]

MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]])
ROWS = np.array([2, 0, 2, 2])
PAIRS = (np.array([[0, 1], [1, 1]]), np.array([[3, 0], [0, 0]]))
BEST = np.array([[3], [0], [2]])
SMOOTHED = np.array([[0.1, 0.6, 0.3, 0.0], [0.0, 0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25]])

# kernels that do not divide the images, strides that leave a remainder, one of everything
WALK: Options = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
GROUPED: Options = {"stride": (1, 2), "padding": (0, 1), "groups": 2}
GAPS: Options = {"stride": (3, 2)}  # rows and columns that no filter sees
SAME: Options = {"padding": (1, 1)}
OVERLAPPING: Options = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}
TILES: Options = {"kernel_size": (2, 3), "stride": (2, 3), "padding": (0, 0)}
SPARSE: Options = {"kernel_size": (1, 2), "stride": (2, 3), "padding": (0, 1)}

x34, y34 = normal(3, 4), normal(3, 4, seed=1)
picture = normal(2, 6, 5, 3)
mosaic = apart(2, 6, 5, 3)
shut = normal(0, 3, 4)


def between(*lengths: int, seed: int = 0) -> HostArray:
    """Values that lie half-way between those of `apart`."""
    return np.asarray(apart(*lengths, seed=seed) + 0.05)


def unary(function: Any, draw: Any = normal, **options: Any) -> list[Case]:
    """Several ranks for a function of one array, element by element."""
    return [case(function, draw(*s), **options) for s in ((3, 4), (2, 1, 5), (6,), (), (0, 3))]


def binary(function: Any, left: Any = normal, right: Any = normal) -> list[Case]:
    """Equal shapes and pairs that broadcast: on the left, on the right, both, with a number."""
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((3, 4), (3, 4)),
        ((3, 1, 4), (5, 1)),
        ((4,), (2, 3, 1)),
        ((2, 3), ()),
        ((1, 3), (2, 1)),
        ((0, 3), (3,)),
    ]
    return [case(function, left(*a), right(*b, seed=1)) for a, b in pairs]


def forced(function: Any, algorithm: str, *inputs: Any, **options: Any) -> Case:
    """A convolution computed by a certain algorithm."""

    def convolve(*arrays: Any, **keywords: Any) -> Any:
        with kernels.use_algorithm(algorithm):
            return function(*arrays, **keywords)

    convolve.__name__ = f"{function.__name__} by {algorithm}"
    return case(convolve, *inputs, order=1, **options)  # order 2 does not depend on it


def able(x_shape: Any, w_shape: Any, geometry: ConvGeometry) -> list[str]:
    """The algorithms that can do a convolution."""
    names = []
    for name in ALGORITHMS:
        with kernels.use_algorithm(name), suppress(ValueError):
            kernels.explain(x_shape, w_shape, geometry=geometry)
            names.append(name)
    return names


def convolutions(function: Any) -> list[Case]:
    """The cases of `conv2d`, or of one of its adjoints at the same sizes.

    The three are each other's derivatives: the adjoints' own second derivatives are `conv2d`'s, so
    that a few cases suffice for them.
    """
    cases = []
    sizes: list[tuple[tuple[int, ...], tuple[int, ...], Options]] = [
        ((2, 4, 3, 1), (2, 1, 1, 3), {}),
        ((1, 5, 4, 2), (3, 2, 2, 3), WALK),
        ((2, 4, 5, 1), (3, 2, 1, 2), SAME),
        ((1, 3, 5, 4), (2, 3, 2, 2), GROUPED),
        ((1, 4, 3, 2), (3, 2, 1, 2), SAME | {"groups": 2}),
        ((1, 5, 6, 2), (2, 1, 2, 3), GAPS),
        ((1, 3, 4, 3), (1, 1, 3, 2), {}),
        ((1, 5, 4, 2), (1, 1, 2, 3), {"stride": (2, 3)}),
        ((1, 5, 6, 2), (3, 3, 2, 1), SAME),
        ((1, 7, 4, 2), (3, 2, 2, 1), {"dilation": (2, 3)}),
        ((0, 4, 3, 2), (3, 2, 2, 3), {}),
    ]
    for x_shape, w_shape, options in sizes:
        x, w = normal(*x_shape), normal(*w_shape)
        geometry = ConvGeometry(**options)
        out: Any = ops.conv2d(x, w, geometry=geometry)
        dy = normal(*out.shape)
        extra: Options = {}
        inputs = (x, w)
        if function is ops.conv2d_dx:
            inputs, extra = (dy, w), {"input_size": x.shape[1:3]}
        elif function is ops.conv2d_dw:
            inputs, extra = (x, dy), {"kernel_size": w.shape[:2]}
        order = 2 if function is ops.conv2d or options in (WALK, GROUPED) else 1
        cases.append(case(function, *inputs, order=order, **extra, geometry=geometry))
        for algorithm in able(x_shape, w_shape, geometry):
            cases.append(forced(function, algorithm, *inputs, **extra, geometry=geometry))
    return cases


def reductions(function: Any, draw: Any = normal, **options: Any) -> list[Case]:
    """Over all axes, one, several in any order, with and without keeping them."""
    return [
        case(function, draw(3, 4), **options),
        case(function, draw(2, 3, 4), axis=1, **options),
        case(function, draw(2, 3, 4), axis=(-1, 0), **options),
        case(function, draw(2, 3, 4), axis=-2, keepdims=True, **options),
        case(function, draw(3, 2, 5), axis=(2, 0), keepdims=True, **options),
        case(function, draw(3, 1, 2), axis=0, **options),
        case(function, draw(0, 3), axis=1, **options),
    ]


def along_axes(function: Any) -> list[Case]:
    """Functions along one axis, the last by default."""
    return [
        case(function, x34),
        case(function, normal(4, 2, 3), axis=0),
        case(function, normal(2, 5, 3), axis=1),
        case(function, 4 * normal(2, 3, seed=2)),
        case(function, normal(3, 1)),
        case(function, normal(0, 4)),
    ]


def pooled(function: Any, draw: Any = normal) -> list[Case]:
    """Windows that overlap, tile, leave a remainder, and leave gaps."""
    return [
        case(function, draw(1, 5, 4, 2), **OVERLAPPING),
        case(function, draw(2, 5, 7, 3), **TILES),
        case(function, draw(2, 5, 6, 3), **SPARSE),
        case(function, draw(1, 4, 5, 2), kernel_size=(2, 3), stride=(1, 1), padding=(0, 0)),
        case(function, draw(0, 4, 5, 2), **TILES),
    ]


SMALL = (2, 3, 2, 3)


def normalised(function: Any) -> list[Case]:
    """Of an array, a scale and a shift, by the statistics of the batch."""
    return [
        case(function, normal(*SMALL), positive(3), normal(3)),
        case(function, normal(5, 2) + 12, normal(2), normal(2, seed=1), eps=0.5),
        case(function, 1e-3 * normal(4, 3), positive(3), normal(3)),  # eps matters
        case(function, normal(2, 4, 3), normal(3, seed=2), normal(3)),
        case(function, normal(3, 2, 2, 1), positive(1), normal(1)),
    ]


def scaled(function: Any) -> list[Case]:
    """Of an array, and a scale and a shift that are given."""
    return [
        case(function, normal(2, 3, 4), normal(4), normal(4, seed=1)),
        case(function, normal(5, 2), normal(2), normal(2, seed=1)),
        case(function, normal(*SMALL), positive(3), normal(3)),
        case(function, normal(0, 3), normal(3), normal(3, seed=1)),
        case(function, normal(3, 1, 1), normal(1), normal(1, seed=1)),
    ]


def _places(x: Any, **windows: Any) -> Any:
    return kernels.max_pool_places(x, kernels.max_pool(x, **windows), **windows)


def _mean_of(x: Any) -> Any:
    """`_batch_mean` is told the mean, and differentiates as if it had computed it."""
    return _batch_mean(x, known=kernels.moments(raw(x))[0])


def _inv_std_of(x: Any, *, eps: float) -> Any:
    return _batch_inv_std(x, known=kernels.statistics(raw(x), eps)[2])


def _sums_of(dy: Any, x: Any, mean: Any, inv_std: Any) -> Any:
    return _gradient_sums(dy, x, mean, inv_std)


OPERATIONS: dict[str, list[Case]] = {
    "absolute": unary(ops.absolute, nonzero),
    "add": binary(ops.add),
    "astype": unary(ops.astype, dtype=np.float64),
    "avg_pool2d": pooled(ops.avg_pool2d),
    "avg_pool2d_dx": [
        case(pooling.avg_pool2d_dx, normal(1, 3, 3, 2), input_size=(5, 4), **OVERLAPPING),
        case(pooling.avg_pool2d_dx, normal(2, 2, 2, 3), input_size=(5, 7), **TILES),
        case(pooling.avg_pool2d_dx, normal(2, 3, 3, 1), input_size=(5, 6), **SPARSE),
        case(pooling.avg_pool2d_dx, normal(0, 2, 2, 3), input_size=(5, 7), **TILES),
    ],
    "batch_norm": normalised(ops.batch_norm),
    "_batch_mean": [case(_mean_of, normal(*s)) for s in (SMALL, (5, 2), (4, 3, 1))],
    "_batch_inv_std": [
        case(_inv_std_of, normal(*SMALL), eps=1e-5),
        case(_inv_std_of, normal(5, 2), eps=0.5),
        case(_inv_std_of, normal(4, 1, 2), eps=1e-3),
    ],
    "_gradient_sums": [
        case(_sums_of, normal(*s), normal(*s, seed=1), normal(s[-1]), positive(s[-1]))
        for s in (SMALL, (5, 2), (3, 1, 2))
    ],
    "_input_gradient": [
        case(
            _input_gradient,
            normal(*s),
            normal(*s, seed=1),
            normal(s[-1]),
            normal(2, s[-1]),
            normal(s[-1], seed=2),
            positive(s[-1]),
        )
        for s in (SMALL, (5, 2), (3, 1, 2))
    ],
    "broadcast_to": [
        case(ops.broadcast_to, normal(3, 1), shape=(2, 3, 4)),
        case(ops.broadcast_to, normal(4), shape=(3, 4)),
        case(ops.broadcast_to, normal(), shape=(2, 3)),
        case(ops.broadcast_to, normal(2, 3), shape=(2, 3)),
        case(ops.broadcast_to, normal(0, 1), shape=(2, 0, 3)),
    ],
    "clip": [
        case(ops.clip, apart(3, 4), low=-0.26, high=0.32),
        case(ops.clip, apart(2, 1, 5), low=0.13),
        case(ops.clip, apart(6), high=0.13),
        case(ops.clip, normal(0, 3), low=0.0),
    ],
    "concatenate": [
        case(lambda *xs: ops.concatenate(xs, axis=-1), x34, normal(3, 1), normal(3, 2)),
        case(lambda *xs: ops.concatenate(xs), x34, normal(2, 4), normal(0, 4)),
        case(lambda x: ops.concatenate([x, x * x], axis=1), x34),
    ],
    "_concatenate": [
        case(shape._concatenate, x34, normal(3, 1), axis=1, sizes=(4, 1)),
        case(shape._concatenate, normal(2, 1, 3), normal(2, 4, 3), axis=-2, sizes=(1, 4)),
        case(shape._concatenate, x34, axis=0, sizes=(3,)),
        case(shape._concatenate, normal(2, 0), normal(2, 3), axis=1, sizes=(0, 3)),
    ],
    "conv2d": convolutions(ops.conv2d),
    "conv2d_dw": convolutions(ops.conv2d_dw),
    "conv2d_dx": convolutions(ops.conv2d_dx),
    "binary_cross_entropy": [
        case(ops.binary_cross_entropy, chance(3, 4), target=chance(3, 4, seed=1)),
        case(ops.binary_cross_entropy, chance(1, 3), target=chance(1, 3, seed=1)),
        case(ops.binary_cross_entropy, chance(5), target=np.array([0.0, 1, 1, 0, 1])),
        case(ops.binary_cross_entropy, chance(2, 0), target=chance(2, 0)),
    ],
    "cross_entropy": [
        case(ops.cross_entropy, x34, target=SMOOTHED),
        case(ops.cross_entropy, 5 * normal(2, 3, 4), target=np.eye(4)[[[0, 3, 1], [2, 2, 0]]]),
        case(ops.cross_entropy, normal(5), target=np.eye(5)[3]),
        case(ops.cross_entropy, normal(2, 1), target=np.ones((2, 1))),
        case(ops.cross_entropy, normal(0, 4), target=np.eye(4)[:0]),
    ],
    "divide": binary(ops.divide, normal, nonzero),
    "erf": [*unary(ops.erf), case(ops.erf, 3 * normal(2, 3, seed=2))],
    "exp": unary(ops.exp),
    "flatten": [
        case(ops.flatten, normal(2, 3, 4), start_axis=1),
        case(ops.flatten, normal(2, 3, 4)),
        case(ops.flatten, normal(), start_axis=0),
        case(ops.flatten, normal(0, 1, 3), start_axis=1),
    ],
    "getitem": [
        case(lambda x: ops.getitem(x, (slice(1, None), slice(None, None, -2))), x34),
        case(lambda x: ops.getitem(x, ROWS), x34),
        case(lambda x: ops.getitem(x, (Ellipsis, None, [1, 1, 0])), normal(2, 3, 4)),
        case(lambda x: ops.getitem(x, MASK), x34),
        case(lambda x: ops.getitem(x, (slice(2, 2), 0)), normal(3, 1, 2)),
        case(lambda x: ops.getitem(x, (slice(None), -1)), normal(0, 3)),
    ],
    "leaky_relu": [
        *unary(ops.leaky_relu, nonzero),
        case(ops.leaky_relu, nonzero(3, 4), negative_slope=0.3),
    ],
    "log": unary(ops.log, positive),
    "log_softmax": along_axes(ops.log_softmax),
    "logsumexp": reductions(ops.logsumexp),
    "matmul": [
        case(ops.matmul, normal(*a), normal(*b, seed=1))
        for a, b in (
            ((3, 4), (4, 2)),
            ((4,), (4,)),
            ((4,), (4, 3)),
            ((3, 4), (4,)),
            ((4,), (2, 4, 3)),
            ((2, 3, 4), (4,)),
            ((2, 3, 4), (4, 5)),
            ((3, 4), (2, 4, 5)),
            ((2, 1, 3, 4), (3, 4, 2)),
            ((3, 3), (3, 3)),
            ((0, 3), (3, 2)),
            ((2, 0), (0, 3)),
        )
    ],
    "max": reductions(ops.max, apart),
    "max_pool2d": pooled(ops.max_pool2d, apart),
    "max_pool2d_gather": [
        case(pooling.max_pool2d_gather, normal(2, 6, 5, 3), indices=_places(mosaic, **w), **w)
        for w in (OVERLAPPING, TILES, SPARSE)
    ]
    + [
        case(pooling.max_pool2d_gather, normal(*n), indices=_places(normal(*n), **TILES), **TILES)
        for n in ((0, 6, 5, 3), (2, 2, 3, 1))
    ],
    "max_pool2d_scatter": [
        case(
            pooling.max_pool2d_scatter,
            normal(*_places(mosaic, **w).shape),
            indices=_places(mosaic, **w),
            input_size=(6, 5),
            **w,
        )
        for w in (OVERLAPPING, TILES, SPARSE)
    ]
    + [
        case(
            pooling.max_pool2d_scatter,
            normal(0, 3, 1, 3),
            indices=_places(normal(0, 6, 5, 3), **TILES),
            input_size=(6, 5),
            **TILES,
        )
    ],
    "maximum": binary(ops.maximum, apart, between),
    "mean": reductions(ops.mean),
    "min": reductions(ops.min, apart),
    "minimum": binary(ops.minimum, apart, between),
    "move": unary(ops.move, device="cpu", source="cpu"),
    "multiply": [*binary(ops.multiply), case(lambda x: x * x, x34)],
    "negative": unary(ops.negative),
    "pad": [
        case(ops.pad, x34, width=((1, 0), (2, 3)), value=1.5),
        case(ops.pad, normal(2, 3, 4), width=((0, 0), (0, 2), (1, 1))),
        case(ops.pad, normal(5), width=((0, 4),)),
        case(ops.pad, normal(0, 1), width=((1, 0), (2, 1)), value=-1.5),
    ],
    "power": [
        *binary(ops.power, positive),
        *(case(lambda x, p=p: x**p, normal(2, 3)) for p in (0, 1, 2, 3)),
        case(lambda x: x**-1.5, positive(2, 3)),
        case(lambda x: 2.5**x, normal(2, 3)),
    ],
    "put_along": [
        case(ops.put_along, normal(3, 1), indices=BEST, axis=1, size=4),
        case(ops.put_along, normal(1, 4), indices=np.array([[2, 0, 1, 2]]), axis=0, size=3),
        case(ops.put_along, normal(1), indices=np.array([1]), axis=-1, size=3),
        case(ops.put_along, normal(0, 1), indices=BEST[:0], axis=1, size=3),
    ],
    "relu": unary(ops.relu, nonzero),
    "relu_gradient": [
        case(activation.relu_gradient, normal(*lengths, seed=1), nonzero(*lengths))
        for lengths in ((3, 4), (2, 1, 5), (6,), (), (0, 3))
    ],
    "reshape": [
        case(ops.reshape, x34, shape=(2, -1)),
        case(ops.reshape, normal(2, 3, 4), shape=(4, 3, 2)),
        case(ops.reshape, normal(), shape=(1, 1)),
        case(ops.reshape, normal(3, 0, 1), shape=(0, 2)),
    ],
    "scale_shift": scaled(ops.scale_shift),
    "scatter": [
        case(ops.scatter, normal(4, 2), key=ROWS, shape=(3, 2)),
        case(ops.scatter, normal(2, 2), key=PAIRS, shape=(2, 4)),
        case(ops.scatter, normal(2, 3), key=slice(1, 3), shape=(4, 3)),
        case(ops.scatter, normal(0, 2), key=ROWS[:0], shape=(3, 2)),
        case(ops.scatter, normal(1, 2), key=slice(0, 1), shape=(1, 2)),
    ],
    "sigmoid": [*unary(ops.sigmoid), case(ops.sigmoid, 8 * normal(2, 3))],
    "sign": [*unary(ops.sign, nonzero), case(lambda x: ops.sign(x) * x, nonzero(3, 4))],
    "softmax": along_axes(ops.softmax),
    "sqrt": unary(ops.sqrt, positive),
    "stack": [
        case(lambda *xs: ops.stack(xs, axis=1), x34, y34),
        case(lambda *xs: ops.stack(xs, axis=-1), x34, y34),
        case(lambda *xs: ops.stack(xs), normal(5), normal(5, seed=1), normal(5, seed=2)),
        case(lambda *xs: ops.stack(xs, axis=1), normal(0, 1), normal(0, 1, seed=1)),
    ],
    "subtract": binary(ops.subtract),
    "sum": [*reductions(ops.sum), case(ops.sum, shut, axis=0)],
    "take": [
        case(ops.take, x34, key=(slice(None), 1)),
        case(ops.take, x34, key=ROWS),
        case(ops.take, normal(2, 4), key=PAIRS),
        case(ops.take, x34, key=MASK),
        case(ops.take, x34, key=(None, slice(2, None, -1), Ellipsis)),
        case(ops.take, normal(1, 3), key=(0, slice(3, None))),
        case(ops.take, normal(0, 3), key=(slice(None), -1)),
    ],
    "take_along": [
        case(ops.take_along, x34, indices=BEST, axis=-1),
        case(ops.take_along, x34, indices=np.array([[2, 0, 1, 2]]), axis=0),
        case(ops.take_along, normal(5), indices=np.array([3]), axis=0),
        case(ops.take_along, normal(0, 1), indices=BEST[:0], axis=1),
    ],
    "tanh": unary(ops.tanh),
    "transpose": [
        case(ops.transpose, normal(2, 3, 4)),
        case(ops.transpose, normal(2, 3, 4), axes=(2, 0, -2)),
        case(ops.transpose, normal(5)),
        case(ops.transpose, normal(0, 1, 3), axes=(1, 2, 0)),
    ],
    "std": [*reductions(ops.std), *reductions(ops.std, ddof=1)],
    "var": [*reductions(ops.var), *reductions(ops.var, ddof=1)],
    "where": [
        case(ops.where, MASK, x34, y34),
        case(ops.where, MASK, normal(4), normal(3, 1)),
        case(ops.where, MASK[0], normal(2, 1, 1), normal(4)),
        case(ops.where, MASK[:0], normal(0, 4), normal(1, 4)),
    ],
}
