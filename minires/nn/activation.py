"""Nonlinearities as layers."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.module import Module
from minires.tensors import Tensor


class ReLU(Module):
    """`max(x, 0)`. `inplace=True`, which many scripts have, is accepted: results are new anyway."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.relu(x)


class LeakyReLU(Module):
    """`x` where positive, else `negative_slope * x`; `inplace` as in `ReLU`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """`1 / (1 + exp(-x))`."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.tanh(x)


class Softmax(Module):
    """Probabilities along `dim`. `CrossEntropyLoss` takes logits: no softmax before it."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
