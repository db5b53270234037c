"""Weights files: a network's weights with all that is needed to use them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minires import models
from minires.files import FileError
from minires.from_pytorch import KnownKeys, pytorchs_keywords
from minires.nn import Module, init
from minires.tensors import Tensor
from minires.training.archive import read_archive, write_archive
from minires.typed_json import build


class _State(KnownKeys):
    whose = "load"


def save(model: Module | Mapping[str, Any], path: str | Path, **metadata: Any) -> None:
    """Write a network's weights and what describes it to one file, atomically.

    Parameters
    ----------
    model : Module, or dict of Tensor by name
        A network from `minires.models` is rebuilt by `load`; any other, and a `state_dict()`, loads
        into its like.
    path : str or Path
    **metadata
        Kept with the weights and found again in `model.metadata`, such as `classes` (names),
        `mean` and `std` (per channel, of pixels in [0, 1]) and `size` (height and width).

    Raises
    ------
    OSError
        If the file cannot be written; what was at `path` stays.
    TypeError
        If `model` is neither a network nor the state of one.
    """
    if not isinstance(path, str | Path):
        raise TypeError(f'save wants a path: write minires.save(net, "net.npz"), got {path!r:.60}')
    if isinstance(model, Mapping):
        state = dict(model)
        odd = [name for name, value in state.items() if not hasattr(value, "dtype")]
        if odd or not state:
            raise TypeError(
                "save wants a network or its state_dict(), got a dict "
                + (f"with {odd[0]!r}, which is no tensor" if odd else "of nothing")
                + ': write minires.save(net, "net.npz", epoch=1), which '
                'minires.load("net.npz", net).metadata has'
            )
    elif isinstance(model, Module):
        state = model.state_dict()
    else:
        raise TypeError(
            f"save wants a network or its state_dict(), got {type(model).__name__}: tensors have "
            'names in a file, write minires.save({"x": x}, "x.npz")'
        )
    nothing: dict[str, Any] | None = {} if isinstance(model, Mapping) else None
    content = {
        "architecture": getattr(model, "architecture", nothing),
        "metadata": {**getattr(model, "metadata", {}), **metadata},
        "state": state,
    }
    write_archive(path, "weights", content)


@pytorchs_keywords
def load(path: str | Path, model: Module | str | None = None, *, head: bool = True) -> Any:
    """Read a file that `save` wrote, or one of another framework's (see `minires.interop`).

    Parameters
    ----------
    path : str or Path
        What it is shows in its contents, not in its name.
    model : Module or str, optional
        Load into this one; by default the network that the file describes is built. Weights of
        PyTorch's do not describe theirs, unless minires exported them: a name such as "resnet50"
        says which it is.
    head : bool
        For such weights, False leaves the classifier as it is, whether or not the file has one.

    Returns
    -------
    Module, or dict of Tensor by name
        The dict if a `state_dict()` was saved and no model is given, for `load_state_dict`. A
        network is in evaluation mode, with a dict `metadata` of what was saved beside the weights.
        One from an ONNX or Keras file gives logits: a softmax at its end is left out.

    Raises
    ------
    FileError
        If the file is missing or damaged, if it describes no network and `model` is not given, or
        if the weights do not fit.
    """
    from minires import interop  # many modules, that only reading a file needs
    from minires.interop.safetensors_file import read_safetensors

    kind = interop.file_kind(path)
    if kind.format == "other":
        if kind.sure:
            raise interop.refusal(path, kind)
        raise FileError(f"{path} is damaged or not a minires weights file: it is {kind.what}")
    if kind.format in ("keras", "onnx"):
        if model is not None:
            raise FileError(f"{path} is {kind.what}, which holds its own network: name no model")
        read = interop.load_keras if kind.format == "keras" else interop.load_onnx
        return read(path).give_logits()
    if kind.format in ("torch", "safetensors"):
        said = interop.own_metadata(path) if kind.format == "safetensors" else {}
        architecture = said.pop("architecture", None)
        if model is None and architecture:
            try:
                model = described(architecture, read_safetensors(path))
            except FileError:
                raise
            except Exception as error:  # whatever a wrong type leads to
                raise FileError(f"{path} cannot be loaded: {error}") from error
        if model is None:
            raise FileError(
                f"{path} does not say which network its weights are of: "
                'name it, load(path, "resnet50") or load(path, net), or --model on the command line'
            )
        network = interop.load_weights(path, model, head=head)
        network.metadata = said or getattr(network, "metadata", {})
        return network
    content = read_archive(path, "weights")
    try:
        found = build(_Content, content)
        if isinstance(model, str):
            name = (found.architecture or {}).get("name", "another network")
            if name != model:
                raise FileError(f"{path} holds the weights of {name}, not of {model}")
            model = None
        if model is None:
            if found.architecture == {}:
                return _State({name: Tensor(array) for name, array in found.state.items()})
            if not found.architecture:
                raise FileError(
                    f"{path} holds weights of a network that is not from minires.models: build it "
                    "and pass it, load(path, model)"
                )
            model = described(found.architecture, found.state)
        assert isinstance(model, Module)
        model.load_state_dict(found.state)
    except FileError:
        raise
    except Exception as error:  # whatever a wrong type, or a network beyond memory, leads to
        reason = " ".join(str(error).split())
        raise FileError(f"{path} cannot be loaded: {reason}") from error
    model.metadata = found.metadata
    return model.eval()


def load_network(path: str | Path, model: Module | str | None = None, *, head: bool = True) -> Any:
    """As `load`, of a file that describes its network.

    Raises
    ------
    FileError
        As in `load`, and if the file holds a `state_dict()` alone.
    """
    network = load(path, model, head=head)
    if isinstance(network, dict):
        raise FileError(
            f"{path} holds a state_dict alone, which describes no network: save the network "
            "itself, minires.save(model, path)"
        )
    return network


@dataclass(frozen=True)
class _Content:
    """What a weights file holds."""

    architecture: dict[str, Any] | None
    metadata: dict[str, Any]
    state: dict[str, Any]


def described(architecture: dict[str, Any], state: dict[str, Any]) -> Any:
    """The network that a file describes, its weights unset: those of the file fit or are refused.

    Raises
    ------
    ValueError
        If the file has fewer arrays than the network has layers, so that no such network is built.
    """
    name = architecture["name"]
    layers = re.search(r"\d+", name)
    if layers and int(layers[0]) > len(state):
        raise ValueError(f"{name} has more layers than the {len(state)} arrays that are there")
    with init.skipped():
        return models.create(**architecture)
