"""Networks as ONNX files, which other programs run. Images are (N, C, H, W) there.

What the model does is recorded (`minires.model_recording`), and every operation writes its nodes
(`onnx_export_graph`, `onnx_export_operations`).
"""

from __future__ import annotations

import collections
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn
from minires.engine import raw
from minires.files import atomic_write
from minires.grad_mode import no_grad
from minires.interop.libraries import optional
from minires.interop.onnx_export_graph import TO_FIRST, TO_LAST, Node, graph_type
from minires.interop.onnx_export_operations import Writer
from minires.interop.onnx_network import OnnxNetwork
from minires.model_recording import record
from minires.nn.modes import evaluating
from minires.tensors import Tensor

OPSET, IR_VERSION = 17, 8  # of 2022: every runtime in use knows them


def export_onnx(
    model: nn.Module,
    path: str | Path,
    input_shape: Sequence[int],
    *,
    fold_batch_norm: bool = True,
) -> None:
    """Write a network as an ONNX file, atomically.

    Parameters
    ----------
    model : Module
        Layers and functions alike: each operation that it runs must have a counterpart in ONNX.
        What `load_onnx` gave is written as it was read. It is written in evaluation mode.
    path : str or Path
    input_shape : (H, W, C)
        Of one image, as everywhere in minires. The file's input is (N, C, H, W) with any N, named
        "images"; its output is named "logits".
    fold_batch_norm : bool
        Put each batch norm into the convolution before it, where there is one: fewer operations,
        the same results up to rounding. False keeps both.

    Raises
    ------
    ValueError
        If an operation has no counterpart in ONNX, computes with the number of images, or cannot
        be recorded; the message names it and the model's line.
    OSError
        If the file cannot be written; what was at `path` stays.
    MissingLibrary
        If the library onnx is not installed.
    """
    if len(input_shape) != 3:
        raise ValueError(
            f"cannot export: the input is images (H, W, C), got {tuple(input_shape)}; a network of "
            "whole numbers, as of characters, has no ONNX here"
        )
    onnx = optional("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = (
        _taken(model, input_shape)
        if isinstance(model, OnnxNetwork)
        else _recorded(model, input_shape)
    )
    kind, shape = graph_type(graph.dtype), graph.shape
    if fold_batch_norm:
        graph.fold()
    height, width, channels = input_shape
    batch = graph.batch or "N"
    proto = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(n.kind, n.inputs, [n.output, *n.more], n.output, **n.attributes)
                for n in graph.nodes
            ],
            type(model).__name__,
            [helper.make_tensor_value_info("images", number, [batch, channels, height, width])],
            [helper.make_tensor_value_info("logits", helper.np_dtype_to_tensor_dtype(kind), shape)],
            initializer=[
                onnx.numpy_helper.from_array(array, name)
                for name, array in graph.initializers.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", graph.opset)],
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", graph.opset)])
        if graph.opset > OPSET
        else IR_VERSION,
        producer_name="minires",
    )
    known = {**getattr(model, "metadata", {}), "architecture": getattr(model, "architecture", None)}
    helper.set_model_props(proto, {key: json.dumps(value) for key, value in known.items() if value})
    own = not isinstance(model, OnnxNetwork)  # of others', the checker infers some shapes wrongly
    onnx.checker.check_model(proto, full_check=own)
    with atomic_write(path) as file:
        file.write(proto.SerializeToString())


