"""What goes on inside a network: gradients by layer, and the strength of its layers' responses."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires import nn
from minires.grad_mode import no_grad
from minires.models import ResNet
from minires.nn import functional as F
from minires.tensors import Tensor


def gradient_norms(model: ResNet, images: Any, labels: Any) -> list[float]:
    """The norm of each 3x3 convolution's gradient, from the first to the last.

    Of the mean cross-entropy of one batch, in training mode. The model stays as it was.

    Parameters
    ----------
    model : ResNet
    images : float32 (N, H, W, C)
    labels : int64 (N,)
    """
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    model.train()
    model.zero_grad()
    F.cross_entropy(model(Tensor(images)), labels).backward()
    norms = [
        float(np.linalg.norm(module.weight.grad.numpy()))
        for module in model.modules()
        if isinstance(module, nn.Conv2d) and module.weight.shape[0] == 3
    ]
    model.zero_grad()
    model.load_state_dict(before)
    return [round(norm, 7) for norm in norms]


def response_deviations(model: ResNet, images: Any) -> list[float]:
    """The standard deviation of each 3x3 layer's responses, from the first to the last (figure 7).

    Responses are taken behind batch norm and before the ReLU or the addition, in evaluation mode.

    Parameters
    ----------
    model : ResNet
        Of the CIFAR family, with batch norm behind each convolution.
    images : float32 (N, H, W, C)
    """
    deviations: list[float] = []

    def record(module: Any, args: Any, output: Tensor) -> None:
        deviations.append(round(float(output.numpy().std()), 5))

    layers = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d) and "downsample" not in name
    ]
    removers = [layer.register_forward_hook(record) for layer in layers]
    model.eval()
    try:
        with no_grad():
            model(Tensor(images))
    finally:
        for remove in removers:
            remove()
    return deviations
