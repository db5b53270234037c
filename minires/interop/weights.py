"""Weights files of other frameworks, whatever their names: state dicts, or right into a network."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from minires.files import FileError
from minires.interop import states, torch_file
from minires.interop.safetensors_file import read_safetensors, starts_safetensors
from minires.interop.states import Stored
from minires.interop.torch_file import StoredTensor
from minires.nn import Module

Format = Literal["torch", "safetensors", "other"]


def file_format(path: str | Path) -> Format:
    """What a file is, from its first bytes and, in a zip archive, the names of its records.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    if torch_file.starts_legacy(start):
        return "torch"
    if start.startswith(torch_file.ZIP_START):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            return "torch" if b"/data.pkl" in start else "other"
        return "torch" if any(name.endswith("/data.pkl") for name in names) else "other"
    return "safetensors" if starts_safetensors(start) else "other"


def load_torch(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the state dict in a PyTorch file, without PyTorch and without running anything.

    Parameters
    ----------
    path : str or Path
        A `.pth`, `.pt` or `.th` file, in the zip format or the older one; its name does not matter.

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
    return _in_our_ways(_torch_state(path))


def load_safetensors(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the state dict in a safetensors file that holds weights in PyTorch's layout.

    Parameters
    ----------
    path : str or Path

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
    return _in_our_ways(states.unwrapped(read_safetensors(path)))


def _in_our_ways(state: Mapping[str, Stored]) -> dict[str, NDArray[Any]]:
    usual = states.with_usual_names(state)
    return {name: states.read_in_our_layout(name, tensor) for name, tensor in usual.items()}


def load_weights(path: str | Path, model: Module | str) -> Any:
    """Load another framework's weights into a network.

    Parameters
    ----------
    path : str or Path
        What it is shows in its contents, not in its name.
    model : Module or str
        The network, or the name of one of `minires.models`, whose classes, channels and shortcuts
        are read off the weights.

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
        network = states.build(model, state) if isinstance(model, str) else model
        states.load_state(network, state)
    except FileError as error:
        raise FileError(f"cannot load {path}: {error}") from error
    return network.eval()


def _read_state(path: str | Path) -> Mapping[str, Stored]:
    found = file_format(path)
    if found == "torch":
        return _torch_state(path)
    if found == "safetensors":
        return states.unwrapped(read_safetensors(path))
    raise FileError(f"cannot load {path}: it is neither PyTorch's nor in the safetensors format")


def _torch_state(path: str | Path) -> dict[str, StoredTensor]:
    content = torch_file.read_checkpoint(path)
    try:
        state = states.find_state(content, lambda value: isinstance(value, StoredTensor))
    except FileError as error:
        raise FileError(f"cannot load {path}: {error}") from error
    return states.unwrapped(state)
