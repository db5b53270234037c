"""Nonlinearities as layers."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.module import Module
from minires.tensors import Tensor


class ReLU(Module):
    """`max(x, 0)`; with `inplace=True` the input is changed to it, see `functional.relu`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.relu(x, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" * self.inplace


class LeakyReLU(Module):
    """`x` where positive, else `negative_slope * x`; `inplace` as in `ReLU`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.leaky_relu(x, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + ", inplace=True" * self.inplace


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

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithms of `Softmax`, which `NLLLoss` takes."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.log_softmax(x, self.dim)


class GELU(Module):
    """`x` times the probability that a normal variable is less than `x`.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Exactly, by the error function, or by a formula with tanh.

    See Also
    --------
    minires.nn.functional.gelu : both formulas, and the paper.
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate must be "none" or "tanh", got {approximate!r}')
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """`x * sigmoid(x)`, also called swish; `inplace` as in `ReLU`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.silu(x, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" * self.inplace
