"""Every operation by its definition: plain Python loops and the standard library's functions.

Slow, and short enough to believe. Arrays are only read and filled, one element at a time.
"""

import math
import statistics

import numpy as np
from helpers import batch_norm_loops

from minires.kernels import ConvGeometry, reference

PLAIN = ConvGeometry()


def elementwise(function):
    """`function` of numbers at every place, with NumPy's broadcasting."""

    def definition(*arrays, **options):
        shape = broadcast_shape([np.shape(a) for a in arrays])
        out = np.zeros(shape)
        for at in np.ndindex(shape):
            out[at] = function(*(element(a, at) for a in arrays), **options)
        return out

    return definition


def broadcast_shape(shapes):
    """The longest of each axis, counted from the right, where the others are 1."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    return tuple(next((n for n in lengths if n != 1), 1) for lengths in zip(*padded, strict=True))


def element(array, at):
    """The element that broadcasting puts at an index: along axes of length 1 the only one."""
    shape = np.shape(array)
    tail = at[len(at) - len(shape) :]
    index = tuple(0 if n == 1 else i for n, i in zip(shape, tail, strict=True))
    return np.asarray(array)[index].item()


def along(convolve):
    """`convolve` with the four numbers of a geometry."""
    return lambda *arrays, geometry=PLAIN, **sizes: convolve(*arrays, **sizes, **geometry._asdict())


def reduction(function):
    """`function` of the list of values that each place of the result gathers."""

    def definition(x, *, axis=None, keepdims=False, **options):
        axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
        axes = {a % x.ndim for a in axes}
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        values = {at: [] for at in np.ndindex(kept)}
        for at in np.ndindex(x.shape):
            values[tuple(0 if i in axes else k for i, k in enumerate(at))].append(x[at].item())
        out = np.zeros(kept)
        for at in values:
            out[at] = function(values[at], **options)
        return out if keepdims else out.reshape([n for i, n in enumerate(x.shape) if i not in axes])

    return definition


def along_axis(function):
    """`function` of each line along an axis: a list to a list."""

    def definition(x, *, axis=-1):
        out = np.zeros(x.shape)
        lines = np.moveaxis(out, axis, -1)
        for at in np.ndindex(lines.shape[:-1]):
            lines[at] = function(np.moveaxis(x, axis, -1)[at].tolist())
        return out

    return definition


def log_sum_exp(values):
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def variance(values, ddof=0):
    middle = statistics.fmean(values)
    return math.fsum((v - middle) ** 2 for v in values) / (len(values) - ddof)


def sigmoid(v):
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


def matmul(x, y):
    rows = x[None] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    lead = broadcast_shape([(1, *rows.shape[:-2]), (1, *columns.shape[:-2])])[1:]
    out = np.zeros((*lead, rows.shape[-2], columns.shape[-1]))
    for *batch, i, j in np.ndindex(out.shape):
        out[(*batch, i, j)] = math.fsum(
            element(rows, (*batch, i, k)) * element(columns, (*batch, k, j))
            for k in range(rows.shape[-1])
        )
    out = out[..., 0] if y.ndim == 1 else out
    return out if x.ndim > 1 else out[..., 0] if y.ndim == 1 and out.ndim else first_row(out, y)


def first_row(out, y):
    """Without the row axis that a vector on the left was given."""
    return out[..., 0, :] if y.ndim > 1 else out[..., 0]


def from_positions(x, positions):
    """The elements of x, counted in C order, at an array of positions."""
    out = np.zeros(positions.shape)
    for at in np.ndindex(out.shape):
        out[at] = x.ravel()[positions[at]]
    return out


def take(x, *, key):
    return from_positions(x, np.arange(x.size).reshape(x.shape)[key])


def scatter(values, *, key, shape):
    out = np.zeros(shape)
    positions = np.arange(out.size).reshape(shape)[key]
    for at in np.ndindex(values.shape):
        out.ravel()[positions[at]] += values[at]
    return out


def take_along(x, *, indices, axis):
    out = np.zeros(indices.shape)
    for at in np.ndindex(out.shape):
        place = list(at)
        place[axis] = indices[at]
        out[at] = x[tuple(place)]
    return out


def put_along(values, *, indices, axis, size):
    shape = list(values.shape)
    shape[axis] = size
    out = np.zeros(shape)
    for at in np.ndindex(values.shape):
        place = list(at)
        place[axis] = indices[at]
        out[tuple(place)] = values[at]
    return out


def transpose(x, *, axes=None):
    axes = [a % x.ndim for a in (reversed(range(x.ndim)) if axes is None else axes)]
    out = np.zeros([x.shape[a] for a in axes])
    for at in np.ndindex(out.shape):
        out[at] = x[tuple(at[axes.index(i)] for i in range(x.ndim))]
    return out


def reshape(x, *, shape):
    known = math.prod(n for n in shape if n != -1)
    out = np.zeros([x.size // known if n == -1 else n for n in shape])
    for source, target in zip(np.ndindex(x.shape), np.ndindex(out.shape), strict=True):
        out[target] = x[source]
    return out


def flatten(x, *, start_axis=0):
    return reshape(x, shape=(*x.shape[:start_axis], math.prod(x.shape[start_axis:])))


def pad(x, *, width, value=0.0):
    out = np.full([n + sum(w) for n, w in zip(x.shape, width, strict=True)], value)
    for at in np.ndindex(x.shape):
        out[tuple(i + before for i, (before, _) in zip(at, width, strict=True))] = x[at]
    return out


def concatenate(tensors, *, axis=0):
    shape = list(tensors[0].shape)
    shape[axis] = sum(t.shape[axis] for t in tensors)
    out, start = np.zeros(shape), 0
    for tensor in tensors:
        for at in np.ndindex(tensor.shape):
            place = list(at)
            place[axis] += start
            out[tuple(place)] = tensor[at]
        start += tensor.shape[axis]
    return out


def stack(tensors, *, axis=0):
    axis %= tensors[0].ndim + 1
    shape = tensors[0].shape
    out = np.zeros((*shape[:axis], len(tensors), *shape[axis:]))
    for i, tensor in enumerate(tensors):
        for at in np.ndindex(shape):
            out[(*at[:axis], i, *at[axis:])] = tensor[at]
    return out


def broadcast_to(x, *, shape):
    return elementwise(lambda v, _: v)(x, np.zeros(shape))


def binary_cross_entropy(probabilities, *, target):
    """Each answer's loss, its logarithms at least -100."""

    def one(x, t):
        yes = math.log(x) if x > 0 else -100.0
        no = math.log1p(-x) if x < 1 else -100.0
        return -(t * max(yes, -100.0) + (1 - t) * max(no, -100.0))

    return elementwise(one)(probabilities, target)


