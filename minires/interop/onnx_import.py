"""ONNX files as networks of this package's layers, for graphs like those of residual networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn
from minires.files import FileError
from minires.interop.libraries import optional
from minires.interop.onnx_nodes import GRAPHS, KEPT, READERS, Node, kind_of, turn
from minires.tensor import Tensor


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
        return _network(onnx, proto.graph).eval()
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"cannot load {path}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__


def _network(onnx: Any, graph: Any) -> OnnxNetwork:
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    nodes = [node for node in graph.node if not _is_constant(node, constants)]
    unknown = sorted({kind_of(node) for node in nodes} - set(READERS))
    if unknown:
        raise ValueError(
            f"it has operations that are not known here: {', '.join(unknown)} "
            f"(known: {', '.join(sorted(READERS))})"
        )
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs, one was wanted: images")
    steps = []
    for proto in nodes:
        node = Node(onnx, proto, constants)
        used = tuple(name for name in node.inputs if name and name not in constants)
        steps.append(_Step(READERS[node.kind](node), used, node.output))
    sizes = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    turned = len(sizes) == 4 and sizes[3] in (1, 3) and sizes[1] not in (1, 3)
    return OnnxNetwork(steps, inputs[0].name, graph.output[0].name, turned)


# exporters compute paddings and shapes in the graph; all but one give no more than they get
_FOLDED = {"Cast", "Concat", "Constant", "ConstantOfShape", "Gather", "Identity", "Reshape"}
_FOLDED |= {"Slice", "Squeeze", "Transpose", "Unsqueeze"}


def _is_constant(node: Any, constants: dict[str, NDArray[Any]]) -> bool:
    """Whether a node depends on no image; then its output joins the constants."""
    if kind_of(node) not in _FOLDED or any(n and n not in constants for n in node.input):
        return False
    given = {name: constants[name] for name in node.input if name}
    if node.op_type == "ConstantOfShape" and np.prod(given[node.input[0]], dtype=float) > 1e6:
        raise ValueError(f"ConstantOfShape {node.name}: more than a million numbers")
    evaluator = optional("onnx.reference").ReferenceEvaluator(node)
    constants[node.output[0]] = np.asarray(evaluator.run(None, given)[0])
    return True
