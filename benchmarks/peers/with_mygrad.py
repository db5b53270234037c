"""A training step in MyGrad, with the layers that it brings."""

from __future__ import annotations

from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.layers import batchnorm, conv_nd
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.peers import resnet
from minires.bench.tasks import Task, Work


def about() -> dict[str, str]:
    """Its version, and NumPy's BLAS."""
    return {"library": f"MyGrad {mg.__version__}", **resnet.blas()}


class Layers:
    """Images are (N, C, H, W)."""

    def conv(self, x: Any, w: Any, stride: int) -> Any:
        if stride == 1:
            return conv_nd(x, w, stride=1, padding=1)
        # it wants windows that fit: the last row and column of padding are never reached
        return conv_nd(_with_zeros(_with_zeros(x, 1, 0, axis=2), 1, 0, axis=3), w, stride=stride)

    def batch_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        return batchnorm(x, gamma=gamma, beta=beta, eps=1e-5)

    def relu(self, x: Any) -> Any:
        return relu(x)

    def shorten(self, x: Any, new: int) -> Any:
        return _with_zeros(x[:, :, ::2, ::2], new, new, axis=1)

    def classify(self, x: Any, w: Any, b: Any) -> Any:
        return x.mean(axis=(2, 3)) @ w + b


def _with_zeros(x: Any, before: int, after: int, axis: int) -> Any:
    def zeros(size: int) -> Any:
        return np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)

    return mg.concatenate([zeros(before), x, zeros(after)], axis=axis)


def build(task: Task, layout: str) -> Work:
    """Make a training step ready."""

    def gradients(p: dict[str, Any], x: Any, labels: Any) -> tuple[Any, dict[str, Any]]:
        tensors = {name: mg.tensor(w, copy=False) for name, w in p.items()}
        loss = softmax_crossentropy(resnet.logits(Layers(), tensors, x, task.model), labels)
        loss.backward()
        return loss.data, {name: t.grad for name, t in tensors.items()}

    return resnet.step(task, gradients, channels_first=True)
