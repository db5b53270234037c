"""Layers that change no value: several axes in one, and nothing at all."""

from __future__ import annotations

from minires.nn.module import Module
from minires.tensors import Tensor


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` in one: (N, H, W, C) to (N, H * W * C)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, all the rest)."""
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Its input; takes and ignores any arguments, so that it can replace any layer."""

    in_summary = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x
