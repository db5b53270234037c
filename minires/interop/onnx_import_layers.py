"""ONNX nodes that become layers: those with weights, pooling, and the usual nonlinearities.

A reader takes the node's constants and gives a module of the node's first input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn
from minires.interop.onnx_nodes import Node
from minires.interop.onnx_values import graphs, kept, widened
from minires.interop.padded_windows import Windows, pooled, windowed
from minires.tensors import Tensor

SAME = {"SAME_UPPER": "upper", "SAME_LOWER": "lower"}


def set_values(layer: nn.Module, **values: NDArray[Any] | None) -> nn.Module:
    """Give a layer's parameters and buffers these values, and their precision.

    Raises
    ------
    ValueError
        If one has another shape.
    """
    for name, value in values.items():
        if value is None:
            continue
        parameter, value = getattr(layer, name), widened(value)
        if parameter.shape != value.shape:
            raise ValueError(f"weights of shape {value.shape}, wanted {tuple(parameter.shape)}")
        if value.dtype == np.float64:
            layer.to(dtype=np.float64)
        parameter.copy_(value)
    return layer


class _InGraphsOrder(nn.Module):
    """A layer that works on the last axis, which is another one in the graph."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return kept(self.layer(graphs(x)))


class _BatchNorm(nn.BatchNorm2d):
    """Batch norm of any rank: the channels are the graph's second axis."""

    def forward(self, x: Tensor, **more: Any) -> Tensor:
        """As in the graph, (N, C, ...)."""
        if x.ndim == 4:
            return super().forward(x, **more)
        if x.ndim < 2:
            raise ValueError(f"batch norm wants (N, C, ...), got {tuple(x.shape)}")
        axes = (0, *range(2, x.ndim), 1)
        last = x.transpose(*axes)
        y = super().forward(last.reshape(last.shape[0], -1, 1, last.shape[-1]), **more)
        return y.reshape(last.shape).transpose(*np.argsort(axes))


def _windows(node: Node, kernel: Sequence[int], ceil: bool = False) -> Windows:
    if len(kernel) != 2:
        raise node.refuse(f"a window of {len(kernel)} axes")
    rule = node.get("auto_pad", "NOTSET")
    pads, stride = tuple(node.get("pads", (0, 0, 0, 0))), tuple(node.get("strides", (1, 1)))
    dilation = tuple(node.get("dilations", (1, 1)))
    if rule not in ("NOTSET", "VALID", *SAME):
        raise node.refuse(f"padding called {rule!r}")
    if (len(pads), len(stride)) != (4, 2):
        raise ValueError(f"{len(pads)} pads and {len(stride)} strides, wanted 4 and 2")
    if len(dilation) != 2:
        raise ValueError(f"{len(dilation)} dilations, wanted 2")
    if rule != "NOTSET":
        pads = (0, 0, 0, 0)
    return Windows(tuple(kernel), stride, dilation, pads, SAME.get(rule, ""), ceil)  # type: ignore[arg-type]


def _conv(node: Node) -> nn.Module:
    weight, bias = node.constant(1), node.constant(2)
    if tuple(node.get("kernel_shape", weight.shape[2:])) != weight.shape[2:]:
        raise ValueError(f"kernel_shape {node.get('kernel_shape', ())}, weights {weight.shape}")
    windows, groups = _windows(node, weight.shape[2:]), node.get("group", 1)

    def make(padding: tuple[int, int]) -> nn.Module:
        layer = nn.Conv2d(
            weight.shape[1] * groups,
            weight.shape[0],
            windows.kernel,
            windows.stride,
            padding,
            windows.dilation,
            groups,
            bias is not None,
        )
        return set_values(layer, weight=weight.transpose(2, 3, 1, 0), bias=bias)

    return windowed(windows, make)


def _batch_norm(node: Node) -> nn.Module:
    if node.get("training_mode", 0) or (node.opset < 14 and len(node.outputs) > 1):
        raise node.refuse("batch norm in training mode")
    weight, bias, mean, var = (node.constant(i) for i in range(1, 5))
    layer = _BatchNorm(
        len(weight), eps=node.get("epsilon", 1e-5), momentum=1 - node.get("momentum", 0.9)
    )
    return set_values(layer, weight=weight, bias=bias, running_mean=mean, running_var=var)


def _linear(weight: NDArray[Any], bias: NDArray[Any] | None) -> nn.Module:
    """A product with a matrix (in, out)."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias is not None)
    set_values(layer, weight=weight, bias=bias)
    return _InGraphsOrder(layer)


def _gemm(node: Node) -> nn.Module | None:
    if not (node.is_constant(1) and (node.is_constant(2) or not node.given(2))):
        return None
    weight, bias = widened(node.constant(1)), node.constant(2)
    if weight.ndim != 2 or node.get("transA", 0):
        return None
    weight = weight.T if node.get("transB", 0) else weight
    weight = weight * weight.dtype.type(node.get("alpha", 1.0))
    if bias is not None:
        if bias.ndim > 2 or (bias.ndim == 2 and bias.shape[0] != 1):
            return None  # a bias for each row
        bias = widened(bias)
        bias = np.broadcast_to(bias * bias.dtype.type(node.get("beta", 1.0)), (1, weight.shape[1]))
    return _linear(weight, None if bias is None else bias[0])


def _matmul(node: Node) -> nn.Module | None:
    if not node.is_constant(1) or node.constant(1).ndim != 2:
        return None
    return _linear(node.constant(1), None)


def _max_pool(node: Node) -> nn.Module:
    ceil = bool(node.get("ceil_mode", 0))
    return pooled(_windows(node, node.get("kernel_shape", ()), ceil))


def _average_pool(node: Node) -> nn.Module:
    ceil, counted = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    return pooled(_windows(node, node.get("kernel_shape", ()), ceil), True, counted)


def weights_of(kind: str, layer: nn.Module) -> dict[int, NDArray[Any]]:
    """A layer's weights as they are now, in ONNX's layout, by the number of the node's input."""
    if kind == "Conv":
        conv = layer[-1] if isinstance(layer, nn.Sequential) else layer
        found = {1: conv.weight.data.transpose(3, 2, 0, 1)}
        return found if conv.bias is None else {**found, 2: conv.bias.data}
    if kind == "BatchNormalization":
        parts = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        return {i: part.data for i, part in enumerate(parts, 1)}
    if isinstance(layer, _InGraphsOrder):
        linear = layer.layer
        found = {1: linear.weight.data}
        return found if linear.bias is None else {**found, 2: linear.bias.data}
    return {}


LAYERS: dict[str, Callable[[Node], nn.Module | None]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node: nn.AdaptiveAvgPool2d(1),
    "LeakyRelu": lambda node: nn.LeakyReLU(node.get("alpha", 0.01)),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Relu": lambda node: nn.ReLU(),
    "Sigmoid": lambda node: nn.Sigmoid(),
    "Tanh": lambda node: nn.Tanh(),
}
"""What makes a layer out of a node; None where its inputs are not those of a layer."""
