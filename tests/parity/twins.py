"""PyTorch's counterpart of every operation and layer, on arrays in this library's layout.

Images are (N, H, W, C) here and are turned to (N, C, H, W) inside the counterparts. The turned
tensors are channels-last in memory, so that PyTorch computes in this library's layout.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as TF

import minires
from minires import Tensor, nn
from minires.kernels import ConvGeometry

T = torch.nn
PLAIN = ConvGeometry()


def nchw(x):
    return x.movedim(-1, 1)


def nhwc(x):
    return x.movedim(1, -1)


def oihw(w):
    return w.permute(3, 2, 0, 1).contiguous()


def hwio(w):
    return w.permute(2, 3, 1, 0)


def dims(x, axis):
    """PyTorch wants every axis named."""
    return tuple(range(x.ndim)) if axis is None else axis


def positions(shape, key):
    """Which elements NumPy's indexing takes, counted in C order: PyTorch lacks negative steps."""
    return torch.from_numpy(
        np.ascontiguousarray(np.arange(np.prod(shape, dtype=int)).reshape(shape)[key])
    )


def take(x, *, key):
    return x.reshape(-1)[positions(tuple(x.shape), key)]


def scatter(values, *, key, shape):
    flat = torch.zeros(int(np.prod(shape)), dtype=values.dtype)
    return flat.index_put((positions(shape, key),), values, accumulate=True).reshape(shape)


def put_along(values, *, indices, axis, size):
    shape = list(values.shape)
    shape[axis] = size
    return torch.zeros(shape, dtype=values.dtype).scatter(axis, torch.from_numpy(indices), values)


def pad(x, *, width, value=0.0):
    return TF.pad(x, [n for pair in reversed(width) for n in pair], value=value)


def extreme(function):
    """amax and amin share a gradient among ties; max and min along one axis do not."""

    def over(x, *, axis=None, keepdims=False):
        axes = dims(x, axis)
        axes = sorted({a % x.ndim for a in ((axes,) if isinstance(axes, int) else axes)})
        for a in reversed(axes):
            x = function(x, a, keepdim=True).values
        return x if keepdims else x.reshape([n for i, n in enumerate(x.shape) if i not in axes])

    return over


def conv2d(x, w, geometry=PLAIN):
    return nhwc(TF.conv2d(nchw(x), oihw(w), None, *geometry))


def conv2d_dx(g, w, *, input_size, geometry=PLAIN):
    channels = w.shape[2] * geometry.groups
    size = (g.shape[0], channels, *input_size)
    return nhwc(torch.nn.grad.conv2d_input(size, oihw(w), nchw(g), *geometry))


def conv2d_dw(x, g, *, kernel_size, geometry=PLAIN):
    channels = x.shape[3] // geometry.groups
    size = (g.shape[3], channels, *kernel_size)
    return hwio(torch.nn.grad.conv2d_weight(nchw(x), size, nchw(g), *geometry))


def max_pool2d(x, **windows):
    return nhwc(TF.max_pool2d(nchw(x), **windows))


def avg_pool2d(x, **windows):
    return nhwc(TF.avg_pool2d(nchw(x), **windows))


def windows_of(x, kernel_size, stride, padding):
    """(N, H, W, C) to (N, KH * KW, Ho, Wo, C), padded with zeros."""
    n, h, w, c = x.shape
    ho, wo = (
        (a + 2 * p - k) // s + 1
        for a, k, s, p in zip((h, w), kernel_size, stride, padding, strict=True)
    )
    if not n:
        return x.new_zeros((0, int(np.prod(kernel_size)), ho, wo, c)) + x.sum()
    unfolded = TF.unfold(nchw(x), kernel_size, 1, padding, stride)
    return unfolded.reshape(n, c, -1, ho, wo).permute(0, 2, 3, 4, 1)


