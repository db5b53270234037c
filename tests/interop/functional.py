"""Programs drawn at random of functions of images, as somebody may write a forward."""

import math

import numpy as np

from minires import Tensor, concatenate, nn, ops, stack, where
from minires.nn import functional as F

UNARY = {
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "negative": lambda x: -x,
    "gelu": lambda x: 0.5 * x * (1 + F.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "square": lambda x: x * x,
    "root": lambda x: (x * x + 1.0).sqrt(),
    "absolute": abs,
    "exponential": lambda x: (x * 0.1).exp(),
    "logarithm": lambda x: (abs(x) + 1).log(),
    "clipped": lambda x: ops.clip(x, low=-1.0, high=0.75),
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "sign": ops.sign,
    "positive": lambda x: (x > 0) * x,
    "either": lambda x: where((x > 0.5) | ~(x >= -0.5), x, x * 0.5),
    "power": lambda x: (abs(x) + 0.5) ** 1.5,
}


class Program(nn.Module):
    """A few steps, drawn by a seed, from images (N, H, W, C) to anything of N."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.shape = tuple(int(n) for n in self.rng.integers(2, 7, 3))
        self.steps, self.told, self.count = [], [], 0
        values = [self.shape]
        for _ in range(self.rng.integers(3, 10)):
            kind = str(self.rng.choice(KINDS))
            at = len(values) - 1 if self.rng.random() < 0.7 else int(self.rng.integers(len(values)))
            made = getattr(self, kind)(values[at], values)
            if made is None:
                continue
            run, shape = made
            if math.prod(shape) > 4000 or len(shape) > 4:
                continue
            self.steps.append((run, at))
            self.told.append(f"{kind} of {at}: {shape}")
            values.append(shape)

    def forward(self, x):
        values = [x * 1.5]
        for run, at in self.steps:
            values.append(run(values[at], values))
        return values[-1]

    def weight(self, *shape):
        parameter = nn.Parameter(
            self.rng.normal(size=shape).astype(np.float32) / math.sqrt(shape[0])
        )
        self.count += 1
        setattr(self, f"weight{self.count}", parameter)
        return parameter

    def integer(self, low, high):
        return int(self.rng.integers(low, high))

    # each: a function of a value and of all values, and the shape that it gives, without N

    def unary(self, shape, values):
        run = UNARY[str(self.rng.choice(list(UNARY)))]
        return lambda x, _: run(x), shape

    def scalar(self, shape, values):
        k, number = self.integer(0, 4), float(self.rng.uniform(0.5, 2))
        runs = [lambda x: x + number, lambda x: number - x, lambda x: x / number, lambda x: x * 2]
        return lambda x, _: runs[k](x), shape

    def vector(self, shape, values):
        if not shape:
            return None
        w, k = self.weight(shape[-1]), self.integer(0, 3)
        runs = [lambda x: x + w, lambda x: w * x, lambda x: ops.maximum(x, w)]
        return lambda x, _: runs[k](x), shape

    def binary(self, shape, values):
        others = [i for i, other in enumerate(values) if other == shape]
        other, k = int(self.rng.choice(others)), self.integer(0, 4)
        runs = [ops.add, ops.multiply, ops.minimum, ops.subtract]
        return lambda x, all_: runs[k](x, all_[other]), shape

    def conv(self, shape, values):
        if len(shape) != 3 or min(shape[:2]) < 2:
            return None
        bias, stride, channels = self.integer(0, 2), self.integer(1, 3), self.integer(1, 6)
        w, b = self.weight(2, 2, shape[2], channels), self.weight(channels)
        size = [(n + 2 - 2) // stride + 1 for n in shape[:2]]
        run = lambda x, _: F.conv2d(x, w, b if bias else None, stride, 1)  # noqa: E731
        return run, (*size, channels)

    def norm(self, shape, values):
        if not shape or len(shape) > 3:
            return None
        layer = nn.BatchNorm2d(shape[-1]) if len(shape) == 3 else nn.BatchNorm1d(shape[-1])
        for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            tensor.copy_(self.rng.uniform(0.5, 1.5, shape[-1]))
        setattr(self, f"norm{len(self.steps)}", layer)
        return lambda x, _: layer(x), shape

    def pool(self, shape, values):
        if len(shape) != 3 or min(shape[:2]) < 2:
            return None
        run = [F.max_pool2d, F.avg_pool2d, F.min_pool2d][self.integer(0, 3)]
        return lambda x, _: run(x, 2, 2), (shape[0] // 2, shape[1] // 2, shape[2])

    def cells(self, shape, values):
        if len(shape) != 3:
            return None
        return lambda x, _: F.adaptive_avg_pool2d(x, 2), (2, 2, shape[2])

    def linear(self, shape, values):
        if not shape:
            return None
        out, bias = self.integer(1, 6), self.integer(0, 2)
        w, b = self.weight(shape[-1], out), self.weight(out)
        return lambda x, _: F.linear(x, w, b if bias else None), (*shape[:-1], out)

    def flat(self, shape, values):
        k = self.integer(0, 3)
        if k == 2 and len(shape) > 1:
            return lambda x, _: x.reshape(len(x), -1, shape[-1]), (math.prod(shape[:-1]), shape[-1])
        run = (
            (lambda x, _: F.flatten(x)) if k and shape else (lambda x, _: x.reshape(x.shape[0], -1))
        )
        return run, (math.prod(shape),)

    def merged(self, shape, values):
        """Through all images at once, and back."""
        if len(shape) < 2:
            return None
        w = self.weight(shape[-1], shape[-1])
        run = lambda x, _: (x.reshape(-1, shape[-1]) @ w).reshape(-1, *shape)  # noqa: E731
        return run, shape

    def turned(self, shape, values):
        axes = [int(a) + 1 for a in self.rng.permutation(len(shape))]
        if self.integer(0, 3) == 0 and len(shape) == 3:
            axes = [[3, 1, 2], [2, 3, 1]][self.integer(0, 2)]
        return lambda x, _: x.transpose((0, *axes)), tuple(shape[a - 1] for a in axes)

    def reduced(self, shape, values):
        if not shape:
            return None
        count, kept = self.integer(1, len(shape) + 1), bool(self.integer(0, 2))
        axes = sorted(int(a) + 1 for a in self.rng.permutation(len(shape))[:count])
        name = str(self.rng.choice(["mean", "sum", "var", "std", "logsumexp"]))
        if name in ("var", "std") and math.prod(shape[a - 1] for a in axes) < 2:
            name = "mean"
        run = getattr(ops, name)
        left = [1 if i + 1 in axes else n for i, n in enumerate(shape)]
        left = left if kept else [n for i, n in enumerate(shape) if i + 1 not in axes]
        return lambda x, _: run(x, axis=tuple(axes), keepdims=kept), tuple(left)

    def layer_norm(self, shape, values):
        if not shape or shape[-1] < 2:
            return None
        w, b = self.weight(shape[-1]), self.weight(shape[-1])

        def run(x, _):
            mean, var = x.mean(-1, keepdims=True), ops.var(x, axis=-1, keepdims=True)
            return (x - mean) / (var + 1e-3).sqrt() * w + b

        return run, shape

    def softmax(self, shape, values):
        if not shape:
            return None
        axis, run = self.integer(1, len(shape) + 1), [F.softmax, F.log_softmax][self.integer(0, 2)]
        return lambda x, _: run(x, axis), shape

    def attention(self, shape, values):
        if len(shape) != 2:
            return None
        q, k, v = (self.weight(shape[1], 4) for _ in range(3))

        def run(x, _):
            scores = (x @ q) @ (x @ k).transpose(0, 2, 1) / 2
            return F.softmax(scores, -1) @ (x @ v)

        return run, (shape[0], 4)

    def token(self, shape, values):
        """A learned vector before the others, as in vision transformers."""
        if len(shape) != 2:
            return None
        w = self.weight(1, 1, shape[1])
        run = lambda x, _: concatenate(  # noqa: E731
            [ops.broadcast_to(w, shape=(len(x), 1, shape[1])), x], axis=1
        )
        return run, (shape[0] + 1, shape[1])

    def joined(self, shape, values):
        if not shape:
            return None
        axis, k = self.integer(0, len(shape)), self.integer(0, 2)
        if k and len(shape) < 3:
            return lambda x, _: stack([x, x * 2], axis=axis + 1), (*shape[:axis], 2, *shape[axis:])
        others = [
            i
            for i, o in enumerate(values)
            if len(o) == len(shape) and o[:axis] + o[axis + 1 :] == shape[:axis] + shape[axis + 1 :]
        ]
        other = int(self.rng.choice(others))
        new = (*shape[:axis], shape[axis] + values[other][axis], *shape[axis + 1 :])
        return lambda x, all_: concatenate([x, all_[other]], axis=axis + 1), new

    def padded(self, shape, values):
        width = [(0, 0), *((self.integer(0, 2), self.integer(0, 2)) for _ in shape)]
        value = float(self.rng.choice([0.0, -1.5]))
        new = tuple(n + sum(w) for n, w in zip(shape, width[1:], strict=True))
        return lambda x, _: ops.pad(x, width=tuple(width), value=value), new

    def taken(self, shape, values):
        if not shape:
            return None
        key = [slice(None)]
        for n in shape:
            k = self.integer(0, 8)
            ends = sorted(self.rng.integers(0, n + 1, 2))
            some = slice(int(ends[0]), int(ends[1])) if ends[0] < ends[1] else slice(None)
            parts = [some, slice(None, None, 2), slice(None, None, -1), self.integer(-n, n), None]
            key.append(parts[k] if k < 5 else slice(None))
            if k == 4:
                key.append(slice(None))
        if self.integer(0, 4) == 0:
            key = [slice(None), *[slice(None)] * (len(shape) - 1)]
            key.append(self.rng.integers(0, shape[-1], 3))
        if self.integer(0, 4) == 0:
            key = [..., self.integer(-shape[-1], shape[-1])]
        key = tuple(key)
        return lambda x, _: x[key], np.empty((1, *shape))[key].shape[1:]

    def best(self, shape, values):
        if not shape:
            return None
        axis = self.integer(1, len(shape) + 1)
        new = tuple(n for i, n in enumerate(shape) if i + 1 != axis)
        return lambda x, _: ops.argmax(x, axis=axis) * 0.5 + x.sum(axis), new

    def constant(self, shape, values):
        array = self.rng.normal(size=shape).astype(np.float32)
        return lambda x, _: x + Tensor(array), shape

    def widened(self, shape, values):
        """New channels of zeros, made for so many images."""
        if not shape:
            return None

        def run(x, _):
            zeros = np.zeros((*x.shape[:-1], 2), np.float32)
            return concatenate([x, Tensor(zeros)], axis=-1)

        return run, (*shape[:-1], shape[-1] + 2)

    def stretched(self, shape, values):
        if len(shape) != 2:
            return None
        return lambda x, _: ops.broadcast_to(x[:, None], shape=(len(x), 3, *shape)), (3, *shape)


KINDS = [
    *["unary", "scalar", "vector", "binary", "conv", "conv", "norm", "pool", "cells", "linear"],
    *["flat", "merged", "turned", "reduced", "layer_norm", "softmax", "attention", "token"],
    *[
        "joined",
        "padded",
        "taken",
        "best",
        "constant",
        "stretched",
        "widened",
        "conv",
        "unary",
        "binary",
    ],
]
