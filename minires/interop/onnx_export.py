"""Networks as ONNX files, which other programs run. Images are (N, C, H, W) there.

One image goes through the network, and every layer that it meets writes its node.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import models, nn
from minires.backend import to_host
from minires.engine import no_grad
from minires.files import atomic_write
from minires.interop.libraries import optional
from minires.interop.onnx_network import OnnxNetwork
from minires.interop.onnx_values import graphs_shape
from minires.interop.states import torch_axes
from minires.interop.windows import Padding, Pool
from minires.tensors import Tensor

OPSET, IR_VERSION = 17, 8  # of 2022: every runtime in use knows them
END = 2**31 - 1  # of a slice: to the last


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
        Made of this package's layers, or what `load_onnx` gave. It is written in evaluation mode.
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
        If a layer has no counterpart in ONNX, or a tensor did not come out of a layer.
    OSError
        If the file cannot be written; what was at `path` stays.
    MissingLibrary
        If the library onnx is not installed.
    """
    onnx = optional("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = _Graph()
    shape = graph.trace(model, input_shape)
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
            [helper.make_tensor_value_info("logits", number, shape)],
            [onnx.numpy_helper.from_array(a, name) for name, a in graph.weights.items()],
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
class _Node:
    kind: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]
    more: list[str] = field(default_factory=list)  # outputs


@dataclass
class _Call:
    """One layer at work, as a hook saw it; holding the tensors keeps their ids their own."""

    name: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    output: Tensor


