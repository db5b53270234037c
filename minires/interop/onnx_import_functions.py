"""ONNX nodes that become functions of their inputs, of which one at least is a Tensor.

A reader looks at a node's attributes and gives a function of all its inputs; None stands for one
that is left out. What only moves numbers is in `onnx_import_shapes`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minires import ops
from minires.interop.onnx_nodes import Node
from minires.interop.onnx_values import (
    Value,
    aligned,
    along_channels,
    as_tensor,
    graphs,
    graphs_shape,
    kept,
    kept_axis,
    whole,
)
from minires.interop.size_limits import check_size
from minires.tensors import Tensor

Run = Callable[..., Any]
Reader = Callable[[Node], Run]

# ---------------------------------------------------------------------- element by element


def _joined(operation: Any, *values: Value) -> Tensor:
    """`operation` of two values after the other, which broadcast as in the graph."""
    tensors = aligned(values)
    check_size(np.broadcast_shapes(*(t.shape for t in tensors)))
    found: Tensor = functools.reduce(operation, tensors)
    return found


def _mean_of(*values: Value) -> Tensor:
    return _joined(ops.add, *values) / len(values)


def _power(base: Value, exponent: Value) -> Tensor:
    if not isinstance(exponent, Tensor) and exponent.size == 1 and exponent.ndim <= base.ndim:
        return ops.power(base, exponent.item())
    return _joined(ops.power, base, exponent)


def _read_power(node: Node) -> Run:
    if not node.computed(0) and not (node.is_constant(0) and node.constant(0).dtype.kind == "f"):
        raise node.refuse("a power of whole numbers")  # which is a whole number too
    return _power


def _where(condition: Value, x: Value, y: Value) -> Tensor:
    tensors = aligned((condition, x, y))
    check_size(np.broadcast_shapes(*(t.shape for t in tensors)))
    return ops.where(*tensors)


def _clip(x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """Between bounds that are computed."""
    y = x if low is None else _joined(ops.maximum, x, low)
    return y if high is None else _joined(ops.minimum, y, high)


def _read_clip(node: Node) -> Run:
    if node.opset < 11:
        bounds = [node.get("min", None), node.get("max", None)]
    elif all(node.is_constant(i) or not node.given(i) for i in (1, 2)):
        bounds = [node.constant(1), node.constant(2)]
    else:
        return _clip
    low, high = (None if b is None else float(np.ravel(b)[0]) for b in bounds)
    if low is None and high is None:
        return _same
    return lambda x, *_: ops.clip(x, low=low, high=high)


def _exponential(x: Tensor, alpha: float, gamma: float = 1.0, scale: float = 1.0) -> Tensor:
    """`gamma x` where positive, else `gamma alpha (exp(x / scale) - 1)`: ELU, SELU and CELU."""
    below = (ops.exp(ops.clip(x, high=0.0) / scale) - 1.0) * alpha
    y: Tensor = ops.where(x > 0, x, below)
    return y * gamma


def _softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`, which does not overflow."""
    zero = as_tensor(np.zeros(graphs_shape(x), x.dtype), x)
    y: Tensor = ops.logsumexp(ops.stack((x, zero), axis=0), axis=0)
    return y


def _hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    return ops.clip(x * alpha + beta, low=0.0, high=1.0)


def _prelu(x: Value, slope: Value) -> Tensor:
    return _joined(lambda a, b: ops.where(a < 0, a * b, a), x, slope)


def _same(x: Any, *_: Any) -> Any:
    return x


def _read_dropout(node: Node) -> Run:
    if node.given(2) and np.any(node.constant(2)):
        raise node.refuse("dropout in training mode")
    return _same


FLOATS = {1: np.float32, 10: np.float16, 11: np.float64}
"""Floating-point numbers by ONNX's number for their type."""
WHOLE = {2, 3, 4, 5, 6, 7, 9, 12, 13}
"""ONNX's numbers for the types of whole numbers, and of truth."""


def _cast(x: Tensor, to: int) -> Tensor:
    """Half precision rounds, and is computed with as float32."""
    y: Tensor = x.astype(FLOATS[to])
    return y.astype(np.float32) if to == 10 else y


def _read_cast(node: Node) -> Run:
    to = node.get("to", 1)
    node.get("saturate", 1), node.get("round_mode", "up")  # which are for numbers of 8 bits
    return partial(_cast, to=to)


# ---------------------------------------------------------------------- over axes


