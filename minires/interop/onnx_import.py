"""ONNX files as networks of this package's layers, for graphs like those of residual networks."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn
from minires.files import FileError
from minires.interop.libraries import optional
from minires.interop.onnx_nodes import GRAPHS, KEPT, OWN_DOMAIN, READERS, Node, kind_of, turn
from minires.tensors import Tensor
from minires.text import shown

OLDEST_OPSET = 7  # of 2018; before it batch norm and broadcasting were other things


class OnnxNetwork(nn.Module):
    """A graph read from an ONNX file: images (N, H, W, C) to its first output.

    Its layers are trained, moved and saved like those of any other module.
    """

    def __init__(self, steps: Sequence[_Step], source: str, output: str, turned: bool) -> None:
        super().__init__()
        self.steps, self.source, self.output, self.turned = steps, source, output, turned
        for i, step in enumerate(steps):
            if isinstance(step.run, nn.Module):
                setattr(self, f"{type(step.run).__name__.lower()}{i}", step.run)
        self.last_use = {name: i for i, step in enumerate(steps) for name in step.inputs}

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, H, W, C), and so what comes out, whichever order the graph itself has."""
        values = {self.source: turn(x, KEPT) if self.turned else x}
        for i, step in enumerate(self.steps):
            values[step.output] = step.run(*(values[name] for name in step.inputs))
            for name in step.inputs:
                if self.last_use[name] == i and name != self.output:
                    values.pop(name, None)
        out = values[self.output]
        return turn(out, GRAPHS) if self.turned else out


@dataclass(frozen=True)
class _Step:
    """A node: a layer or a function, and the tensors that it takes and gives."""

    run: Callable[..., Tensor]
    inputs: tuple[str, ...]
    output: str


def load_onnx(path: str | Path) -> OnnxNetwork:
    """Read an ONNX file.

    Parameters
    ----------
    path : str or Path
        Weights beside it, in files that it names, are read as well.

    Returns
    -------
    OnnxNetwork
        In evaluation mode. It takes images (N, H, W, C).

    Raises
    ------
    FileError
        If the file is missing or damaged, or naming all the operations that are not known here.
    MissingLibrary
        If the library onnx is not installed.
    """
    onnx = optional("onnx")
    try:
        proto = onnx.load(str(path))
        onnx.checker.check_model(proto)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # protobuf, checker and file errors have no common base
        raise FileError(f"{path} is damaged or no ONNX file ({_line(error)})") from error
    try:
        return _network(onnx, proto).eval()
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise FileError(f"cannot load {path}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return shown(" ".join(str(error).split()), 400) or type(error).__name__


def _network(onnx: Any, proto: Any) -> OnnxNetwork:
    graph = proto.graph
    opset = max((i.version for i in proto.opset_import if i.domain in OWN_DOMAIN), default=0)
    if opset < OLDEST_OPSET:
        raise ValueError(f"it is of opset {opset}; those from {OLDEST_OPSET} on are known here")
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    nodes = _fold(graph.node, constants)
    unknown = sorted({kind_of(node) for node in nodes} - set(READERS))
    if unknown:
        raise ValueError(
            f"it has operations that are not known here: {', '.join(unknown)} "
            f"(known: {', '.join(sorted(READERS))})"
        )
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise ValueError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, wanted were images and "
            "at least one output"
        )
    steps, given = [], {inputs[0].name}
    for part in nodes:
        node = Node(onnx, part, constants, opset)
        try:
            steps.append(_step(node, given))
        except (LookupError, MemoryError, TypeError, ValueError) as error:
            raise ValueError(f"{node.kind} {node.name}: {error}") from error
        given.add(node.output)
    output = graph.output[0].name
    if output not in given:
        raise ValueError(f"its output {shown(output, 60)} does not depend on the images")
    sizes = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    turned = len(sizes) == 4 and sizes[3] in (1, 3) and sizes[1] not in (1, 3)
    return OnnxNetwork(steps, inputs[0].name, output, turned)


def _step(node: Node, given: Container[str]) -> _Step:
    """A node at work on tensors of `given` names."""
    used = tuple(name for name in node.inputs if name and name not in node.constants)
    for name in used:
        if name not in given:
            raise node.refuse(f"its input {shown(name, 60)}, another's second output,")
    run = READERS[node.kind](node)
    node.refuse_unread()
    return _Step(run, used, node.output)


# ---------------------------------------------------------------------- constants

# exporters compute paddings and shapes in the graph
_FOLDED = {"Cast", "Concat", "Constant", "ConstantOfShape", "Gather", "Identity", "Reshape"}
_FOLDED |= {"Slice", "Squeeze", "Transpose", "Unsqueeze"}


def _fold(nodes: Sequence[Any], constants: dict[str, NDArray[Any]]) -> list[Any]:
    """Compute the nodes that depend on no image, whose outputs join the constants; the others."""
    left = 1e6 + 4 * sum(array.size for array in constants.values())  # a graph could be a bomb
    others = []
    for node in nodes:
        if kind_of(node) not in _FOLDED or any(n and n not in constants for n in node.input):
            others.append(node)
            continue
        given = {name: constants[name] for name in node.input if name}
        left -= _most_numbers(node, [constants[name] for name in node.input if name])
        if left < 0:
            raise ValueError(
                f"{node.op_type} {shown(node.name or node.output[0], 60)}: the graph computes far "
                "more constants than it has weights, which is not known here"
            )
        evaluator = optional("onnx.reference").ReferenceEvaluator(node)
        constants[node.output[0]] = np.asarray(evaluator.run(None, given)[0])
    return others


def _most_numbers(node: Any, given: Sequence[NDArray[Any]]) -> float:
    """How many numbers a node can give, found without computing it."""
    if node.op_type == "ConstantOfShape":
        return float(abs(np.prod(given[0], dtype=float)))
    if node.op_type == "Gather":
        return float(given[0].size) * given[1].size
    return float(sum(array.size for array in given))
