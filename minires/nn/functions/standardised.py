"""Mean 0 and variance 1, then scale and shift: what layer norm and group norm are made of."""

from __future__ import annotations

from minires import ops
from minires.dtypes import widened
from minires.tensors import Tensor


def standardised(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    """Mean 0 and variance 1 over `axes`; float16 comes back as float32."""
    wide: Tensor = widened(x)
    centred = wide - wide.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True)
    return centred / ops.sqrt(variance + eps)


def scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None, like: Tensor) -> Tensor:
    x = x if weight is None else x * weight
    x = x if bias is None else x + bias
    return x if x.dtype == like.dtype else x.astype(like.dtype)


def check_floating(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise TypeError(f"{name} wants floating-point numbers, got {x.dtype}")
