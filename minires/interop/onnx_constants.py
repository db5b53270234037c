"""What in an ONNX graph does not depend on pixels, computed by ONNX's own reference.

That is what exporters compute in the graph: weights' shapes at load, images' shapes at each call;
and whole numbers and masks, which have no gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.interop.libraries import optional
from minires.interop.onnx_nodes import OWN_DOMAIN, kind_of
from minires.interop.onnx_values import Value, as_array, graphs_shape
from minires.tensors import Tensor
from minires.text import shown

BY_REFERENCE = {
    *("Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape", "Div"),
    *("Equal", "Expand", "Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity"),
    *("Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Range"),
    *("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape", "Sign", "Size"),
    *("Slice", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tile", "Transpose", "Unsqueeze"),
    *("Where", "Xor"),
}
"""Operations on arrays."""

OF_PIXELS = {"ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
OF_PIXELS |= {"Shape", "Size"}
"""Operations on Tensors that give arrays."""

_VIEWS = {"Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}

MOST_WEIGHTS = 2**28  # numbers, where a node says how many and the file does not hold them
SMALL = 10**6


class Budget:
    """How many numbers may yet be computed: a small graph could ask for any amount.

    Raises
    ------
    ValueError
        When more is asked for.
    """

    def __init__(self, numbers: float, filled: float) -> None:
        self.left, self.filled = numbers, filled

    def spend(self, kind: str, given: Sequence[Any]) -> None:
        """Before `kind` is computed of these arrays."""
        if kind == "ConstantOfShape":  # one number, shown many times, takes no memory
            self.filled -= math.prod(float(abs(n)) for n in np.ravel(given[0]))
        else:
            self.left -= _most_numbers(kind, given)
        if min(self.left, self.filled) < 0:
            raise ValueError(
                "the graph computes far more constants than it has weights, which is not known here"
            )


def _most_numbers(kind: str, given: Sequence[Any]) -> float:
    """How many numbers an operation can give, found without computing it."""
    sizes = [float(array.size) for array in given]
    if kind in _VIEWS and not any(getattr(given[0], "strides", (1,))):
        return 0.0  # of one number that is seen many times
    if kind in ("Expand", "Tile"):
        return sizes[0] * math.prod(float(abs(n)) or 1.0 for n in np.ravel(given[1]))
    if kind == "Gather":
        return sizes[0] * sizes[1]
    if kind == "Range":
        start, limit, delta = (float(np.ravel(a)[0]) for a in given)
        return abs((limit - start) / delta) if delta else math.inf
    if kind in ("Concat", "Slice", "Reshape", "Squeeze", "Unsqueeze", "Split"):
        return sum(sizes)
    try:
        return float(math.prod(map(float, np.broadcast_shapes(*(a.shape for a in given)))))
    except ValueError:  # they do not broadcast, which whoever computes it will say
        return sum(sizes)


class OnArrays:
    """A node whose inputs and outputs are arrays."""

    def __init__(self, node: Any, opset: int) -> None:
        self.kind, self.name = kind_of(node), shown(node.name or node.output[0], 60)
        self.node, self.opset = optional("onnx").NodeProto(), opset
        self.node.CopyFrom(node)
        self.node.domain = ""

    def __call__(self, *values: Value | None) -> tuple[NDArray[Any], ...]:
        if self.kind == "ConstantOfShape":
            return (self._filled(values[0]),)
        feeds = {
            name: _shape_only(value) if self.kind in ("Shape", "Size") else as_array(value)
            for name, value in zip(self.node.input, values, strict=True)
            if value is not None
        }
        with np.errstate(all="ignore"):
            found = self._evaluator.run(None, feeds)
        return tuple(np.asarray(array) for array in found)

    def _filled(self, shape: Any) -> NDArray[Any]:
        """One number seen many times, so that no memory is taken before a layer wants it."""
        lengths = [int(n) for n in np.ravel(shape)]
        helper = optional("onnx.numpy_helper")
        value = next((helper.to_array(a.t) for a in self.node.attribute), np.zeros(1, np.float32))
        return np.broadcast_to(value.reshape(()), lengths)

    @functools.cached_property
    def _evaluator(self) -> Any:
        onnx, reference = optional("onnx"), optional("onnx.reference")
        info = onnx.ValueInfoProto
        graph = onnx.helper.make_graph(
            [self.node],
            "node",
            [info(name=name) for name in dict.fromkeys(self.node.input) if name],
            [info(name=name) for name in self.node.output if name],
        )
        return reference.ReferenceEvaluator(graph, opsets={"": self.opset})

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_evaluator"}


def _shape_only(value: Value) -> NDArray[Any]:
    """An array of the value's shape in the graph that takes no memory."""
    kind = np.float32 if isinstance(value, Tensor) else value.dtype
    return np.broadcast_to(np.zeros((), kind), graphs_shape(value))


def fold(nodes: Sequence[Any], constants: dict[str, NDArray[Any]], opset: int) -> list[Any]:
    """Compute the nodes that depend on no image, whose outputs join the constants; the others.

    Raises
    ------
    ValueError
        If there is far more to compute than there are weights.
    """
    budget = Budget(SMALL + 4 * sum(array.size for array in constants.values()), MOST_WEIGHTS)
    others = []
    for node in nodes:
        own = node.domain in OWN_DOMAIN and node.op_type in BY_REFERENCE
        if not own or any(n and n not in constants for n in node.input):
            others.append(node)
            continue
        run = OnArrays(node, opset)
        given = [constants[name] if name else None for name in node.input]
        try:
            budget.spend(run.kind, [array for array in given if array is not None])
            found = run(*given)
        except Exception as error:  # the reference raises nearly anything
            raise ValueError(f"{run.kind} {run.name}: {error}") from error
        constants.update(zip((name for name in node.output if name), found, strict=False))
    return others
