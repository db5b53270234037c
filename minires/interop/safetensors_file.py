"""Files in the safetensors format: named arrays in PyTorch's layout, and nothing that could run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.backend import to_host
from minires.files import FileError, atomic_write
from minires.interop.libraries import optional
from minires.interop.signatures import file_kind, refusal
from minires.interop.state_dicts import axes_in
from minires.nn import Module
from minires.text import shown

KNOWN = {"F16", "F32", "F64", "BF16", "BOOL"}
KNOWN |= {f"{sign}{bits}" for sign in "IU" for bits in (8, 16, 32, 64)}


class StoredTensor:
    """A tensor of the file, read when it is asked for.

    Raises
    ------
    ValueError
        If its numbers are of a type that is not known here, such as float8.
    """

    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name
        described = file.get_slice(name)
        self.shape: tuple[int, ...] = tuple(described.get_shape())
        self.dtype: str = described.get_dtype()
        if self.dtype not in KNOWN:
            raise ValueError(f"{shown(name)} is of type {self.dtype}, which is not known here")

    def read(self) -> NDArray[Any]:
        """The numbers; bfloat16, which NumPy lacks, as float32."""
        if self.dtype == "BF16":
            optional("ml_dtypes")  # which teaches NumPy the type
        array: NDArray[Any] = self.file.get_tensor(self.name)
        return array if array.dtype.kind in "fiub" else array.astype(np.float32)

    def forget(self) -> None:
        """Nothing is kept."""


def read_safetensors(path: str | Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, not read yet, in PyTorch's layout.

    Raises
    ------
    FileError
        If the file is missing or damaged.
    MissingLibrary
        If the library is not installed.
    """
    kind = file_kind(path)
    if kind.format != "safetensors":
        raise refusal(path, kind, "a safetensors file")
    library = optional("safetensors")
    try:
        file = library.safe_open(str(path), framework="np")
        return {name: StoredTensor(file, name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, library.SafetensorError) as error:
        raise FileError(f"cannot load {path}: {shown(str(error), 400)}") from error


def own_metadata(path: str | Path) -> dict[str, Any]:
    """What `minires export` writes in a file's head: the network's architecture, and how to use it.

    Returns
    -------
    dict
        Empty where somebody else wrote the file. Nothing in it is checked yet.

    Raises
    ------
    FileError, MissingLibrary
        As from `read_safetensors`.
    """
    library = optional("safetensors")
    try:
        with library.safe_open(str(path), framework="np") as file:
            said = {key: _json(text) for key, text in (file.metadata() or {}).items()}
    except (OSError, ValueError, library.SafetensorError) as error:
        raise FileError(f"cannot load {path}: {shown(str(error), 400)}") from error
    if not isinstance(said.get("architecture"), dict):
        return {}
    return {key: value for key, value in said.items() if value is not None}


def _json(text: str) -> Any:
    """None where it is none, as is the "pt" that PyTorch's programs look for."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def save_torch_compatible(
    model: Module, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a network's weights as PyTorch has them, in the safetensors format, atomically.

    Convolutions become (O, C, KH, KW) and linear weights (out, in); names stay, and are
    torchvision's for the networks of `minires.models`, so that torchvision's ResNets load the file:
    `network.load_state_dict(safetensors.torch.load_file(path))`.

    Parameters
    ----------
    model : Module
    path : str or Path
    metadata : mapping of str to str, optional
        Kept in the file's head.

    Raises
    ------
    OSError
        If the file cannot be written; what was at `path` stays.
    MissingLibrary
        If the library is not installed.
    """
    library = optional("safetensors.numpy")
    arrays, axes_of = {}, axes_in(model)
    for name, tensor in model.state_dict().items():
        axes = np.argsort(axes_of(name, tensor.ndim))
        arrays[name] = np.require(to_host(tensor.data).transpose(axes), requirements="C")
    with atomic_write(path) as file:
        library.save_file(arrays, file.name, {"format": "pt", **(metadata or {})})
