"""What batch, layer and group normalisation end with: a learned scale and a learned shift."""

from __future__ import annotations

from typing import Any

import numpy as np  # for dtypes only

from minires.nn import init
from minires.nn.module import Module, Parameter


class ScaleAndShift(Module):
    """A layer with a `weight` (the papers' gamma) and a `bias` (beta), each perhaps None."""

    weight: Any
    bias: Any

    def _learn(self, shape: int | tuple[int, ...], *, weight: bool, bias: bool) -> None:
        """Make the parameters that are wanted, of this shape."""
        self.weight = Parameter(np.ones(shape, np.float32)) if weight else None
        self.bias = Parameter(np.zeros(shape, np.float32)) if bias else None

    def reset_parameters(self) -> None:
        """Scale by 1 again and shift by 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)