def max_pool2d_gather(x, *, indices, **windows):
    places = torch.from_numpy(np.ascontiguousarray(indices)).long()[:, None]
    return windows_of(x, **windows).gather(1, places)[:, 0]


def adjoint(function):
    """The transpose of a linear map, through PyTorch's gradient of it."""

    def transposed(dy, *, input_size, **options):
        x = torch.zeros((dy.shape[0], *input_size, dy.shape[3]), dtype=dy.dtype, requires_grad=True)
        return torch.autograd.grad(function(x, **options), x, dy, create_graph=True)[0]

    return transposed


def batch_norm(x, gamma, beta, *, eps=1e-5):
    return nhwc(TF.batch_norm(nchw(x), None, None, gamma, beta, training=True, eps=eps))


def channel_axes(x):
    return tuple(range(x.ndim - 1))


def batch_mean(x, *, known):
    """The value is told, the gradient is a mean's."""
    mean = x.mean(channel_axes(x))
    return mean - mean.detach() + torch.from_numpy(known)


def batch_inv_std(x, *, known):
    var = x.var(channel_axes(x), correction=0)
    return (var + (1 / torch.from_numpy(known) ** 2 - var.detach())).rsqrt()


def gradient_sums(dy, x, mean, inv_std):
    axes = channel_axes(x)
    return torch.stack([dy.sum(axes), (dy * (x - mean) * inv_std).sum(axes)])


def input_gradient(dy, x, gamma, sums, mean, inv_std):
    count = x.numel() / x.shape[-1]
    return gamma * inv_std * (dy - (sums[0] + (x - mean) * inv_std * sums[1]) / count)


def cross_entropy(logits, *, target):
    classes = logits.shape[-1]
    target = torch.from_numpy(target).reshape(-1, classes)
    losses = TF.cross_entropy(logits.reshape(-1, classes), target, reduction="none")
    return losses.reshape(logits.shape[:-1])


def clip(x, *, low=None, high=None):
    return x.clamp(low, high)


OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "absolute": torch.abs,
    "add": torch.add,
    "astype": lambda x, *, dtype: x.to(getattr(torch, np.dtype(dtype).name)),
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_dx": adjoint(avg_pool2d),
    "batch_norm": batch_norm,
    "_batch_mean": batch_mean,
    "_batch_inv_std": batch_inv_std,
    "_gradient_sums": gradient_sums,
    "_input_gradient": input_gradient,
    "binary_cross_entropy": lambda x, *, target: TF.binary_cross_entropy(
        x, torch.from_numpy(target), reduction="none"
    ),
    "broadcast_to": lambda x, *, shape: x.broadcast_to(shape),
    "clip": clip,
    "concatenate": lambda xs, *, axis=0: torch.cat(tuple(xs), axis),
    "_concatenate": lambda *xs, axis, sizes: torch.cat(xs, axis),
    "conv2d": conv2d,
    "conv2d_dw": conv2d_dw,
    "conv2d_dx": conv2d_dx,
    "cross_entropy": cross_entropy,
    "divide": torch.divide,
    "erf": torch.erf,
    "exp": torch.exp,
    "flatten": lambda x, *, start_axis=0: x.flatten(start_axis),
    "getitem": lambda x, key: take(x, key=key),
    "leaky_relu": TF.leaky_relu,
    "log": torch.log,
    "log_softmax": lambda x, *, axis=-1: x.log_softmax(axis),
    "logsumexp": lambda x, *, axis=None, keepdims=False: x.logsumexp(dims(x, axis), keepdims),
    "matmul": torch.matmul,
    "max": extreme(torch.max),
    "max_pool2d": max_pool2d,
    "max_pool2d_gather": max_pool2d_gather,
    "max_pool2d_scatter": adjoint(max_pool2d_gather),
    "maximum": torch.maximum,
    "mean": lambda x, *, axis=None, keepdims=False: x.mean(dims(x, axis), keepdims),
    "min": extreme(torch.min),
    "minimum": torch.minimum,
    "move": lambda x, *, device, source: x.to(device),
    "multiply": torch.multiply,
    "negative": torch.negative,
    "pad": pad,
    "power": torch.pow,
    "put_along": put_along,
    "relu": torch.relu,
    "relu_gradient": lambda dy, y: torch.ops.aten.threshold_backward(dy, y.detach(), 0) + 0 * y,
    "reshape": lambda x, *, shape: x.reshape(shape),
    "scale_shift": lambda x, scale, shift: x * scale + shift,
    "scatter": scatter,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "softmax": lambda x, *, axis=-1: x.softmax(axis),
    "sqrt": torch.sqrt,
    "stack": lambda xs, *, axis=0: torch.stack(tuple(xs), axis),
    "subtract": torch.subtract,
    "sum": lambda x, *, axis=None, keepdims=False: x.sum(dims(x, axis), keepdims),
    "take": take,
    "take_along": lambda x, *, indices, axis: x.gather(axis, torch.from_numpy(indices)),
    "tanh": torch.tanh,
    "transpose": lambda x, *, axes=None: x.permute(axes or tuple(reversed(range(x.ndim)))),
    "std": lambda x, *, axis=None, ddof=0, keepdims=False: x.std(
        dims(x, axis), correction=ddof, keepdim=keepdims
    ),
    "var": lambda x, *, axis=None, ddof=0, keepdims=False: x.var(
        dims(x, axis), correction=ddof, keepdim=keepdims
    ),
    "where": lambda condition, x, y: torch.where(torch.from_numpy(condition), x, y),
}


