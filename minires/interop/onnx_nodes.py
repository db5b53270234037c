"""What each kind of ONNX node is as a layer or a function.

ONNX has channels first. Here every tensor of four axes is kept with its second axis last, which is
the same numbers in another order, and each node is read accordingly; no axis is moved on the way
unless the graph itself moves one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn, ops
from minires.tensors import Tensor
from minires.text import shown

KEPT = (0, 2, 3, 1)  # the axes of the graph, in the order in which four are kept
GRAPHS = (0, 3, 1, 2)  # and back


def turn(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A tensor of four axes in another order, any other as it is."""
    return x.transpose(*axes) if x.ndim == 4 else x


OWN_DOMAIN = ("", "ai.onnx")

# attributes that change nothing here: whatever they say (None), or where they say this
HARMLESS: dict[str, int | None] = dict.fromkeys(("kernel_shape", "ratio", "seed", "storage_order"))
HARMLESS |= {"allowzero": 0, "noop_with_empty_axes": 0, "spatial": 1}


def kind_of(node: Any) -> str:
    """A node's operation, with its domain where that is not ONNX's own."""
    return shown(node.op_type if node.domain in OWN_DOMAIN else f"{node.domain}.{node.op_type}")


class Node:
    """A node with its attributes as Python values, and those inputs that are constants."""

    def __init__(
        self, onnx: Any, node: Any, constants: dict[str, NDArray[Any]], opset: int
    ) -> None:
        self.kind, self.name = kind_of(node), shown(node.name or node.output[0], 60)
        self.inputs, self.output = tuple(node.input), node.output[0]
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        self.constants, self.opset = constants, opset
        self.read: set[str] = set()

    def get(self, name: str, default: Any) -> Any:
        self.read.add(name)
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def constant(self, index: int, default: Any = None) -> Any:
        """The constant that is input number `index`."""
        name = self.inputs[index] if index < len(self.inputs) else ""
        if not name:
            return default
        if name not in self.constants:
            raise ValueError(f"{shown(name, 60)} is computed, a constant was wanted")
        return self.constants[name]

    def numbers(self, name: str, index: int, default: Any = None) -> Any:
        """Whole numbers that older opsets have as an attribute and newer ones as an input."""
        if name in self.attributes:
            return tuple(self.get(name, ()))
        found = self.constant(index)
        return default if found is None else tuple(int(n) for n in np.ravel(found))

    def refuse(self, what: str) -> ValueError:
        return ValueError(f"{what} is not known here")

    def refuse_unread(self) -> None:
        """An attribute that its reader did not look at may say that something else is meant."""
        for name, value in self.attributes.items():
            if name not in self.read and HARMLESS.get(name, object()) not in (None, value):
                raise self.refuse(f"the attribute {shown(name, 60)}")


