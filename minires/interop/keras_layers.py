"""Keras's layers as this package's: images are (N, H, W, C) in both.

A builder takes a layer's configuration and its weights by name, and gives a module.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from minires import nn, ops
from minires.interop.onnx_import_layers import set_values
from minires.interop.padded_windows import Padding, Pair, Windows, pooled, windowed
from minires.nn.functional import pair
from minires.tensors import Tensor

Config = Mapping[str, Any]
Weights = Mapping[str, NDArray[Any]]


class Function(nn.Module):
    """A function of tensors as a layer without weights."""

    def __init__(self, name: str, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.name, self.function, self.options = name, function, options

    def forward(self, *inputs: Tensor) -> Tensor:
        """As many tensors as the function takes."""
        return self.function(*inputs, **self.options)

    def extra_repr(self) -> str:
        return ", ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


# ---------------------------------------------------------------------- layers with weights


def _windows(config: Config, kernel: str) -> Windows:
    padding = config.get("padding", "valid")
    if padding not in ("same", "valid"):
        raise ValueError(f"padding {padding!r} is not known here")
    size = pair(config[kernel], kernel)
    strides = config.get("strides")
    stride = (size if kernel == "pool_size" else (1, 1)) if strides is None else pair(strides)
    dilation = pair(config.get("dilation_rate", 1), "dilation_rate")
    return Windows(size, stride, dilation, same="upper" if padding == "same" else "")


def _convolution(
    config: Config, filters: NDArray[Any], bias: NDArray[Any] | None, groups: int
) -> nn.Module:
    windows = _windows(config, "kernel_size")
    if filters.ndim != 4 or filters.shape[:2] != windows.kernel:
        raise ValueError(f"weights of shape {filters.shape} for windows of {windows.kernel}")

    def make(padding: Pair) -> nn.Module:
        layer = nn.Conv2d(
            filters.shape[2] * groups,
            filters.shape[3],
            windows.kernel,
            windows.stride,
            padding,
            windows.dilation,
            groups,
            bias is not None,
        )
        return set_values(layer, weight=filters, bias=bias)

    return windowed(windows, make)


def _bias(config: Config, weights: Weights) -> Any:
    return weights["bias"] if config.get("use_bias") else weights.get("bias")


def _conv(config: Config, weights: Weights) -> nn.Module:
    return _convolution(config, weights["kernel"], _bias(config, weights), config.get("groups", 1))


def _depthwise(config: Config, weights: Weights) -> nn.Module:
    filters = weights["depthwise_kernel" if "depthwise_kernel" in weights else "kernel"]
    if filters.ndim != 4:
        raise ValueError(f"weights of shape {filters.shape}, wanted four axes")
    kh, kw, channels, times = filters.shape
    return _convolution(
        config, filters.reshape(kh, kw, 1, channels * times), _bias(config, weights), channels
    )


def _separable(config: Config, weights: Weights) -> nn.Module:
    depthwise = {"depthwise_kernel": weights["depthwise_kernel"]}
    pointwise = weights["pointwise_kernel"]
    return nn.Sequential(
        _depthwise({**config, "use_bias": False}, depthwise),
        _convolution({"kernel_size": 1}, pointwise, _bias(config, weights), 1),
    )


def _dense(config: Config, weights: Weights) -> nn.Module:
    matrix, bias = weights["kernel"], _bias(config, weights)
    if matrix.ndim != 2:
        raise ValueError(f"weights of shape {matrix.shape}, wanted two axes")
    return set_values(
        nn.Linear(matrix.shape[0], matrix.shape[1], bias is not None), weight=matrix, bias=bias
    )


class _BatchNorm(nn.BatchNorm2d):
    """Of the last axis, which Keras counts from the first on."""

    ranks = (2, 3, 4)  # type: ignore[assignment]
    axis: Any = -1

    def forward(self, x: Tensor, **more: Any) -> Tensor:
        """(N, ..., C)."""
        if self.axis not in (-1, x.ndim - 1):
            raise ValueError(f"batch norm of axis {self.axis} of {x.ndim} is not known here")
        return super().forward(x, **more)


def _batch_norm(config: Config, weights: Weights) -> nn.Module:
    axis, mean = config.get("axis", -1), weights["moving_mean"]
    layer = _BatchNorm(
        len(mean), eps=config.get("epsilon", 1e-3), momentum=1 - config.get("momentum", 0.99)
    )
    layer.axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    return set_values(
        layer,
        weight=weights["gamma"] if config.get("scale") else weights.get("gamma"),
        bias=weights["beta"] if config.get("center") else weights.get("beta"),
        running_mean=mean,
        running_var=weights["moving_variance"],
    )


# ---------------------------------------------------------------------- activations


def _relu(config: Config, weights: Weights) -> nn.Module:
    most, threshold = config.get("max_value"), config.get("threshold") or 0.0
    slope = config.get("negative_slope") or 0.0
    if threshold or (slope and most is not None):
        raise ValueError("a ReLU with a threshold, or with a slope and a bound, is not known here")
    if slope:
        return nn.LeakyReLU(float(slope))
    return nn.ReLU() if most is None else Function("clip", ops.clip, low=0.0, high=float(most))


def _leaky_relu(config: Config, weights: Weights) -> nn.Module:
    return nn.LeakyReLU(float(config.get("negative_slope", config.get("alpha", 0.3))))


def _elu(x: Tensor, alpha: float) -> Tensor:
    y: Tensor = ops.where(x > 0, x, (ops.exp(ops.clip(x, high=0.0)) - 1.0) * alpha)
    return y


def _swish(x: Tensor) -> Tensor:
    return x * ops.sigmoid(x)


ACTIVATIONS: dict[str, Callable[[], nn.Module | None]] = {
    "linear": lambda: None,
    "relu": nn.ReLU,
    "relu6": lambda: Function("clip", ops.clip, low=0.0, high=6.0),
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(-1),
    "tanh": nn.Tanh,
    "elu": lambda: Function("elu", _elu, alpha=1.0),
    "swish": lambda: Function("swish", _swish),
    "silu": lambda: Function("swish", _swish),
}


def activation(config: Config) -> nn.Module | None:
    """The layer for a configuration's "activation"; None for none.

    Raises
    ------
    ValueError
        If it is not known here.
    """
    name = config.get("activation") or "linear"
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"the activation {name!r} is not known here")
    return ACTIVATIONS[name]()


def _softmax(config: Config, weights: Weights) -> nn.Module:
    if config.get("axis", -1) not in (-1, [-1]):
        raise ValueError("a softmax over another axis than the last is not known here")
    return nn.Softmax(-1)


# ---------------------------------------------------------------------- the others


def _pool(mean: bool) -> Callable[[Config, Weights], nn.Module]:
    return lambda config, weights: pooled(_windows(config, "pool_size"), mean)


def _global_pool(operation: Any) -> Callable[[Config, Weights], nn.Module]:
    def build(config: Config, weights: Weights) -> nn.Module:
        keep = bool(config.get("keepdims", False))
        if operation is ops.mean and not keep:
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Function(operation.__name__, operation, axis=(1, 2), keepdims=keep)

    return build


def _zero_padding(config: Config, weights: Weights) -> nn.Module:
    (top, bottom), (left, right) = config["padding"]
    return Padding(Windows((1, 1), pads=(top, left, bottom, right)), 0.0)


def _reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x.reshape(x.shape[0], *shape)


def _rescale(x: Tensor, scale: float, offset: float) -> Tensor:
    return x * scale + offset


def _concatenated(*inputs: Tensor, axis: int) -> Tensor:
    y: Tensor = ops.concatenate(inputs, axis=axis)
    return y


def _merged(operation: Any, *, mean: bool = False) -> Callable[[Config, Weights], nn.Module]:
    def merge(*inputs: Tensor) -> Tensor:
        total: Tensor = functools.reduce(operation, inputs)
        return total / len(inputs) if mean else total

    name = "mean" if mean else operation.__name__
    return lambda config, weights: Function(name, merge)


def _add(config: Config, weights: Weights) -> nn.Module:
    return nn.Add() if config.get("inputs") == 2 else _merged(ops.add)(config, weights)


LAYERS: dict[str, Callable[[Config, Weights], nn.Module]] = {
    "Activation": lambda config, weights: activation(config) or nn.Identity(),
    "Add": _add,
    "Average": _merged(ops.add, mean=True),
    "AveragePooling2D": _pool(True),
    "BatchNormalization": _batch_norm,
    "Concatenate": lambda config, weights: Function(
        "concatenate", _concatenated, axis=int(config.get("axis", -1))
    ),
    "Conv2D": _conv,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": lambda config, weights: nn.Dropout(float(config.get("rate", 0.5))),
    "ELU": lambda config, weights: Function("elu", _elu, alpha=float(config.get("alpha", 1.0))),
    "Flatten": lambda config, weights: nn.Flatten(),
    "GlobalAveragePooling2D": _global_pool(ops.mean),
    "GlobalMaxPooling2D": _global_pool(ops.max),
    "LeakyReLU": _leaky_relu,
    "MaxPooling2D": _pool(False),
    "Maximum": _merged(ops.maximum),
    "Multiply": _merged(ops.multiply),
    "ReLU": _relu,
    "Rescaling": lambda config, weights: Function(
        "rescale", _rescale, scale=float(config["scale"]), offset=float(config.get("offset", 0.0))
    ),
    "Reshape": lambda config, weights: Function(
        "reshape", _reshape, shape=tuple(config["target_shape"])
    ),
    "SeparableConv2D": _separable,
    "Softmax": _softmax,
    "Subtract": _merged(ops.subtract),
    "ZeroPadding2D": _zero_padding,
}
"""What makes a layer of each of Keras's classes."""
