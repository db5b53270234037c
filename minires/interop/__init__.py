"""Weights from other frameworks, read without them and without running anything."""

from minires.interop.torch_file import read_checkpoint
from minires.interop.weights import file_format, load_torch, load_weights

__all__ = ["file_format", "load_torch", "load_weights", "read_checkpoint"]
