"""The CIFAR residual network (He et al. 2015, section 4.2) on whatever layers a library has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import threadpoolctl

from minires.bench import tasks
from minires.bench.tasks import Task, Work


class Layers(Protocol):
    """What a library must know; images and weights are in its own layout."""

    def conv(self, x: Any, w: Any, stride: int) -> Any:
        """A convolution, padded so that the size changes by the stride only."""

    def batch_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        """By the batch's own statistics, eps 1e-5."""

    def relu(self, x: Any) -> Any:
        """`max(x, 0)`."""

    def shorten(self, x: Any, new: int) -> Any:
        """Shortcut A: every second pixel, and `new` channels of zeros on either side."""

    def classify(self, x: Any, w: Any, b: Any) -> Any:
        """The mean over the image, and a linear layer."""


def logits(layers: Any, p: Mapping[str, Any], x: Any, model: str) -> Any:
    """A network of 6n + 2 layers with its parameters by name."""

    def conv_bn(x: Any, i: int, name: str = "", stride: int = 1) -> Any:
        y = layers.conv(x, p[f"{name}conv{i}.weight"], stride)
        return layers.batch_norm(y, p[f"{name}bn{i}.weight"], p[f"{name}bn{i}.bias"])

    x = layers.relu(conv_bn(x, 1))
    for stage in (1, 2, 3):
        for block in range((int(model.removeprefix("resnet")) - 2) // 6):
            name, halve = f"layer{stage}.{block}.", stage > 1 and block == 0
            y = layers.relu(conv_bn(x, 1, name, stride=2 if halve else 1))
            shortcut = layers.shorten(x, 4 * 2 ** (stage - 1)) if halve else x
            x = layers.relu(conv_bn(y, 2, name) + shortcut)
    return layers.classify(x, p["fc.weight"], p["fc.bias"])


def step(
    task: Task,
    gradients: Callable[[dict[str, Any], Any, Any], tuple[Any, dict[str, Any]]],
    channels_first: bool,
) -> Work:
    """A training step from a function that gives a batch's loss and gradients, all as arrays.

    Parameters
    ----------
    task : Task
        A step of a CIFAR residual network.
    gradients : callable
        ``gradients(parameters, images, labels)``.
    channels_first : bool
        Whether images are (N, C, H, W) and weights (O, C, KH, KW).
    """
    if task.kind != "step":
        raise ValueError(f"peers know training steps only, not {task.kind}")

    def theirs(w: Any) -> Any:
        return w.transpose(3, 2, 0, 1).copy() if channels_first and w.ndim == 4 else w.copy()

    def back(w: Any) -> Any:
        return w.transpose(2, 3, 1, 0) if channels_first and w.ndim == 4 else w

    images, labels = tasks.images(task)
    x = images.transpose(0, 3, 1, 2).copy() if channels_first else images
    p = {name: theirs(tensor.data) for name, tensor in tasks.network(task).named_parameters()}
    velocity = {name: np.zeros_like(w) for name, w in p.items()}

    def run() -> tuple[Any, dict[str, Any]]:
        loss, grads = gradients(p, x, labels)
        for name, w in p.items():
            velocity[name] *= np.float32(tasks.MOMENTUM)
            velocity[name] += grads[name] + np.float32(tasks.WEIGHT_DECAY) * w
            w -= np.float32(tasks.LEARNING_RATE) * velocity[name]
        return loss, grads

    def outputs() -> dict[str, Any]:
        loss, grads = run()
        found = {"loss": np.asarray(loss)}
        for name, w in p.items():
            found[f"gradient of {name}"], found[f"new {name}"] = back(grads[name]), back(w)
        return found

    return Work(run, outputs)


def blas() -> dict[str, str]:
    """The threads and the kernels of NumPy's BLAS."""
    (library,) = (x for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas")
    kernels = f"{library['internal_api']} {library['version']} {library.get('architecture', '')}"
    return {"threads": str(library["num_threads"]), "kernels": kernels.strip()}
