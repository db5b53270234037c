"""What one layer of a network makes of one image, for pictures of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.nn import Identity, Module
from minires.nn.modes import evaluating
from minires.tensors import Tensor
from minires.training.evaluate import device_of_model


def one_image(model: Module, image: Any) -> Tensor:
    """An image as a batch of one, on the model's device.

    Raises
    ------
    ValueError
        If it is no image (H, W, C) or (1, H, W, C).
    """
    try:
        x = image if isinstance(image, Tensor) else Tensor(np.asarray(image, np.float32))
    except (TypeError, ValueError):
        raise ValueError(f"this wants an image as an array, got {type(image).__name__}") from None
    if x.ndim == 3:
        x = x.reshape(1, *x.shape)
    if x.ndim != 4 or x.shape[0] != 1:
        raise ValueError(f"this wants one image, (H, W, C) or (1, H, W, C), got {x.shape}")
    return x.to(device_of_model(model))


def layer_output(model: Module, x: Tensor, layer: str | None) -> tuple[Tensor, Tensor, str]:
    """The logits, the last output of `layer`, or the last image that any layer gave, and its name.

    Raises
    ------
    ValueError
        If there is no such layer, or it gives no image.
    """
    names = dict(model.named_modules())
    if layer is not None and layer not in names:
        some = ", ".join(name for name in list(names)[1:9])
        raise ValueError(f"there is no layer {layer!r}; there are {some} and others")
    by_id = {id(module): name for name, module in names.items()}
    seen: list[tuple[Tensor, str]] = []

    def keep(module: Module, args: Any, out: Any) -> None:
        pixels = isinstance(out, Tensor) and out.ndim == 4
        if layer is not None and not pixels:
            raise ValueError(f"{layer} gives no image (N, h, w, channels), so nothing can be drawn")
        if pixels and (layer is not None or min(out.shape[1:3]) > 1):
            seen.append((out, by_id[id(module)]))

    leaves = [m for m in model.modules() if not m._modules and not isinstance(m, Identity)]
    watched = leaves if layer is None else [names[layer]]
    removers = [m.register_forward_hook(keep) for m in watched]
    try:
        with evaluating(model):
            logits = model(x)
    finally:
        for remove in removers:
            remove()
    if not seen:
        raise ValueError("no layer gave an image (N, h, w, channels): name one with layer=")
    return (logits, *seen[-1])