class _Padded(nn.Module):
    """Unequal padding before a layer of windows, or as much as keeps the size ("SAME")."""

    def __init__(self, layer: Any, pads: tuple[int, ...] | str, value: float) -> None:
        super().__init__()
        self.layer, self.pads, self.value = layer, pads, value

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C')."""
        if isinstance(self.pads, str):
            top_left, bottom_right = zip(*map(self._same, x.shape[1:3], range(2)), strict=True)
        else:
            top_left, bottom_right = self.pads[:2], self.pads[2:]
        width = ((0, 0), *zip(top_left, bottom_right, strict=True), (0, 0))
        out: Tensor = self.layer(ops.pad(x, width=width, value=self.value))
        return out

    def _same(self, length: int, axis: int) -> tuple[int, int]:
        stride, kernel = self.layer.stride[axis], self.layer.kernel_size[axis]
        dilation = getattr(self.layer, "dilation", (1, 1))[axis]
        reach = (-(-length // stride) - 1) * stride + (kernel - 1) * dilation + 1
        less = max(reach - length, 0) // 2
        more = max(reach - length, 0) - less
        return (less, more) if self.pads == "SAME_UPPER" else (more, less)


class _WithConstant(nn.Module):
    """`operation(x, constant)`, or the other way round."""

    def __init__(self, operation: Any, constant: NDArray[Any], first: bool) -> None:
        super().__init__()
        self.operation, self.first = operation, first
        self.register_buffer("constant", Tensor(np.array(constant)))

    def forward(self, x: Tensor) -> Tensor:
        """Shapes broadcast as in the graph."""
        constant: Tensor = self.constant
        constant = constant.reshape((1,) * (x.ndim - constant.ndim) + constant.shape)
        constant = turn(constant, KEPT)
        y: Tensor = self.operation(*((constant, x) if self.first else (x, constant)))
        return y


class _InGraphsOrder(nn.Module):
    """A layer or function that cares about the order of axes, given the graph's."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return turn(self.function(turn(x, GRAPHS)), KEPT)


def _set(parameter: Tensor, values: NDArray[Any]) -> None:
    if parameter.shape != values.shape:
        raise ValueError(f"weights of shape {values.shape}, wanted {tuple(parameter.shape)}")
    parameter.copy_(values)


def _windows(node: Node, kernel: Sequence[int]) -> tuple[dict[str, Any], tuple[int, ...] | str]:
    """Stride and symmetric padding of a layer, and what must be padded before it."""
    if len(kernel) != 2:
        raise node.refuse(f"a window of {len(kernel)} axes")
    rule = node.get("auto_pad", "NOTSET")
    pads, stride = tuple(node.get("pads", (0, 0, 0, 0))), tuple(node.get("strides", (1, 1)))
    if rule not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"padding called {shown(str(rule), 60)}")
    if (len(pads), len(stride)) != (4, 2):
        raise ValueError(f"{len(pads)} pads and {len(stride)} strides, wanted 4 and 2")
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        before: tuple[int, ...] | str = rule
        padding: tuple[int, ...] = (0, 0)
    elif rule == "VALID" or pads[:2] == pads[2:]:
        before, padding = (), (0, 0) if rule == "VALID" else pads[:2]
    else:
        before, padding = pads, (0, 0)
    return {"stride": stride, "padding": padding}, before


def _conv(node: Node) -> nn.Module:
    weight, bias = node.constant(1), node.constant(2)
    walk, before = _windows(node, weight.shape[2:])
    groups = node.get("group", 1)
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        weight.shape[2:],
        **walk,
        dilation=tuple(node.get("dilations", (1, 1))),
        groups=groups,
        bias=bias is not None,
    )
    _set(layer.weight, weight.transpose(2, 3, 1, 0))
    if layer.bias is not None:
        _set(layer.bias, bias)
    return _Padded(layer, before, 0.0) if before else layer


def _batch_norm(node: Node) -> nn.Module:
    if node.get("training_mode", 0):
        raise node.refuse("batch norm in training mode")
    arrays = [node.constant(i) for i in range(1, 5)]
    layer = nn.BatchNorm2d(
        len(arrays[0]), eps=node.get("epsilon", 1e-5), momentum=1 - node.get("momentum", 0.9)
    )
    for part, array in zip(
        (layer.weight, layer.bias, layer.running_mean, layer.running_var), arrays, strict=True
    ):
        _set(part, array)
    return layer


def _linear(node: Node, weight: NDArray[Any], bias: NDArray[Any] | None) -> nn.Module:
    if weight.ndim != 2:
        raise node.refuse(f"a product with an array of {weight.ndim} axes")
    inputs, outputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None)
    _set(layer.weight, weight)
    if layer.bias is not None and bias is not None:
        _set(layer.bias, np.broadcast_to(bias, (1, outputs))[0])
    return _InGraphsOrder(layer)


def _gemm(node: Node) -> nn.Module:
    weight, bias = node.constant(1), node.constant(2)
    if node.get("transA", 0):
        raise node.refuse("transA")
    weight = weight.T if node.get("transB", 0) else weight
    beta = np.float32(node.get("beta", 1.0))
    bias = None if bias is None else bias * beta
    return _linear(node, weight * np.float32(node.get("alpha", 1.0)), bias)


def _matmul(node: Node) -> nn.Module:
    return _linear(node, node.constant(1), None)


def _max_pool(node: Node) -> nn.Module:
    if node.get("ceil_mode", 0) or set(node.get("dilations", (1,))) != {1}:
        raise node.refuse("ceil_mode or a dilation")
    walk, before = _windows(node, node.get("kernel_shape", ()))
    layer = nn.MaxPool2d(tuple(node.get("kernel_shape", ())), **walk)
    return _Padded(layer, before, -np.inf) if before else layer


def _average_pool(node: Node) -> nn.Module:
    walk, before = _windows(node, node.get("kernel_shape", ()))
    uncounted = not node.get("count_include_pad", 0)
    if node.get("ceil_mode", 0) or set(node.get("dilations", (1,))) != {1}:
        raise node.refuse("ceil_mode or a dilation")
    if uncounted and (before or walk["padding"] != (0, 0)):
        raise node.refuse("padding that does not count")
    layer = nn.AvgPool2d(tuple(node.get("kernel_shape", ())), **walk)
    return _Padded(layer, before, 0.0) if before else layer


def _elementwise(operation: Any) -> Callable[[Node], Callable[..., Tensor]]:
    def read(node: Node) -> Callable[..., Tensor]:
        for i, name in enumerate(node.inputs):
            if name in node.constants:
                return _WithConstant(operation, node.constants[name], first=i == 0)
        run: Callable[..., Tensor] = operation
        return run

    return read


def _pad(node: Node) -> Callable[..., Tensor]:
    pads, value = node.numbers("pads", 1), node.get("value", node.constant(2, 0.0))
    if node.get("mode", "constant") != "constant" or node.constant(3) is not None:
        raise node.refuse("a mode other than constant, or axes")
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    width = tuple(zip(before, after, strict=True))
    if len(width) == 4:
        width = tuple(width[axis] for axis in KEPT)
    return lambda x: ops.pad(x, width=width, value=float(np.ravel(value)[0]))


def _transpose(node: Node) -> Callable[..., Tensor]:
    given = node.get("perm", None)

    def run(x: Tensor) -> Tensor:
        perm = tuple(range(x.ndim)[::-1] if given is None else given)
        if x.ndim == 4:  # where the axis is kept that comes to where KEPT[i] is kept
            perm = tuple(KEPT.index(perm[axis]) for axis in KEPT)
        return x.transpose(*perm)

    return run


def _slice(node: Node) -> Callable[..., Tensor]:
    starts, ends = node.numbers("starts", 1), node.numbers("ends", 2)
    axes = node.numbers("axes", 3, range(len(starts)))
    steps = node.numbers("steps", 4, (1,) * len(starts))

    def run(x: Tensor) -> Tensor:
        key = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            axis %= x.ndim
            stop = None if step < 0 and end < -x.shape[axis] else end
            key[KEPT.index(axis) if x.ndim == 4 else axis] = slice(start, stop, step)
        return x[tuple(key)]

    return run


def _flatten(node: Node) -> nn.Module:
    axis = node.get("axis", 1)

    def run(x: Tensor) -> Tensor:
        rows = int(np.prod(x.shape[:axis], dtype=int))
        return x.reshape(rows, x.size // rows)

    return _InGraphsOrder(run)


def _reshape(node: Node) -> nn.Module:
    shape = node.numbers("shape", 1)
    return _InGraphsOrder(
        lambda x: x.reshape(tuple(x.shape[i] if n == 0 else n for i, n in enumerate(shape)))
    )


def _squeeze(node: Node) -> nn.Module:
    axes = node.numbers("axes", 1)

    def run(x: Tensor) -> Tensor:
        ones = {i for i, n in enumerate(x.shape) if n == 1}
        gone = ones if axes is None else {axis % x.ndim for axis in axes}
        if not gone <= ones:
            raise ValueError(f"Squeeze {node.name}: axes {axes} of shape {tuple(x.shape)}")
        return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in gone))

    return _InGraphsOrder(run)


def _reduce_mean(node: Node) -> nn.Module:
    axes, keepdims = node.numbers("axes", 1), bool(node.get("keepdims", 1))
    return _InGraphsOrder(lambda x: x.mean(axis=axes, keepdims=keepdims))


def _softmax(node: Node) -> nn.Module:
    if node.opset >= 13:
        return _InGraphsOrder(nn.Softmax(node.get("axis", -1)))
    axis = node.get("axis", 1)  # before, over it and all axes behind it together

    def run(x: Tensor) -> Tensor:
        rows = int(np.prod(x.shape[: axis % x.ndim], dtype=int))
        return ops.softmax(x.reshape(rows, x.size // rows)).reshape(x.shape)

    return _InGraphsOrder(run)


def _same(node: Node) -> Callable[..., Tensor]:
    return lambda x: x


def _dropout(node: Node) -> Callable[..., Tensor]:
    if np.any(node.constant(2, False)):
        raise node.refuse("dropout in training mode")
    return lambda x, *ratio: x


READERS: dict[str, Callable[[Node], Callable[..., Tensor]]] = {
    "Add": _elementwise(ops.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "Div": _elementwise(ops.divide),
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node: nn.AdaptiveAvgPool2d(1),
    "Identity": _same,
    "LeakyRelu": lambda node: nn.LeakyReLU(node.get("alpha", 0.01)),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _elementwise(ops.multiply),
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": lambda node: nn.ReLU(),
    "Reshape": _reshape,
    "Sigmoid": lambda node: nn.Sigmoid(),
    "Slice": _slice,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _elementwise(ops.subtract),
    "Tanh": lambda node: nn.Tanh(),
    "Transpose": _transpose,
}
"""What makes a layer or a function out of each kind of node."""