def cross_entropy(logits, *, target):
    out = np.zeros(logits.shape[:-1])
    for at in np.ndindex(out.shape):
        total = log_sum_exp(logits[at].tolist())
        out[at] = math.fsum(t * (total - v) for t, v in zip(target[at], logits[at], strict=True))
    return out


def channel_means(x, *, known):
    """What `known` has to be."""
    return reduction(statistics.fmean)(x, axis=tuple(range(x.ndim - 1)))


def channel_inv_std(x, *, known):
    """What `known` has to be, with the eps that its first channel tells."""
    var = reduction(variance)(x, axis=tuple(range(x.ndim - 1)))
    eps = 1 / known[0] ** 2 - var[0]
    assert 1e-6 < eps < 1
    return np.array([1 / math.sqrt(v + eps) for v in var])


def gradient_sums(dy, x, mean, inv_std):
    out = np.zeros((2, x.shape[-1]))
    for at in np.ndindex(x.shape):
        c = at[-1]
        out[0, c] += dy[at]
        out[1, c] += dy[at] * (x[at] - mean[c]) * inv_std[c]
    return out


def input_gradient(dy, x, gamma, sums, mean, inv_std):
    out, count = np.zeros(x.shape), x.size // x.shape[-1]
    for at in np.ndindex(x.shape):
        c = at[-1]
        xhat = (x[at] - mean[c]) * inv_std[c]
        out[at] = gamma[c] * inv_std[c] * (dy[at] - (sums[0, c] + xhat * sums[1, c]) / count)
    return out


def windows(out_shape, kernel_size, stride, padding):
    """Each place of the result, which element of its window, and where that lies in the image."""
    n, ho, wo, channels = out_shape
    for b, i, j, k, l, c in np.ndindex(n, ho, wo, *kernel_size, channels):
        row, column = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
        yield (b, i, j, c), k * kernel_size[1] + l, (b, row, column, c)


