"""The residual add."""

from __future__ import annotations

from minires.nn.module import Module
from minires.tensors import Tensor


class Add(Module):
    """The residual add: `x + shortcut`, of equal shapes (He et al. 2015, eq. 1)."""

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """Two tensors of one shape. Nothing is stretched: that would hide a mistake."""
        if x.shape != shortcut.shape:
            raise ValueError(
                f"Add wants two tensors of one shape, got {tuple(x.shape)} and "
                f"{tuple(shortcut.shape)}: give the shortcut a projection"
            )
        return x + shortcut
