"""ONNX files as networks of this package's layers, for graphs like those of residual networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from minires.files import FileError
from minires.interop.libraries import optional
from minires.interop.onnx_checks import channels_last, declared, metadata_of
from minires.interop.onnx_constants import BY_REFERENCE, OF_PIXELS, OnArrays, fold
from minires.interop.onnx_import_functions import FLOATS, FUNCTIONS, WHOLE
from minires.interop.onnx_import_layers import LAYERS
from minires.interop.onnx_import_shapes import SHAPES
from minires.interop.onnx_network import OnnxNetwork, Step
from minires.interop.onnx_nodes import OWN_DOMAIN, Node, kind_of
from minires.interop.signatures import file_kind, refusal
from minires.text import shown

OLDEST_OPSET = 7  # of 2018; before it batch norm and broadcasting were other things
READERS = {**FUNCTIONS, **SHAPES}
KNOWN = sorted({*LAYERS, *READERS, *BY_REFERENCE, *OF_PIXELS})


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
    kind = file_kind(path)
    if kind.format != "onnx" and kind.sure:
        raise refusal(path, kind, "an ONNX file")
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
    if proto.functions:
        proto = optional("onnx.inliner").inline_local_functions(proto)
    graph = proto.graph
    opset = max((i.version for i in proto.opset_import if i.domain in OWN_DOMAIN), default=0)
    if opset < OLDEST_OPSET:
        raise ValueError(f"it is of opset {opset}; those from {OLDEST_OPSET} on are known here")
    unknown = sorted({kind_of(node) for node in graph.node} - set(KNOWN))
    if unknown:
        raise ValueError(
            f"it has operations that are not known here: {', '.join(unknown)} "
            f"(known: {', '.join(KNOWN)})"
        )
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise ValueError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, wanted were images and "
            "at least one output"
        )
    nodes = fold(graph.node, constants, opset)
    source = declared(inputs[0])
    if not source.has_pixels and source.elem_type not in WHOLE:
        raise ValueError(f"images of type {source.elem_type} are not known here")
    kinds = {source.name: source.has_pixels}  # whether a value is a Tensor
    steps = [_step(onnx, part, constants, kinds, opset) for part in nodes]
    output = graph.output[0].name
    if output not in kinds:
        raise ValueError(f"its output {shown(output, 60)} does not depend on the images")
    source.channels_last = channels_last(nodes, source)
    network = OnnxNetwork(steps, source, output, constants, opset)
    described = declared(graph.output[0]).lengths or ()
    network.num_classes = described[1] or None if len(described) == 2 else None
    network.metadata = metadata_of(proto)
    return network


def _step(
    onnx: Any,
    part: Any,
    constants: Mapping[str, NDArray[Any]],
    kinds: dict[str, bool],
    opset: int,
) -> Step:
    """A node at work; what it gives joins `kinds`."""
    tensors = {name for name in part.input if kinds.get(name)}
    node = Node(onnx, part, constants, tensors, opset)
    try:
        for name in node.inputs:
            if name and name not in constants and name not in kinds:
                raise node.refuse(f"its input {shown(name, 60)}, another's second output,")
        used = [i for i in range(len(node.inputs)) if node.computed(i)]
        arrays = node.kind in BY_REFERENCE and not used
        to = node.attributes.get("to", 1) if node.kind == "Cast" else 1
        if to not in WHOLE and to not in FLOATS:
            raise node.refuse(f"a cast to type {to}")
        whole = to in WHOLE
        if arrays or whole or node.kind in OF_PIXELS:
            kinds.update((name, False) for name in node.outputs if name)
            return Step(part, node, OnArrays(part, opset))
        run: Any = None
        if node.kind in LAYERS and (used in ([0], []) or node.kind not in READERS):
            run = LAYERS[node.kind](node)
        if run is None:
            if node.kind not in READERS or not used:
                raise node.refuse("it, of these inputs,")
            run = READERS[node.kind](node)
        node.refuse_unread()
    except (LookupError, MemoryError, TypeError, ValueError) as error:
        raise ValueError(f"{node.kind} {node.name}: {error}") from error
    several = node.kind == "Split"
    kinds.update((name, True) for name in node.outputs[: None if several else 1] if name)
    return Step(part, node, run)
