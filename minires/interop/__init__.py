"""Weights from other frameworks, read without them and without running anything, and for them."""

from minires.interop.keras_file import KerasNetwork, load_keras
from minires.interop.libraries import MissingLibrary
from minires.interop.onnx_export import OPSET, export_onnx
from minires.interop.onnx_import import load_onnx
from minires.interop.onnx_network import OnnxNetwork
from minires.interop.safetensors_file import own_metadata, save_torch_compatible
from minires.interop.signatures import Kind, file_kind, refusal
from minires.interop.torch_file import read_checkpoint
from minires.interop.weights import file_format, load_safetensors, load_torch, load_weights

__all__ = [
    "OPSET",
    "KerasNetwork",
    "Kind",
    "MissingLibrary",
    "OnnxNetwork",
    "export_onnx",
    "file_format",
    "file_kind",
    "load_keras",
    "load_onnx",
    "load_safetensors",
    "load_torch",
    "load_weights",
    "own_metadata",
    "read_checkpoint",
    "refusal",
    "save_torch_compatible",
]
