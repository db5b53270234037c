"""Weights from other frameworks, read without them and without running anything, and for them."""

from minires.interop.safetensors_file import save_torch_compatible
from minires.interop.torch_file import read_checkpoint
from minires.interop.weights import file_format, load_safetensors, load_torch, load_weights

__all__ = [
    "file_format",
    "load_safetensors",
    "load_torch",
    "load_weights",
    "read_checkpoint",
    "save_torch_compatible",
]
