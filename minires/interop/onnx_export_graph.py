"""A graph of ONNX as it is written: nodes, initializers, and what each value is called.

Images are (N, C, H, W) there. A value of four axes may be at hand in that order, in minires's own,
or in both: what does not care about the order takes what there is, the rest is turned round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.backend import to_host
from minires.model_recording import Leaf, Ref

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
ORDERS = {"first": TO_FIRST, "last": TO_LAST}


@dataclass
class Node:
    """One node of the graph."""

    kind: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]
    more: list[str] = field(default_factory=list)  # outputs


@dataclass
class Value:
    """What a step makes.

    Attributes
    ----------
    shape : tuple of int or None
        None for a length that follows the number of images.
    dtype
    names : dict
        Its name in the graph by the order of its axes: "last" for minires's, or "first".
    array : array, optional
        If it is the same for all images.
    leaf : str
        The name of the model's tensor that it is, if it is one.
    """

    shape: tuple[int | None, ...]
    dtype: Any
    names: dict[str, str] = field(default_factory=dict)
    array: NDArray[Any] | None = None
    leaf: str = ""

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)


class Graph:
    """Nodes and initializers by name, and the values that there are so far."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.initializers: dict[str, NDArray[Any]] = {}
        self.values: dict[Ref, Value] = {}

    def _value(self, given: Any) -> Value:
        if type(given) is Ref:
            return self.values[given]
        if isinstance(given, Leaf):
            array = to_host(given.tensor.array)
            return Value(array.shape, array.dtype, array=array, leaf=given.name)
        array = np.asarray(to_host(given) if hasattr(given, "strides") else given)
        return Value(array.shape, array.dtype, array=array)

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node; the name of what it makes."""
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(Node(kind, list(inputs), output, attributes))
        return output

    def initializer(self, array: Any, name: str = "", dtype: Any = None) -> str:
        """A weight, or a list of whole numbers, by its name; the same array is written once."""
        array = np.asarray(array)
        array = np.require(array, dtype or (np.float32 if array.dtype.kind == "f" else None), "C")
        stem = name = name or "constant"
        for i in range(1, len(self.initializers) + 2):
            if name not in self.initializers:
                self.initializers[name] = array
            if _equal(self.initializers[name], array):
                break
            name = f"{stem}_{i}"
        return name

    def numbers(self, *numbers: int) -> str:
        """A list of whole numbers."""
        return self.initializer(np.array(numbers, np.int64))

    def name(self, value: Value, order: str = "last", dtype: Any = None, ndim: int = 0) -> str:
        """A value's name in an order of axes, as a type; made if it is not there yet.

        A constant of fewer axes than `ndim` is turned with those that broadcasting gives it.
        """
        kind = graph_type(value.dtype if dtype is None else dtype)
        if value.array is not None:
            array = value.array.astype(kind)
            if order == "first" and ndim == 4 and array.ndim:
                array = array.reshape((1,) * (4 - array.ndim) + array.shape).transpose(TO_FIRST)
            return self.initializer(array, value.leaf)
        if order not in value.names:
            (there,) = value.names
            turned = self.add("Transpose", [value.names[there]], perm=ORDERS[order])
            value.names[order] = turned
        name = value.names[order]
        if graph_type(value.dtype) != kind:
            name = self.add("Cast", [name], to=_number(kind))
        return name

    def _order(self, inputs: Sequence[Value], out: Value) -> str:
        """The order in which an operation that does not care is done."""
        given = [value for value in inputs if value.array is None]
        images = out.ndim == 4 and all(value.ndim == 4 for value in given)
        return "first" if images and any("first" in value.names for value in given) else "last"

    def _dims(
        self, shape: Sequence[int | None], actual: Sequence[int], computed: bool = False
    ) -> str:
        """A shape as a tensor; a length that follows the number of images is -1, or computed."""
        if list(shape).count(None) <= 1 and 0 not in shape and not computed:
            return self.numbers(*(-1 if n is None else n for n in shape))
        count = self.add("Slice", [self.add("Shape", ["images"]), self.numbers(0), self.numbers(1)])
        parts = [
            self.numbers(n) if n is not None else self.add("Mul", [count, self.numbers(real // 2)])
            for n, real in zip(shape, actual, strict=True)
        ]
        return self.add("Concat", parts, axis=0)


def graph_type(dtype: Any) -> Any:
    """The type that a graph has for it: no fractions but float32, no whole numbers but int64."""
    return {"f": np.dtype(np.float32), "b": np.dtype(bool)}.get(
        np.dtype(dtype).kind, np.dtype(np.int64)
    )


def _number(kind: Any) -> int:
    """ONNX's number for a type."""
    return {"f": 1, "i": 7, "b": 9}[kind.kind]


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