def inside(at, size):
    return 0 <= at[1] < size[0] and 0 <= at[2] < size[1]


def max_pool2d(x, **options):
    return reference.max_pool(x, **options)[0]


def max_pool2d_scatter(dy, *, indices, input_size, kernel_size, stride, padding):
    dx = np.zeros((dy.shape[0], *input_size, dy.shape[3]))
    for at, place, source in windows(dy.shape, kernel_size, stride, padding):
        if indices[at] == place:
            dx[source] += dy[at]
    return dx


def max_pool2d_gather(x, *, indices, kernel_size, stride, padding):
    out = np.zeros(indices.shape)
    for at, place, source in windows(out.shape, kernel_size, stride, padding):
        if indices[at] == place:
            out[at] = x[source]
    return out


def avg_pool2d_dx(dy, *, input_size, kernel_size, stride, padding):
    dx = np.zeros((dy.shape[0], *input_size, dy.shape[3]))
    for at, _, source in windows(dy.shape, kernel_size, stride, padding):
        if inside(source, input_size):
            dx[source] += dy[at] / math.prod(kernel_size)
    return dx


def softmax(values):
    total = log_sum_exp(values)
    return [math.exp(v - total) for v in values]


def log_softmax(values):
    total = log_sum_exp(values)
    return [v - total for v in values]


DEFINITIONS = {
    "absolute": elementwise(abs),
    "add": elementwise(lambda a, b: a + b),
    "astype": elementwise(lambda v, dtype: v),
    "avg_pool2d": reference.avg_pool,
    "avg_pool2d_dx": avg_pool2d_dx,
    "batch_norm": batch_norm_loops,
    "_batch_mean": channel_means,
    "_batch_inv_std": channel_inv_std,
    "_gradient_sums": gradient_sums,
    "_input_gradient": input_gradient,
    "broadcast_to": broadcast_to,
    "clip": elementwise(lambda v, low=-math.inf, high=math.inf: min(max(v, low), high)),
    "concatenate": concatenate,
    "_concatenate": lambda *xs, axis, sizes: concatenate(xs, axis=axis),
    "conv2d": along(reference.conv2d),
    "conv2d_dw": along(reference.conv2d_dw),
    "conv2d_dx": along(reference.conv2d_dx),
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "divide": elementwise(lambda a, b: a / b),
    "erf": elementwise(math.erf),
    "exp": elementwise(math.exp),
    "flatten": flatten,
    "getitem": lambda x, key: take(x, key=key),
    "leaky_relu": elementwise(lambda v, negative_slope=0.01: v if v > 0 else negative_slope * v),
    "log": elementwise(math.log),
    "log_softmax": along_axis(log_softmax),
    "logsumexp": reduction(log_sum_exp),
    "matmul": matmul,
    "max": reduction(max),
    "max_pool2d": max_pool2d,
    "max_pool2d_gather": max_pool2d_gather,
    "max_pool2d_scatter": max_pool2d_scatter,
    "maximum": elementwise(max),
    "mean": reduction(statistics.fmean),
    "min": reduction(min),
    "minimum": elementwise(min),
    "move": lambda x, *, device, source: x,
    "multiply": elementwise(lambda a, b: a * b),
    "negative": elementwise(lambda v: -v),
    "pad": pad,
    "power": elementwise(math.pow),
    "put_along": put_along,
    "relu": elementwise(lambda v: max(v, 0.0)),
    "relu_gradient": elementwise(lambda dy, y: dy if y > 0 else 0.0),
    "reshape": reshape,
    "scale_shift": elementwise(lambda v, scale, shift: v * scale + shift),
    "scatter": scatter,
    "sigmoid": elementwise(sigmoid),
    "sign": elementwise(lambda v: (v > 0) - (v < 0)),
    "softmax": along_axis(softmax),
    "sqrt": elementwise(math.sqrt),
    "stack": stack,
    "subtract": elementwise(lambda a, b: a - b),
    "sum": reduction(math.fsum),
    "take": take,
    "take_along": take_along,
    "tanh": elementwise(math.tanh),
    "transpose": transpose,
    "std": reduction(lambda values, ddof=0: math.sqrt(variance(values, ddof=ddof))),
    "var": reduction(variance),
    "where": elementwise(lambda condition, a, b: a if condition else b),
}