# ---------------------------------------------------------------------- layers


class Images(T.Module):
    """A layer of PyTorch's on images, or sequences, with channels last."""

    def __init__(self, layer: T.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nhwc(self.layer(nchw(x)))


class Apply(T.Module):
    """A function, with layers that it may use."""

    def __init__(self, function: Callable[..., torch.Tensor], *layers: T.Module) -> None:
        super().__init__()
        self.function, self.layers = function, T.ModuleList(layers)

    def forward(self, *args: Any) -> torch.Tensor:
        return self.function(*args)


def dropout(layer):
    """PyTorch draws other masks, so its counterpart is given this library's."""

    def drop(x):
        if not layer.training:
            return TF.dropout(x, layer.p, training=False)
        minires.manual_seed(0)
        kept = layer(Tensor(np.ones(tuple(x.shape)))).numpy() != 0
        minires.manual_seed(0)
        return torch.where(torch.from_numpy(kept), x / (1 - layer.p), 0 * x)

    return Apply(drop)


def convolution(m):
    return Images(
        T.Conv2d(
            m.in_channels,
            m.out_channels,
            m.kernel_size,
            m.stride,
            m.padding,
            m.dilation,
            m.groups,
            bias=m.bias is not None,
        )
    )


def transposed_convolution(m):
    return Images(
        T.ConvTranspose2d(
            m.in_channels,
            m.out_channels,
            m.kernel_size,
            m.stride,
            m.padding,
            m.output_padding,
            m.groups,
            m.bias is not None,
            m.dilation,
        )
    )


class Table(T.Module):
    """An embedding whose weights are turned, as those of all other layers are."""

    def __init__(self, m):
        super().__init__()
        self.weight = T.Parameter(torch.zeros(m.embedding_dim, m.num_embeddings))
        self.padding_idx = m.padding_idx

    def forward(self, numbers):
        return TF.embedding(torch.from_numpy(numbers), self.weight.T, self.padding_idx)


class SqueezeExcitation(T.Module):
    def __init__(self, m):
        super().__init__()
        self.fc1 = T.Conv2d(m.fc1.in_channels, m.fc1.out_channels, 1)
        self.fc2 = T.Conv2d(m.fc2.in_channels, m.fc2.out_channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class Attention(T.Module):
    """Masks are arrays; a causal one has to be written out; dropout's mask is this library's."""

    def __init__(self, m):
        super().__init__()
        self.layer = T.MultiheadAttention(
            m.embed_dim, m.num_heads, m.dropout, m.in_proj_bias is not None, batch_first=True
        )
        self.layer.register_forward_pre_hook(lambda *_: None)  # not the fast path

    def parameters(self, recurse=True):
        return self.layer.parameters(recurse)

    def forward(self, q, k, v, attn_mask=None, key_padding_mask=None, is_causal=False, **options):
        if is_causal:
            attn_mask = ~np.tri(q.shape[1], k.shape[1], dtype=bool)
        masks = (
            mask if mask is None else torch.as_tensor(mask)
            for mask in (key_padding_mask, attn_mask)
        )
        given = dict(zip(("key_padding_mask", "attn_mask"), masks, strict=True))
        if self.layer.dropout and self.training:
            n, heads = len(q), self.layer.num_heads
            minires.manual_seed(0)
            ones = Tensor(np.ones((n, heads, q.shape[1], k.shape[1])))
            kept = nn.functional.dropout(ones, self.layer.dropout).numpy()
            minires.manual_seed(0)
            return self.dropped(q, k, v, torch.from_numpy(kept), given["attn_mask"])
        return self.layer(q, k, v, **given, **options)[0]

    def dropped(self, q, k, v, kept, mask):
        """The layer step by step, with weights dropped by a mask."""
        m = self.layer
        weights = m.in_proj_weight.chunk(3)
        biases = m.in_proj_bias.chunk(3)
        q, k, v = (
            TF.linear(x, w, b).unflatten(2, (m.num_heads, -1)).transpose(1, 2)
            for x, w, b in zip((q, k, v), weights, biases, strict=True)
        )
        scores = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).masked_fill(mask, -torch.inf)
        out = (scores.softmax(-1) * kept.to(q.dtype)) @ v
        return m.out_proj(out.transpose(1, 2).flatten(2))


def norm(kind):
    def make(m):
        return Images(
            kind(
                m.num_features,
                eps=m.eps,
                momentum=m.momentum,
                affine=m.weight is not None,
                track_running_stats=m.running_mean is not None,
            )
        )

    return make


def max_pool(m):
    return Images(T.MaxPool2d(m.kernel_size, m.stride, m.padding, ceil_mode=m.ceil_mode))


def avg_pool(m):
    windows = m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad
    return Images(T.AvgPool2d(*windows))


def min_pool(m):
    layer = T.MaxPool2d(m.kernel_size, m.stride, m.padding, ceil_mode=m.ceil_mode)
    return Images(Apply(lambda x: -layer(-x)))


def loss(kind, **options):
    """Labels are arrays, and classes the last axis; weights and options have the same names."""

    def make(m):
        given = {key: getattr(m, key) for key in options}
        given = {
            key: torch.tensor(value.numpy()) if isinstance(value, Tensor) else value
            for key, value in given.items()
        }
        layer = kind(reduction=m.reduction, **given)

        def compute(x, y):
            y = y if isinstance(y, torch.Tensor) else torch.tensor(y)
            if kind in (T.BCELoss, T.BCEWithLogitsLoss):
                y = y.to(x.dtype)
            return layer(nchw(x) if kind is T.NLLLoss and x.ndim > 2 else x, y)

        return Apply(compute, layer)

    return make


class Scaled(T.Module):
    """A ParameterList and a ParameterDict at work; a weight of two axes is turned."""

    def __init__(self, m):
        super().__init__()
        self.factors = T.ParameterList(torch.zeros(tuple(p.shape)) for p in m.factors)
        self.shifts = T.ParameterDict({"after": torch.zeros(m.shifts["after"].shape[::-1])})

    def forward(self, x):
        return x * self.factors[0] * self.factors[1] + self.shifts["after"].T


def sum_of(m):
    modules = m.branches if hasattr(m, "branches") else m.parts.values()
    layers = [layer(child) for child in modules]
    return Apply(lambda x: sum((one(x) for one in layers[1:]), layers[0](x)), *layers)


LAYERS: dict[str, Callable[[Any], T.Module]] = {
    "AdaptiveAvgPool2d": lambda m: Images(T.AdaptiveAvgPool2d(m.output_size)),
    "Add": lambda m: Apply(torch.add),
    "AvgPool2d": avg_pool,
    "BCELoss": loss(T.BCELoss, weight=True),
    "BCEWithLogitsLoss": loss(T.BCEWithLogitsLoss, weight=True, pos_weight=True),
    "BatchNorm1d": norm(T.BatchNorm1d),
    "BatchNorm2d": norm(T.BatchNorm2d),
    "Branches": sum_of,  # a ModuleList at work
    "Conv2d": convolution,
    "CrossEntropyLoss": loss(
        T.CrossEntropyLoss, label_smoothing=True, weight=True, ignore_index=True
    ),
    "Dropout": dropout,
    "Dropout2d": dropout,
    "ConvTranspose2d": transposed_convolution,
    "Embedding": Table,
    "Flatten": lambda m: T.Flatten(m.start_dim),
    "GELU": lambda m: T.GELU(m.approximate),
    "GroupNorm": lambda m: Images(
        T.GroupNorm(
            m.num_groups, m.num_channels, m.eps, m.weight is not None, bias=m.bias is not None
        )
    ),
    "Identity": lambda m: T.Identity(),
    "KLDivLoss": loss(T.KLDivLoss, log_target=True),
    "L1Loss": loss(T.L1Loss),
    "LayerNorm": lambda m: T.LayerNorm(
        m.normalized_shape, m.eps, m.weight is not None, m.bias is not None
    ),
    "LeakyReLU": lambda m: T.LeakyReLU(m.negative_slope),
    "Linear": lambda m: T.Linear(m.in_features, m.out_features, bias=m.bias is not None),
    "MSELoss": loss(T.MSELoss),
    "MaxPool2d": max_pool,
    "MinPool2d": min_pool,
    "NLLLoss": loss(T.NLLLoss, weight=True, ignore_index=True),
    "Named": sum_of,  # a ModuleDict at work
    "MultiheadAttention": Attention,
    "ReLU": lambda m: T.ReLU(),
    "Scaled": Scaled,
    "Sequential": lambda m: T.Sequential(*(layer(child) for child in m)),
    "SiLU": lambda m: T.SiLU(),
    "Sigmoid": lambda m: T.Sigmoid(),
    "SmoothL1Loss": loss(T.SmoothL1Loss, beta=True),
    "Softmax": lambda m: T.Softmax(-1 if m.dim is None else m.dim),
    "LogSoftmax": lambda m: T.LogSoftmax(-1 if m.dim is None else m.dim),
    "SqueezeExcitation": lambda m: Images(SqueezeExcitation(m)),
    "StochasticDepth": dropout,
    "Tanh": lambda m: T.Tanh(),
    "Upsample": lambda m: Images(T.Upsample(m.size, m.scale_factor, m.mode, m.align_corners)),
}


def layer(module: nn.Module) -> T.Module:
    """The counterpart of a layer, with no weights copied yet."""
    return LAYERS[type(module).__name__](module).train(module.training)


def to_torch(array: np.ndarray) -> torch.Tensor:
    """A weight in PyTorch's layout."""
    axes = {2: (1, 0), 4: (3, 2, 0, 1)}.get(array.ndim, range(array.ndim))
    return torch.tensor(array.transpose(*axes).copy())


def copy_state(module: nn.Module, twin: T.Module) -> None:
    """Parameters and buffers, which both list in order of definition."""
    with torch.no_grad():
        for ours, theirs in ((module.parameters, twin.parameters), (module.buffers, twin.buffers)):
            for mine, other in zip(ours(), theirs(), strict=True):
                other.copy_(to_torch(mine.numpy()))