def _reduce(operation: Any, x: Tensor, axes: Any = None, *, keepdims: bool, noop: bool) -> Tensor:
    """Over no axes at all: over every one, or as `noop` says over none."""
    given = whole(axes) or (() if noop else tuple(range(x.ndim)))
    there = tuple(kept_axis(axis, x.ndim) for axis in given)
    y: Tensor = operation(x, axis=there, keepdims=True)
    if keepdims:
        return y
    gone = {axis % x.ndim for axis in given}
    return kept(graphs(y).reshape([n for i, n in enumerate(graphs_shape(y)) if i not in gone]))


def _read_reduce(operation: Any) -> Reader:
    def read(node: Node) -> Run:
        run = partial(
            _reduce,
            operation,
            keepdims=bool(node.get("keepdims", 1)),
            noop=bool(node.get("noop_with_empty_axes", 0)),
        )
        axes = node.numbers("axes")
        return run if axes is None else partial(run, axes=axes)

    return read


def _sum_of(change: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> Any:
    def operation(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> Tensor:
        return after(ops.sum(change(x), axis=axis, keepdims=keepdims))

    return operation


def _read_softmax(operation: Any) -> Reader:
    def read(node: Node) -> Run:
        if node.opset >= 13:
            axis = node.get("axis", -1)
            return lambda x: operation(x, axis=kept_axis(axis, x.ndim))
        axis = node.get("axis", 1)  # before, over it and all axes behind it together

        def run(x: Tensor) -> Tensor:
            if not -x.ndim <= axis <= x.ndim:
                raise ValueError(f"axis {axis} of a tensor of {x.ndim} axes")
            ordered, first = graphs(x), axis if axis >= 0 else axis + x.ndim
            rows = ordered.reshape(*ordered.shape[:first], -1)
            return kept(operation(rows, axis=-1).reshape(ordered.shape))

        return run

    return read


def _global_max(x: Tensor) -> Tensor:
    y: Tensor = ops.max(x, axis=_spatial(x), keepdims=True)
    return y


def _spatial(x: Tensor) -> tuple[int, ...]:
    """All axes but the images' and the channels'."""
    return tuple(kept_axis(axis, x.ndim) for axis in range(2, x.ndim))


# ---------------------------------------------------------------------- normalisation


def _normalised(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    """Mean 0 and variance 1 over some axes."""
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    return centred / ops.sqrt(ops.var(x, axis=axes, keepdims=True) + epsilon)


def _instance_norm(x: Tensor, scale: Value, bias: Value, *, epsilon: float) -> Tensor:
    y = _normalised(x, _spatial(x), epsilon)
    return y * along_channels(scale, x) + along_channels(bias, x)


def _layer_norm(
    x: Tensor, scale: Value, bias: Value | None = None, *, axis: int, epsilon: float
) -> Tensor:
    first = axis % x.ndim
    axes = tuple(kept_axis(i, x.ndim) for i in range(first, x.ndim))
    y = _joined(ops.multiply, _normalised(x, axes, epsilon), scale)
    return y if bias is None else _joined(ops.add, y, bias)


def _group_norm(
    x: Tensor, scale: Value, bias: Value, *, groups: int, epsilon: float, by_group: bool
) -> Tensor:
    ordered = graphs(x)
    rows = ordered.reshape(ordered.shape[0], groups, -1)
    y = _normalised(rows, (2,), epsilon)
    if by_group:  # until opset 20 one scale a group
        y = y * as_tensor(scale, x).reshape(-1, 1) + as_tensor(bias, x).reshape(-1, 1)
        return kept(y.reshape(ordered.shape))
    y = kept(y.reshape(ordered.shape))
    return y * along_channels(scale, y) + along_channels(bias, y)


def _read_group_norm(node: Node) -> Run:
    return partial(
        _group_norm,
        groups=node.get("num_groups", 1),
        epsilon=node.get("epsilon", 1e-5),
        by_group=node.opset < 21,
    )


def _local_response_norm(x: Tensor, size: int, alpha: float, beta: float, bias: float) -> Tensor:
    """Krizhevsky et al. 2012, section 3.3: squares summed over neighbouring channels."""
    axis = kept_axis(1, x.ndim)
    channels = x.shape[axis]
    before = min((size - 1) // 2, channels - 1)
    after = min(size // 2, channels - 1)
    width = tuple((before, after) if i == axis else (0, 0) for i in range(x.ndim))
    squares = ops.pad(x * x, width=width)
    lead = (slice(None),) * axis
    total = sum(
        (squares[(*lead, slice(i, i + channels))] for i in range(1, before + after + 1)),
        squares[(*lead, slice(0, channels))],
    )
    return x / (total * (alpha / size) + bias) ** beta


# ---------------------------------------------------------------------- products


def _product(x: Value, y: Value) -> Tensor:
    like = x if isinstance(x, Tensor) else y
    assert isinstance(like, Tensor)
    a, b = (graphs(as_tensor(value, like)) for value in (x, y))
    if min(a.ndim, b.ndim) > 1:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        check_size((*lead, a.shape[-2], b.shape[-1]))
    return kept(ops.matmul(a, b))


def _gemm(
    x: Value, y: Value, bias: Value | None = None, *, turned: tuple[Any, Any], scales: Any
) -> Tensor:
    like = next(v for v in (x, y, bias) if isinstance(v, Tensor))
    a, b = (
        t.T if turn else t
        for t, turn in zip((as_tensor(x, like), as_tensor(y, like)), turned, strict=True)
    )
    if (a.ndim, b.ndim) != (2, 2):
        raise ValueError(f"a product of arrays of {a.ndim} and {b.ndim} axes, wanted 2 and 2")
    check_size((a.shape[0], b.shape[1]))
    out: Tensor = ops.matmul(a, b) * scales[0]
    return out if bias is None else out + as_tensor(bias, like) * scales[1]


def _read_gemm(node: Node) -> Run:
    for index in (0, 1):
        if node.is_constant(index) and node.constant(index).ndim != 2:
            raise node.refuse(f"a product with an array of {node.constant(index).ndim} axes")
    return partial(
        _gemm,
        turned=(node.get("transA", 0), node.get("transB", 0)),
        scales=(node.get("alpha", 1.0), node.get("beta", 1.0)),
    )


def _join(operation: Any) -> Reader:
    return lambda node: partial(_joined, operation)


def _always(run: Run) -> Reader:
    return lambda node: run


def _with(run: Run, **defaults: Any) -> Reader:
    """`run` with a node's attributes, which have these defaults."""
    return lambda node: partial(run, **{k: node.get(k, value) for k, value in defaults.items()})


FUNCTIONS: dict[str, Reader] = {
    "Abs": _always(ops.absolute),
    "Add": _join(ops.add),
    "Cast": _read_cast,
    "Celu": lambda node: partial(
        _exponential, alpha=node.get("alpha", 1.0), scale=node.get("alpha", 1.0)
    ),
    "Clip": _read_clip,
    "Div": _join(ops.divide),
    "Dropout": _read_dropout,
    "Elu": _with(_exponential, alpha=1.0),
    "Exp": _always(ops.exp),
    "Gemm": _read_gemm,
    "GlobalMaxPool": _always(_global_max),
    "GroupNormalization": _read_group_norm,
    "HardSigmoid": _with(_hard_sigmoid, alpha=0.2, beta=0.5),
    "HardSwish": _always(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5)),
    "Identity": _always(_same),
    "InstanceNormalization": _with(_instance_norm, epsilon=1e-5),
    "LRN": _with(_local_response_norm, size=1, alpha=1e-4, beta=0.75, bias=1.0),
    "LayerNormalization": _with(_layer_norm, axis=-1, epsilon=1e-5),
    "Log": _always(ops.log),
    "LogSoftmax": _read_softmax(ops.log_softmax),
    "MatMul": _always(_product),
    "Max": _join(ops.maximum),
    "Mean": _always(_mean_of),
    "Min": _join(ops.minimum),
    "Mish": _always(lambda x: x * ops.tanh(_softplus(x))),
    "Mul": _join(ops.multiply),
    "Neg": _always(ops.negative),
    "PRelu": _always(_prelu),
    "Pow": _read_power,
    "Reciprocal": _always(lambda x: 1.0 / x),
    "ReduceL1": _read_reduce(_sum_of(ops.absolute, _same)),
    "ReduceL2": _read_reduce(_sum_of(lambda x: x * x, ops.sqrt)),
    "ReduceLogSum": _read_reduce(_sum_of(_same, ops.log)),
    "ReduceLogSumExp": _read_reduce(ops.logsumexp),
    "ReduceMax": _read_reduce(ops.max),
    "ReduceMean": _read_reduce(ops.mean),
    "ReduceMin": _read_reduce(ops.min),
    "ReduceSum": _read_reduce(ops.sum),
    "ReduceSumSquare": _read_reduce(_sum_of(lambda x: x * x, _same)),
    "Selu": _with(_exponential, alpha=1.6732632423543772, gamma=1.0507009873554805),
    "Sign": _always(ops.sign),
    "Softmax": _read_softmax(ops.softmax),
    "Softplus": _always(_softplus),
    "Softsign": _always(lambda x: x / (ops.absolute(x) + 1.0)),
    "Sqrt": _always(ops.sqrt),
    "Sub": _join(ops.subtract),
    "Sum": _join(ops.add),
    "Where": _always(_where),
}
"""What makes a function of Tensors out of a node."""
