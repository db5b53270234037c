"""A graph read from an ONNX file, as a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn
from minires.backend import to_host
from minires.interop.libraries import optional
from minires.interop.onnx_checks import Source
from minires.interop.onnx_constants import SMALL, Budget, OnArrays
from minires.interop.onnx_import_layers import weights_of
from minires.interop.onnx_nodes import Node
from minires.interop.onnx_values import (
    Value,
    as_array,
    as_tensor,
    graphs,
    graphs_shape,
    kept,
    widened,
)
from minires.interop.size_limits import LEAST, in_proportion
from minires.tensors import Tensor


class Step:
    """A node at work.

    Attributes
    ----------
    node : NodeProto
        As it stands in the file.
    run : callable
        A layer, of the node's first input, or a function of all of them.
    """

    def __init__(self, proto: Any, node: Node, run: Callable[..., Any]) -> None:
        self.node, self.kind, self.name, self.run = proto, node.kind, node.name, run
        self.is_layer = isinstance(run, nn.Module)
        self.inputs = node.inputs[:1] if self.is_layer else node.inputs
        self.outputs = tuple(name for name in node.outputs if name)


class OnnxNetwork(nn.Module):
    """A graph read from an ONNX file: images (N, H, W, C) to its first output.

    Its layers are trained, moved and saved like those of any other module.

    Attributes
    ----------
    num_classes : int or None
        As far as the file says.
    metadata : dict
        What minires wrote beside a network of its own: mean, std, size and classes.
    """

    num_classes: int | None = None
    metadata: dict[str, Any] = {}  # noqa: RUF012 - every network gets its own

    def __init__(
        self,
        steps: Sequence[Any],
        source: Any,
        output: str,
        constants: Mapping[str, NDArray[Any]],
        opset: int,
    ) -> None:
        super().__init__()
        self.steps: Sequence[Step] = steps
        self.source: Source = source
        self.output, self.opset = output, opset
        self.last_use = {name: i for i, step in enumerate(steps) for name in step.inputs}
        self.layers: dict[int, str] = {}  # the name of each step's layer
        self.arrays: dict[str, NDArray[Any]] = {}  # constants that are no weights of layers
        self.weights: dict[
            str, str
        ] = {}  # those with a fraction: buffers, which move and are saved
        for i, step in enumerate(steps):
            if step.is_layer:
                self.layers[i] = f"{step.kind.lower()}{i}"
                setattr(self, self.layers[i], step.run)
            for name in (name for name in step.inputs if name in constants):
                array = constants[name]
                if isinstance(step.run, OnArrays) or array.dtype.kind in "iub":
                    self.arrays[name] = array
                elif name not in self.weights:
                    if array.size > LEAST and not any(array.strides):
                        what = f"a constant of {array.size:.0e} numbers that the file does not hold"
                        raise ValueError(f"{step.kind} {step.name}: {what}")
                    self.weights[name] = f"constant{len(self.weights)}"
                    self.register_buffer(self.weights[name], kept(Tensor(np.array(widened(array)))))

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, H, W, C), and so what comes out, whichever order the graph itself has."""
        x = kept(x) if self.source.channels_last else x
        self.source.check(graphs_shape(x))
        pixels = x if self.source.has_pixels else as_array(x)
        values: dict[str, Value | None] = {self.source.name: pixels}
        budget = Budget(*[SMALL + 16 * x.size] * 2)
        with in_proportion(x.size):
            self._compute(values, x, budget)
        out = values[self.output]
        assert out is not None
        out = as_tensor(out, x)
        return graphs(out) if self.source.channels_last else out

    def _compute(self, values: dict[str, Value | None], x: Tensor, budget: Budget) -> None:
        """Every step, whose results join the values; those that nobody needs any more go."""
        for i, step in enumerate(self.steps):
            given = [self._value(name, values, step) for name in step.inputs]
            try:
                found = self._run(i, step, given, x, budget)
            except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
                raise ValueError(f"{step.kind} {step.name}: {error}") from error
            values.update(zip(step.outputs, found, strict=False))
            for name in step.inputs:
                if self.last_use[name] == i and name != self.output:
                    values.pop(name, None)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Height, width and channels of its images; None where any will do."""
        lengths = self.source.lengths or ()
        if len(lengths) != 4:
            return (None, None, None)
        shape = lengths[1:] if self.source.channels_last else (*lengths[2:], lengths[1])
        return tuple(n or None for n in shape)

    @property
    def batch(self) -> int | None:
        """How many images it takes at a time; None for any number."""
        return (self.source.lengths or (0,))[0] or None

    @property
    def in_channels(self) -> int | None:
        """How many channels its images have."""
        return self.input_shape[2]

    @property
    def ends_in_sigmoid(self) -> bool:
        """Whether it gives a probability of each class by itself, so that these are no logits."""
        last = self.steps[-1] if self.steps else None
        return last is not None and last.kind == "Sigmoid" and self.output in last.outputs

    def give_logits(self) -> OnnxNetwork:
        """Leave out a softmax over classes at the end, if there is one."""
        last = self.steps[-1] if self.steps else None
        if last is not None and last.kind == "Softmax" and last.outputs == (self.output,):
            axes = [a.i for a in last.node.attribute if a.name == "axis"]
            if self.num_classes and (axes or [1])[0] in (1, -1):
                self.steps, self.output = self.steps[:-1], last.inputs[0]
        return self

    def written(
        self,
    ) -> tuple[list[tuple[str, list[str], list[str], dict[str, Any]]], dict[str, Any]]:
        """The graph with the weights of now: nodes (kind, inputs, outputs, attributes), constants.

        Raises
        ------
        ValueError
            If a layer was replaced since the file was read.
        """
        attribute_value = optional("onnx.helper").get_attribute_value
        constants = {name: self.arrays[name] for name in self.arrays}
        constants |= {name: as_array(getattr(self, own)) for name, own in self.weights.items()}
        nodes = []
        for i, step in enumerate(self.steps):
            inputs = list(step.node.input)
            attributes = {a.name: attribute_value(a) for a in step.node.attribute}
            if step.is_layer:
                name = self.layers[i]
                if getattr(self, name) is not step.run:
                    raise ValueError(f"{name} is not the {step.kind} that the file has")
                for place, array in weights_of(step.kind, step.run).items():
                    own = f"{name}.{inputs[place]}" if inputs[place] in constants else inputs[place]
                    constants[own], inputs[place] = to_host(array), own
                if step.kind == "Gemm":
                    attributes = {}  # which its weights have taken in
            nodes.append((step.kind, inputs, list(step.node.output), attributes))
        return nodes, constants

    def _value(self, name: str, values: Mapping[str, Value | None], step: Step) -> Value | None:
        if not name:
            return None
        if name in values:
            return values[name]
        if name in self.weights and not isinstance(step.run, OnArrays):
            value: Value = getattr(self, self.weights[name])
            return value
        return self.arrays[name]

    def _run(
        self, i: int, step: Step, given: list[Value | None], images: Tensor, budget: Budget
    ) -> Sequence[Any]:
        if isinstance(step.run, OnArrays):
            if step.kind not in ("Shape", "Size"):
                budget.spend(step.kind, [value for value in given if value is not None])
            return step.run(*given)
        if step.is_layer:
            (value,) = given
            if not isinstance(value, Tensor) and value is not None:
                if value.dtype.kind != "f":
                    raise ValueError("whole numbers are not known here")
                value = as_tensor(value, images)
            return (getattr(self, self.layers[i])(value),)
        found = step.run(*given)
        return found if isinstance(found, tuple) else (found,)
