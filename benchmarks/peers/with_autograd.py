"""A training step in HIPS autograd. It has no layers: these are NumPy, with im2col by slices."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.peers import resnet
from minires.bench.tasks import Task, Work


def about() -> dict[str, str]:
    """Its version, and NumPy's BLAS."""
    return {"library": f"HIPS autograd {version('autograd')}", **resnet.blas()}


class Layers:
    """Images are (N, H, W, C)."""

    def conv(self, x: Any, w: Any, stride: int) -> Any:
        KH, KW, C, O = w.shape
        N, H, W, _ = x.shape
        Ho, Wo = H // stride, W // stride
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "constant")
        windows = [
            padded[:, i : i + stride * Ho : stride, j : j + stride * Wo : stride]
            for i in range(KH)
            for j in range(KW)
        ]
        columns = np.concatenate(windows, axis=3)  # (N, Ho, Wo, KH * KW * C)
        product = np.dot(columns.reshape(-1, KH * KW * C), w.reshape(-1, O))
        return product.reshape(N, Ho, Wo, O)

    def batch_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        centred = x - np.mean(x, axis=(0, 1, 2))
        var = np.mean(centred * centred, axis=(0, 1, 2))
        return centred * (gamma / np.sqrt(var + np.float32(1e-5))) + beta

    def relu(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def shorten(self, x: Any, new: int) -> Any:
        return np.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (new, new)), "constant")

    def classify(self, x: Any, w: Any, b: Any) -> Any:
        return np.dot(np.mean(x, axis=(1, 2)), w) + b


def build(task: Task, layout: str) -> Work:
    """Make a training step ready."""

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
        z = resnet.logits(Layers(), p, x, task.model)
        z = z - np.max(z, axis=1, keepdims=True)
        log_probabilities = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        return -np.mean(log_probabilities[np.arange(len(x)), labels])

    return resnet.step(task, value_and_grad(loss), channels_first=False)
