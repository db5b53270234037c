"""Right gradients never alarm: a thousand functions, shapes, sizes and modes at random."""

import numpy as np
import pytest

from minires import nn, ops
from minires.gradcheck import gradcheck
from minires.kernels import ConvGeometry
from minires.nn import functional as F

pytestmark = pytest.mark.slow

SMOOTH = [ops.exp, ops.tanh, ops.sigmoid, ops.negative, ops.softmax, ops.log_softmax]
KINKED = [ops.relu, ops.absolute, ops.leaky_relu, lambda x: ops.clip(x, low=-0.5, high=0.5)]
POSITIVE = [ops.log, ops.sqrt, lambda x: x**-1.5, lambda x: x**0.3]
BINARY = [ops.add, ops.subtract, ops.multiply, ops.divide, ops.maximum, ops.minimum]
REDUCTIONS = [ops.sum, ops.mean, ops.var, ops.logsumexp, ops.max, ops.min]


def pick(rng, choices):
    return choices[rng.integers(len(choices))]


def shape(rng, low=1, high=4):
    return tuple(rng.integers(1, 5, rng.integers(low, high + 1)))


def values(rng, *lengths):
    """Normal values of any size, around any middle."""
    size = 10 ** rng.uniform(-2, 1)
    middle = rng.choice([0.0, 0.0, 1.0, -5.0])
    return np.asarray(size * (rng.normal(size=lengths) + middle))


def unary(rng):
    x = values(rng, *shape(rng, 1))
    if rng.random() < 0.4:
        return pick(rng, POSITIVE), [abs(x) + 0.01 * abs(x).max()]
    return pick(rng, SMOOTH + KINKED), [x]


def binary(rng):
    full = shape(rng)
    left, right = (
        [1 if rng.random() < 0.3 else n for n in full][rng.integers(0, len(full)) :]
        for _ in range(2)
    )
    x, y = values(rng, *left), values(rng, *right)
    return pick(rng, BINARY), [x, np.where(abs(y) < 0.1 * abs(y).max(), abs(y).max(), y)]


def reduction(rng):
    x = values(rng, *shape(rng, 2))
    axes = tuple(rng.permutation(x.ndim)[: rng.integers(1, x.ndim + 1)].tolist())
    function, keepdims = pick(rng, REDUCTIONS), bool(rng.integers(2))
    return lambda x: function(x, axis=axes, keepdims=keepdims), [x]


def product(rng):
    n, k, m, batch = rng.integers(1, 5, 4)
    x = values(rng, batch, n, k) if rng.random() < 0.5 else values(rng, n, k)
    y = values(rng, batch, k, m) if rng.random() < 0.5 else values(rng, k, m)
    return ops.matmul, [x, y]


def chain(rng):
    functions = [pick(rng, SMOOTH) for _ in range(3)]

    def f(x, w):
        y = x @ w
        for function in functions:
            y = function(y * 0.5)
        return y

    n, k, m = rng.integers(2, 5, 3)
    return f, [rng.normal(size=(n, k)), rng.normal(size=(k, m))]


def convolution(rng):
    groups = int(rng.integers(1, 3))
    kernel, stride, dilation = (rng.integers(1, high, 2) for high in (4, 4, 3))
    padding = rng.integers(0, 3, 2)
    size = np.maximum(dilation * (kernel - 1) + 1 - 2 * padding, 1) + rng.integers(0, 3, 2)
    c, o = groups * rng.integers(1, 3, 2)
    walk = {
        name: (int(a), int(b))
        for name, (a, b) in {"stride": stride, "padding": padding, "dilation": dilation}.items()
    }
    x, w = values(rng, rng.integers(1, 3), *size, c), values(rng, *kernel, c // groups, o)
    return lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry(groups=groups, **walk)), [x, w]


def pooling(rng):
    kernel, stride = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(2))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    x = values(rng, rng.integers(1, 3), *rng.integers(3, 6, 2), rng.integers(1, 4))
    function = pick(rng, [F.max_pool2d, F.min_pool2d, F.avg_pool2d])
    return lambda x: function(x, kernel, stride, padding), [x]


def normalization(rng):
    channels = rng.integers(1, 4)
    x = values(rng, rng.integers(2, 5), rng.integers(1, 3), channels)
    eps = 10 ** rng.uniform(-5, -1) * max(1.0, x.var())
    inputs = [x, rng.normal(size=channels), rng.normal(size=channels)]
    return lambda x, g, b: ops.batch_norm(x, g, b, eps=eps), inputs


def loss(rng):
    n, classes = rng.integers(1, 5), rng.integers(2, 6)
    labels, smoothing = rng.integers(0, classes, n), pick(rng, [0.0, 0.1])
    logits = rng.uniform(0.1, 4) * rng.normal(size=(n, classes))
    return lambda x: F.cross_entropy(x, labels, label_smoothing=smoothing), [logits]


def network(rng):
    width = int(rng.integers(2, 5))
    layers = [nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, 2)), [rng.normal(size=(rng.integers(3, 6), 3))]


DRAWS = {
    unary: 130,
    binary: 130,
    reduction: 100,
    product: 100,
    chain: 100,
    convolution: 100,
    pooling: 100,
    normalization: 100,
    loss: 100,
    network: 40,
}


@pytest.mark.parametrize("family", DRAWS, ids=lambda f: f.__name__)
def test_no_false_alarm(family):
    for seed in range(DRAWS[family]):
        rng = np.random.default_rng([seed, 77])
        fn, inputs = family(rng)
        options = {"mode": pick(rng, ["full", "directional"]), "seed": seed}
        options["order"] = 2 if rng.random() < 0.1 else 1
        report = gradcheck(fn, inputs, raise_exception=False, **options)
        assert report, f"draw {seed} of {family.__name__} with {options}: {report}"