@dataclass
class _Graph:
    nodes: list[Node]
    initializers: dict[str, NDArray[Any]]  # weights, in ONNX's layout, which is PyTorch's
    shape: list[Any]  # of what comes out
    dtype: Any = np.float32
    opset: int = OPSET
    batch: int = 0  # how many images it takes; 0 for any number

    def fold(self) -> None:
        """Scale each convolution's filters by the batch norm after it, which then goes.

        bn(w * x) = (s w) * x + (bias - mean s), with s = gamma / sqrt(var + eps).
        """
        uses = collections.Counter(name for node in self.nodes for name in node.inputs)
        makers = {node.output: node for node in self.nodes}
        kept = []
        for node in self.nodes:
            maker = makers.get(node.inputs[0]) if node.inputs else None
            if (
                node.kind != "BatchNormalization"
                or maker is None
                or maker.kind != "Conv"
                or maker.output == "logits"
                or any(uses[name] > 1 for name in (maker.output, *maker.inputs[1:]))
            ):
                kept.append(node)
                continue
            gamma, beta, mean, var = (
                self.initializers[n].astype(np.float64) for n in node.inputs[1:]
            )
            scale = gamma / np.sqrt(var + node.attributes.get("epsilon", 1e-5))
            weight = maker.inputs[1]
            bias = (
                maker.inputs[2] if len(maker.inputs) > 2 else weight.removesuffix("weight") + "bias"
            )
            before = self.initializers.get(bias, np.zeros(1)).astype(np.float64)
            filters = self.initializers[weight] * scale[:, None, None, None]
            self.initializers[weight] = filters.astype(np.float32)
            self.initializers[bias] = (beta + (before - mean) * scale).astype(np.float32)
            maker.inputs[1:] = [weight, bias]
            maker.output = node.output
        self.nodes = kept
        used = {name for node in kept for name in node.inputs}
        self.initializers = {
            name: array for name, array in self.initializers.items() if name in used
        }


def _recorded(model: nn.Module, input_shape: Sequence[int]) -> _Graph:
    """The graph of what a model does, which is written down for two images and for three."""
    parameter = next(model.parameters(), None)
    with evaluating(model):
        images = [Tensor(np.ones((count, *input_shape), np.float32)) for count in (2, 3)]
        arrays = [raw(x if parameter is None else x.to(parameter.device)) for x in images]
        two, three = (record(model, [array]) for array in arrays)
    writer = Writer(two, three, dict(model.named_modules()))
    out = writer.write([array.shape for array in arrays])
    if out.array is not None or "images" in out.names.values():
        raise ValueError(f"cannot export: {type(model).__name__} computes nothing from its images")
    last = writer.name(out, "first" if out.ndim == 4 else "last")
    for node in writer.nodes:
        node.inputs = ["logits" if name == last else name for name in node.inputs]
        node.output = "logits" if node.output == last else node.output
    shape: list[Any] = list(out.shape)
    shape[:1] = ["N"] if shape[:1] == [None] else shape[:1]
    shape = [shape[i] for i in TO_FIRST] if out.ndim == 4 else shape
    return _Graph(writer.nodes, writer.initializers, shape, out.dtype)


def _taken(network: OnnxNetwork, input_shape: Sequence[int]) -> _Graph:
    """The graph that a network was read from, its weights as they are now."""
    nodes, weights = network.written()
    source, last, free = network.source, network.output, network.source.channels_last
    batch = source.lengths[0] if source.lengths else 0
    with evaluating(network), no_grad():
        image = Tensor(np.zeros((batch or 1, *input_shape), np.float32))
        parameter = next(network.parameters(), None)
        output = network(image if parameter is None else image.to(parameter.device))
    if source.elem_type != 1 or last == source.name:
        raise ValueError("cannot export: the file computes nothing, or not in float32")
    names = {name: f"{name}_" for name in ("images", "logits")}  # where another has these
    names |= {source.name: "images_nhwc" if free else "images"}
    names |= {last: "logits_nhwc" if free and output.ndim == 4 else "logits"}
    written = []
    if free:
        written.append(Node("Transpose", ["images"], "images_nhwc", {"perm": TO_LAST}))
    for kind, inputs, outputs, attributes in nodes:
        ins, outs = ([names.get(name, name) for name in part] for part in (inputs, outputs))
        kept = {k: v for k, v in attributes.items() if not isinstance(v, Sequence) or len(v)}
        written.append(Node(kind, ins, outs[0], kept, outs[1:]))
    if names[last] != "logits":
        written.append(Node("Transpose", [names[last]], "logits", {"perm": TO_FIRST}))
    weights = {names.get(name, name): array for name, array in weights.items()}
    shape = [None] * output.ndim  # which runtimes find, in ways that differ in rare cases
    return _Graph(written, weights, shape, output.dtype, network.opset, batch)
