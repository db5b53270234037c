"""Weights files of other frameworks, whatever their names: state dicts, or right into a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from minires.files import FileError
from minires.interop import state_dicts, torch_file
from minires.interop.safetensors_file import read_safetensors
from minires.interop.signatures import Format, file_kind, refusal
from minires.interop.state_dicts import Stored
from minires.interop.stored_tensor import StoredTensor
from minires.nn import Module


def file_format(path: str | Path) -> Format:
    """What a file is, from its first bytes and, in a zip archive, the names of its records.

    Returns
    -------
    {"torch", "safetensors", "keras", "onnx", "minires", "other"}

    Raises
    ------
    FileError
        If it cannot be read.
    """
    return file_kind(path).format


def load_torch(path: str | Path, model: Module | None = None) -> dict[str, NDArray[Any]]:
    """Read the state dict in a PyTorch file, without PyTorch and without running anything.

    Parameters
    ----------
    path : str or Path
        A `.pth`, `.pt` or `.th` file, in the zip format or the older one; its name does not matter.
    model : Module, optional
        Whose weights these are. A matrix in a file may be a linear layer's or a table of
        embeddings, which stands in the same way in both libraries; names do not tell, the model
        does. Without one every matrix is a linear layer's.

    Returns
    -------
    dict of str to array
        As `Module.load_state_dict` takes it: names without the prefixes of wrappers, a residual
        network's as torchvision has them; convolutions (KH, KW, C, O), linear weights (in, out).
        The arrays are read-only views of the file, which is mapped into memory.

    Raises
    ------
    FileError
        If the file is missing, damaged or not PyTorch's, asks for anything but tensors and plain
        values (the message names what), or holds no state dict.

    Examples
    --------
    >>> state = load_torch("resnet18-f37072fd.pth")  # doctest: +SKIP
    >>> state["conv1.weight"].shape  # doctest: +SKIP
    (7, 7, 3, 64)
    """
    return _in_our_ways(_torch_state(path), model)


def load_safetensors(path: str | Path, model: Module | None = None) -> dict[str, NDArray[Any]]:
    """Read the state dict in a safetensors file that holds weights in PyTorch's layout.

    Parameters
    ----------
    path : str or Path
    model : Module, optional
        As for `load_torch`.

    Returns
    -------
    dict of str to array
        Names and layout as from `load_torch`.

    Raises
    ------
    FileError
        If the file is missing or damaged.
    MissingLibrary
        If the library safetensors is not installed.
    """
    return _in_our_ways(state_dicts.unwrapped(read_safetensors(path)), model)


def _in_our_ways(state: Mapping[str, Stored], model: Module | None) -> dict[str, NDArray[Any]]:
    usual = state_dicts.with_usual_names(state)
    axes_of: Callable[[str, int], tuple[int, ...]] = state_dicts.torch_axes
    if model is not None:
        usual, axes_of = state_dicts.named_as_in(model, state), state_dicts.axes_in(model)
    return {
        name: tensor.read().transpose(axes_of(name, len(tensor.shape)))
        for name, tensor in usual.items()
    }


def load_weights(path: str | Path, model: Module | str, *, head: bool = True) -> Any:
    """Load another framework's weights into a network.

    What stands in front of all names (`module.`, `model.`, `backbone.`) does not matter. Layers of
    PyTorch's `TransformerEncoder` with `norm_first=True` load into `models.TransformerBlock`.

    Parameters
    ----------
    path : str or Path
        What it is shows in its contents, not in its name.
    model : Module or str
        The network, or the name of one of `minires.models`, whose classes, channels and shortcuts
        are read off the weights.
    head : bool
        False is for transfer: a residual network's classifier stays as it is, whether or not the
        file has one.

    Returns
    -------
    Module
        In evaluation mode.

    Raises
    ------
    FileError
        If the file cannot be loaded, or naming each key that is missing, unknown or of the wrong
        shape; nothing is loaded then.
    ValueError
        If there is no network of that name.
    """
    state = _read_state(path)
    try:
        network = state_dicts.build(model, state, head) if isinstance(model, str) else model
        state_dicts.load_state(network, state, head)
    except FileError as error:
        raise FileError(f"cannot load {path}: {error}") from error
    return network.eval()


def _read_state(path: str | Path) -> Mapping[str, Stored]:
    kind = file_kind(path)
    if kind.format == "torch":
        return _torch_state(path)
    if kind.format == "safetensors":
        return state_dicts.unwrapped(read_safetensors(path))
    raise refusal(path, kind, "a PyTorch or safetensors file")


def _torch_state(path: str | Path) -> dict[str, StoredTensor]:
    content = torch_file.read_checkpoint(path)
    try:
        state = state_dicts.find_state(content, lambda value: isinstance(value, StoredTensor))
    except FileError as error:
        raise FileError(f"cannot load {path}: {error}") from error
    return state_dicts.unwrapped(state)
