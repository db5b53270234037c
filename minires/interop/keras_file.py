"""Keras's model files (.h5, of Keras 2 and 3) as networks, read without Keras or TensorFlow.

Such a file is in the HDF5 format. It holds the layers' configurations as JSON and their weights as
arrays; nothing in it is code, and layers that are code (Lambda) are not known here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires import nn
from minires.files import FileError
from minires.interop.keras_layers import LAYERS, activation
from minires.interop.libraries import optional
from minires.interop.signatures import file_kind, refusal
from minires.tensors import Tensor
from minires.text import shown

Value = tuple[str, int]  # what a layer gave when it was called for this time


@dataclass(frozen=True)
class _Call:
    """A layer at work."""

    layer: str  # the module's name
    inputs: tuple[Value, ...]
    output: Value


class KerasNetwork(nn.Module):
    """A network read from a file of Keras's: images (N, H, W, C) to its output.

    Its layers have Keras's names, and are trained, moved and saved like those of any other module.

    Attributes
    ----------
    input_shape : tuple of int or None
        Height, width and channels; None where any will do.
    in_channels, num_classes : int or None
    metadata : dict
    """

    num_classes: int | None = None

    def __init__(self, input_shape: tuple[int | None, ...]) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.in_channels = input_shape[-1] if input_shape else None
        self.metadata: dict[str, Any] = {}
        self.calls: list[_Call] = []
        self.source: Value = ("", 0)
        self.output: Value = ("", 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to whatever the last layer gives."""
        fits = len(x.shape) == len(self.input_shape) + 1
        if not fits or any(
            w not in (None, n) for n, w in zip(x.shape[1:], self.input_shape, strict=True)
        ):
            wanted = ", ".join(["N", *("any" if n is None else str(n) for n in self.input_shape)])
            raise ValueError(f"this network wants shape ({wanted}), got {tuple(x.shape)}")
        values = {self.source: x}
        for call in self.calls:
            module = getattr(self, call.layer)
            values[call.output] = module(*(values[name] for name in call.inputs))
        return values[self.output]

    @property
    def ends_in_sigmoid(self) -> bool:
        """Whether it gives a probability of each class by itself, so that these are no logits."""
        return isinstance(getattr(self, self.calls[-1].layer), nn.Sigmoid)

    def give_logits(self) -> KerasNetwork:
        """Leave out a softmax at the end, if there is one."""
        last = getattr(self, self.calls[-1].layer)
        if isinstance(last, nn.Softmax) and self.calls[-1].output == self.output:
            (self.output,) = self.calls.pop().inputs
        return self


def load_keras(path: str | Path) -> KerasNetwork:
    """Read a Keras model from an `.h5` file, as `model.save("model.h5")` writes it.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    KerasNetwork
        In evaluation mode. "same" padding is TensorFlow's, with the odd pixel at the end. It takes
        what the Keras model takes: often pixels of 0 to 255.

    Raises
    ------
    FileError
        If the file is missing or damaged, holds weights without a model, or has layers or options
        that are not known here; the message names them.
    MissingLibrary
        If the library h5py is not installed.
    """
    kind = file_kind(path)
    if kind.format != "keras":
        raise refusal(path, kind, "a Keras model (.h5)")
    h5py = optional("h5py")
    try:
        with h5py.File(str(path), "r") as file:
            return _network(h5py, file, Path(path).stat().st_size).eval()
    except FileError as error:
        raise FileError(f"cannot load {path}: {error}") from error
    except Exception as error:  # h5py raises nearly anything on damaged files
        what = shown(" ".join(str(error).split()), 300) or type(error).__name__
        raise FileError(f"cannot load {path}: {what}") from error


def _network(h5py: Any, file: Any, file_size: int) -> KerasNetwork:
    if "model_config" not in file.attrs:
        what = "weights without their model" if "layer_names" in file.attrs else "no Keras model"
        raise FileError(f'it is an HDF5 file that holds {what}: save it with model.save("x.h5")')
    text = file.attrs["model_config"]
    config = json.loads(text.decode() if isinstance(text, bytes) else text)
    layers = _layers(config)
    unknown = sorted({layer["class_name"] for layer in layers} - {*LAYERS, "InputLayer"})
    if unknown:
        raise FileError(
            f"it has layers that are not known here: {', '.join(map(shown, unknown))} "
            f"(known: {', '.join(LAYERS)})"
        )
    sources = [layer for layer in layers if layer["class_name"] == "InputLayer"]
    ends = config["config"].get("output_layers", [None])
    ends = [ends] if ends and isinstance(ends[0], str) else ends
    if len(sources) != 1 or len(ends) != 1:
        raise FileError(f"it has {len(sources)} inputs and {len(ends)} outputs, wanted one of each")
    network = KerasNetwork(_input_shape(sources[0]))
    network.source = (sources[0]["name"], 0)
    weights = file.get("model_weights", file)
    for layer in layers:
        if layer["class_name"] == "InputLayer":
            continue
        try:
            arrays = dict(_arrays(h5py, weights, layer["name"], file_size))
            _add(network, layer, arrays)
        except (LookupError, TypeError, ValueError) as error:
            name = shown(layer["name"], 60)
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise FileError(f"{layer['class_name']} {name}: {what}") from error
    network.output = _value(ends[0]) if ends[0] else network.calls[-1].output
    _in_order(network)
    widths = [m.out_features for m in network.modules() if isinstance(m, nn.Linear)]
    network.num_classes = widths[-1] if widths else None
    return network


