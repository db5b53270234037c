"""What is measured: tasks as plain data, and the numbers that every library gets for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

import minires
from minires import models

Kind = Literal[
    "step",
    "inference",
    "conv2d",
    "conv2d_dx",
    "conv2d_dw",
    "batch_norm",
    "scalars",
    "product",
    "copy",
    "resize",
]

FloatArray = np.ndarray[Any, np.dtype[np.float32]]
UInt8Array = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Task:
    """A piece of work that every library can do.

    Attributes
    ----------
    name : str
        How to ask for it, such as ``resnet20_step``.
    kind : str
        step: forward, cross-entropy, backward and an SGD update. inference: the logits in
        evaluation mode. conv2d, conv2d_dx, conv2d_dw: a convolution and its gradients. batch_norm:
        training forward and backward. scalars: a chain of operations on numbers, forward and back.
        product and copy: of matrices, which show what the machine can do. resize: of photographs.
    model : str
        For a network: its name in `minires.models`.
    shape : tuple of int
        (N, H, W, C) of the images, or (rows, columns) of the matrices.
    kernel : (int, int, int, int)
        For a convolution, (KH, KW, C, O).
    stride, padding : int
    length : int
        For scalars: how many operations. For a resize: pixels of the shorter side afterwards.
    """

    name: str
    kind: Kind
    model: str = ""
    shape: tuple[int, ...] = ()
    kernel: tuple[int, ...] = ()
    stride: int = 1
    padding: int = 0
    length: int = 0


class Work(NamedTuple):
    """A task made ready by a library: what is timed, and what it gives.

    Attributes
    ----------
    run : callable
        Does the work once.
    outputs : callable
        Does it once from the start and gives the results by name, in minires's layout.
    """

    run: Callable[[], object]
    outputs: Callable[[], dict[str, Any]]


LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 1e-4


def network(task: Task) -> models.ResNet:
    """The network of a task, with running statistics and scales as if it had been trained."""
    minires.manual_seed(0)
    built: models.ResNet = models.create(task.model)
    rng = np.random.default_rng(1)
    for name, tensor in built.state_dict().items():
        if name.endswith("running_mean"):
            tensor.data[...] = 0.1 * rng.standard_normal(tensor.shape)
        elif name.endswith("running_var"):
            tensor.data[...] = rng.uniform(0.5, 1.5, tensor.shape)
    return built


def images(task: Task) -> tuple[FloatArray, np.ndarray[Any, np.dtype[np.int64]]]:
    """A batch (N, H, W, C) and a label for each image."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal(task.shape, np.float32)
    classes = models.create(task.model).architecture["num_classes"]
    return x, rng.integers(classes, size=len(x))


def convolution(task: Task) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Images (N, H, W, C), weights (KH, KW, C, O) and a gradient of the output (N, Ho, Wo, O)."""
    rng = np.random.default_rng(3)
    N, H, W, C = task.shape
    KH, KW, _, O = task.kernel
    x = rng.standard_normal(task.shape, np.float32)
    w = rng.standard_normal(task.kernel, np.float32) / np.float32(np.sqrt(KH * KW * C))
    Ho = (H + 2 * task.padding - KH) // task.stride + 1
    Wo = (W + 2 * task.padding - KW) // task.stride + 1
    return x, w, rng.standard_normal((N, Ho, Wo, O), np.float32)


def normalization(task: Task) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Images, gamma and beta (C,), and a gradient of the output."""
    rng = np.random.default_rng(4)
    C = task.shape[-1]
    x = rng.standard_normal(task.shape, np.float32)
    gamma = rng.uniform(0.5, 1.5, C).astype(np.float32)
    return x, gamma, rng.standard_normal(C, np.float32), rng.standard_normal(x.shape, np.float32)


SCALARS = (0.5, 0.999, 0.001)
"""x, w and b of the chain ``y = y * w + b`` that begins with x."""


def matrices(task: Task) -> tuple[FloatArray, FloatArray]:
    """Two matrices of the task's shape."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, *task.shape), np.float32)
    return x, y


def pixels(task: Task) -> UInt8Array:
    """Images (N, H, W, C) whose neighbouring pixels differ, which resizing must average."""
    return np.random.default_rng(6).integers(0, 256, task.shape, np.uint8)