class _Graph:
    def __init__(self) -> None:
        self.opset = OPSET
        self.batch = 0  # how many images it takes; 0 for any number
        self.nodes: list[_Node] = []
        self.weights: dict[str, NDArray[Any]] = {}  # in ONNX's layout, which is PyTorch's

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(_Node(kind, list(inputs), output, attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        """A weight, or a list of whole numbers, by its name."""
        if isinstance(values, Tensor):
            array = to_host(values.data)
            axes = np.argsort(torch_axes(name, array.ndim))
            self.weights[name] = np.require(array.transpose(axes), np.float32, "C")
        else:
            self.weights[name] = np.array(values, np.int64)
        return name

    def trace(self, model: nn.Module, input_shape: Sequence[int]) -> list[Any]:
        """Write the nodes of every layer that an image meets; the shape that comes out."""
        if isinstance(model, OnnxNetwork):
            return self._take(model, input_shape)
        calls, image, output = _run(model, input_shape)
        names = {id(image): "images"}
        again: collections.Counter[str] = collections.Counter()
        for call in calls:
            inputs = [
                _known(names, x, f"{type(call.module).__name__} {call.name}") for x in call.inputs
            ]
            again[call.name] += 1  # a layer may be called several times
            count = again[call.name]
            name = f"{call.name}.output" + (f"_{count}" if count > 1 else "")
            names.setdefault(id(call.output), _write(self, call, inputs, name))
        last = _known(names, output, "the end")
        if last == "images":
            raise ValueError(f"{type(model).__name__} has no layer that ONNX has")
        for node in self.nodes:
            node.inputs = ["logits" if name == last else name for name in node.inputs]
            node.output = "logits" if node.output == last else node.output
        return ["N", *(graphs_shape(output))[1:]]

    def _take(self, network: OnnxNetwork, input_shape: Sequence[int]) -> list[Any]:
        """The graph that a network was read from, its weights as they are now."""
        nodes, weights = network.written()
        source, last, free = network.source, network.output, network.source.channels_last
        self.batch = source.lengths[0] if source.lengths else 0
        _, _, output = _run(network, input_shape, self.batch or 1)
        if source.elem_type != 1 or last == source.name:
            raise ValueError("cannot export: the file computes nothing, or not in float32")
        names = {name: f"{name}_" for name in ("images", "logits")}  # where another has these
        names |= {source.name: "images_nhwc" if free else "images"}
        names |= {last: "logits_nhwc" if free and output.ndim == 4 else "logits"}
        self.opset = network.opset
        if free:
            self.add("Transpose", ["images"], "images_nhwc", perm=(0, 2, 3, 1))
        for kind, inputs, outputs, attributes in nodes:
            ins, outs = ([names.get(name, name) for name in part] for part in (inputs, outputs))
            kept = {k: v for k, v in attributes.items() if not isinstance(v, Sequence) or len(v)}
            self.nodes.append(_Node(kind, ins, outs[0], kept, outs[1:]))
        if names[last] != "logits":
            self.add("Transpose", [names[last]], "logits", perm=(0, 3, 1, 2))
        self.weights = {names.get(name, name): array for name, array in weights.items()}
        return [None] * output.ndim  # which runtimes find, in ways that differ in rare cases

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
            gamma, beta, mean, var = (self.weights[n].astype(np.float64) for n in node.inputs[1:])
            scale = gamma / np.sqrt(var + node.attributes.get("epsilon", 1e-5))
            weight = maker.inputs[1]
            bias = (
                maker.inputs[2] if len(maker.inputs) > 2 else weight.removesuffix("weight") + "bias"
            )
            before = self.weights.get(bias, np.zeros(1)).astype(np.float64)
            filters = self.weights[weight] * scale[:, None, None, None]
            self.weights[weight] = filters.astype(np.float32)
            self.weights[bias] = (beta + (before - mean) * scale).astype(np.float32)
            maker.inputs[1:] = [weight, bias]
            maker.output = node.output
        self.nodes = kept
        used = {name for node in kept for name in node.inputs}
        self.weights = {name: array for name, array in self.weights.items() if name in used}


def _run(
    model: nn.Module, input_shape: Sequence[int], count: int = 1
) -> tuple[list[_Call], Tensor, Tensor]:
    """Send images of zeros, usually one, through the network, in evaluation mode."""
    calls: list[_Call] = []

    def listen(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: calls.append(_Call(name, module, inputs, output))

    removers = [
        module.register_forward_hook(listen(name))
        for name, module in model.named_modules()
        if not module._modules and not isinstance(module, nn.Identity | nn.Dropout)
    ]
    modes = [(module, module.training) for module in model.modules()]
    parameter = next(model.parameters(), None)
    image = Tensor(np.zeros((count, *input_shape), np.float32))
    image = image if parameter is None else image.to(parameter.device)
    try:
        model.eval()
        with no_grad():
            output = model(image)
    finally:
        for remove in removers:
            remove()
        for module, training in modes:
            module.training = training
    return calls, image, output


def _known(names: dict[int, str], tensor: Tensor, where: str) -> str:
    if id(tensor) not in names:
        raise ValueError(
            f"cannot export: {where} gets a tensor that came out of no layer; use layers, such as "
            "nn.ReLU() and nn.Add(), where forward calls functions"
        )
    return names[id(tensor)]


# ---------------------------------------------------------------------- layer by layer


def _write(graph: _Graph, call: _Call, inputs: list[str], output: str) -> str:
    """The nodes of one layer; the name of what comes out."""
    module, shape = call.module, call.inputs[0].shape
    prefix = f"{call.name}." if call.name else ""
    match module:
        case nn.Conv2d():
            biases = [] if module.bias is None else [graph.constant(prefix + "bias", module.bias)]
            weight = graph.constant(prefix + "weight", module.weight)
            walk = _windows(module) | {"dilations": module.dilation, "group": module.groups}
            return graph.add("Conv", [*inputs, weight, *biases], output, **walk)
        case nn.BatchNorm2d() | nn.BatchNorm1d() if module.affine and module.track_running_stats:
            parts = ("weight", "bias", "running_mean", "running_var")
            names = [graph.constant(prefix + part, getattr(module, part)) for part in parts]
            return graph.add("BatchNormalization", [*inputs, *names], output, epsilon=module.eps)
        case nn.Linear() if len(shape) == 2:
            biases = [] if module.bias is None else [graph.constant(prefix + "bias", module.bias)]
            weight = graph.constant(prefix + "weight", module.weight)
            return graph.add("Gemm", [*inputs, weight, *biases], output, transB=1)
        case nn.MaxPool2d():
            return graph.add("MaxPool", inputs, output, **_windows(module))
        case nn.AvgPool2d():
            walk = _windows(module) | {"count_include_pad": 1}
            return graph.add("AveragePool", inputs, output, **walk)
        case nn.AdaptiveAvgPool2d() if tuple(module.output_size) == (1, 1):
            return graph.add("GlobalAveragePool", inputs, output)
        case nn.Flatten() if module.start_dim == 1:
            if len(shape) == 4 and shape[1:3] != (1, 1):  # our order of the numbers
                inputs = [graph.add("Transpose", inputs, output + "_nhwc", perm=(0, 2, 3, 1))]
            return graph.add("Flatten", inputs, output, axis=1)
        case Padding():
            (top, bottom), (left, right) = module.windows.widths(call.inputs[0])
            pads = graph.constant(prefix + "pads", (0, 0, top, left, 0, 0, bottom, right))
            value = graph.constant(prefix + "value", Tensor(np.float32(module.value)))
            return graph.add("Pad", [*inputs, pads, value], output)
        case Pool() if module.windows.dilation == (1, 1) and not module.windows.ceil:
            windows = module.windows
            (top, bottom), (left, right) = windows.widths(call.inputs[0])
            walk = {"kernel_shape": windows.kernel, "strides": windows.stride}
            walk["pads"] = (top, left, bottom, right)
            if module.mean:
                walk["count_include_pad"] = int(module.count_padding)
            return graph.add("AveragePool" if module.mean else "MaxPool", inputs, output, **walk)
        case models.PadShortcut():
            starts, ends, axes, steps = (
                graph.constant(f"{prefix}{name}", values)
                for name, values in (
                    ("starts", (0, 0)),
                    ("ends", (END, END)),
                    ("axes", (2, 3)),
                    ("steps", (module.stride, module.stride)),
                )
            )
            before, after = module.width
            pads = graph.constant(prefix + "pads", (0, before, 0, 0, 0, after, 0, 0))
            sliced = graph.add("Slice", [*inputs, starts, ends, axes, steps], output + "_sliced")
            return graph.add("Pad", [sliced, pads], output)
        case nn.Softmax() if len(shape) == 2:
            return graph.add("Softmax", inputs, output, axis=module.dim)
        case nn.LeakyReLU():
            return graph.add("LeakyRelu", inputs, output, alpha=module.negative_slope)
        case nn.ReLU() | nn.Add() | nn.Sigmoid() | nn.Tanh():
            kind = type(module).__name__.replace("ReLU", "Relu")
            return graph.add(kind, inputs, output)
    raise ValueError(
        f"cannot export: {call.name or 'the network'}, a {type(module).__name__} on shape "
        f"{tuple(shape)}, has no counterpart in ONNX here"
    )


def _windows(module: Any) -> dict[str, Any]:
    return {
        "kernel_shape": module.kernel_size,
        "strides": module.stride,
        "pads": (*module.padding, *module.padding),
    }