# ---------------------------------------------------------------------- the configuration


def _layers(config: Any) -> list[dict[str, Any]]:
    """Every layer's class, name, configuration and the layers before it, for each of its calls."""
    if config["class_name"] not in ("Functional", "Model", "Sequential"):
        raise FileError(f"it is a {shown(str(config['class_name']), 60)}, no model of layers")
    found = []
    for i, layer in enumerate(config["config"]["layers"]):
        inner = layer["config"]
        name = str(inner.get("name", layer.get("name", f"layer{i}")))
        calls = [_inputs(node) for node in layer.get("inbound_nodes", [])]
        if config["class_name"] == "Sequential":
            if i == 0 and layer["class_name"] != "InputLayer":
                found.append({"class_name": "InputLayer", "name": "input", "config": inner})
            calls = [[(found[-1]["name"], 0)]] if found else []
        found.append(
            {"class_name": str(layer["class_name"]), "name": name, "config": inner, "calls": calls}
        )
    return found


def _inputs(node: Any) -> list[Value]:
    """The inputs of a call, which Keras 2 writes as [[name, call, output, options], ...]."""
    if isinstance(node, dict):  # Keras 3
        options = {k: v for k, v in node.get("kwargs", {}).items() if v not in (None, False)}
        if options:
            raise FileError(f"a layer is called with {shown(', '.join(options), 60)}")
        return [_value(history) for history in _histories(node.get("args", []))]
    if any(any(v is not False and v is not None for v in part[3].values()) for part in node):
        raise FileError("a layer is called with options, which is not known here")
    return [_value(part) for part in node]


def _histories(args: Any) -> Iterator[Any]:
    if isinstance(args, dict):
        yield args["config"]["keras_history"]
    elif isinstance(args, list):
        for part in args:
            yield from _histories(part)
    elif args is not None:
        raise FileError("a layer is called with a constant, which is not known here")


def _value(history: Any) -> Value:
    name, call, output = history[:3]
    if output != 0:
        raise FileError(f"{shown(str(name), 60)} has several outputs, which is not known here")
    return str(name), int(call)


def _input_shape(layer: dict[str, Any]) -> tuple[int | None, ...]:
    config = layer["config"]
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if shape is None:
        raise FileError("it does not say what shape its images have")
    return tuple(None if n is None else int(n) for n in shape[1:])


def _add(network: KerasNetwork, layer: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """A layer and its activation, as often as it is called."""
    kind, name, config = layer["class_name"], layer["name"], layer["config"]
    if config.get("data_format", "channels_last") != "channels_last":
        raise ValueError("channels first are not known here")
    counts = {len(inputs) for inputs in layer["calls"]}
    module = LAYERS[kind]({**config, "inputs": max(counts, default=0)}, arrays)
    own = re.sub(r"\W", "_", name)
    own = own if own.isidentifier() and not hasattr(network, own) else f"layer_{own}"
    after = None if kind == "Activation" else activation(config)
    if hasattr(network, own):
        raise ValueError("two layers have this name")
    setattr(network, own, module)
    if after is not None:
        setattr(network, f"{own}_activation", after)
    for i, inputs in enumerate(layer["calls"]):
        output = (name, i)
        between = (name, -1 - i) if after is not None else output
        network.calls.append(_Call(own, tuple(inputs), between))
        if after is not None:
            network.calls.append(_Call(f"{own}_activation", (between,), output))


def _in_order(network: KerasNetwork) -> None:
    """Put each call after those that it needs: a layer that is called twice is listed once."""
    waiting, known = network.calls, {network.source}
    network.calls = []
    while waiting:
        ready = [call for call in waiting if known.issuperset(call.inputs)]
        if not ready:
            raise FileError(f"{shown(waiting[0].layer, 60)} has an input that nothing gives")
        network.calls += ready
        known.update(call.output for call in ready)
        waiting = [call for call in waiting if call not in ready]
    if network.output not in known:
        raise FileError("its output is none of its layers'")


# ---------------------------------------------------------------------- the weights


def _arrays(
    h5py: Any, weights: Any, layer: str, file_size: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    """A layer's arrays by the last part of their names, `kernel` of `conv/kernel:0`."""
    if layer not in weights:
        return
    group = weights[layer]
    for name in group.attrs.get("weight_names", ()):
        name = name.decode() if isinstance(name, bytes) else str(name)
        link = group.get(name, getlink=True)
        data = group[name]
        if isinstance(link, h5py.ExternalLink) or not isinstance(data, h5py.Dataset):
            raise ValueError(f"{shown(name, 60)} is no array in this file")
        size = math.prod(map(float, data.shape)) * data.dtype.itemsize
        stored = data.id.get_storage_size()
        if data.is_virtual or data.external or size > min(stored, file_size):
            raise ValueError(f"{shown(name, 60)} is compressed or not in this file")
        if data.dtype.kind != "f":
            raise ValueError(f"{shown(name, 60)} is of type {data.dtype}")
        yield name.rpartition("/")[2].partition(":")[0], np.asarray(data[()])
