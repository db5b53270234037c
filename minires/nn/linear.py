"""The fully connected layer."""

from __future__ import annotations

import math

import numpy as np  # for the dtype only

from minires.nn import functional as F
from minires.nn import init
from minires.nn.module import Module, Parameter
from minires.tensors import Tensor


class Linear(Module):
    """`x @ weight + bias`: (..., in_features) to (..., out_features).

    Parameters
    ----------
    in_features, out_features : int
    bias : bool

    Attributes
    ----------
    weight : Parameter (in_features, out_features)
        At first uniform within 1 / sqrt(in_features), and so is the bias: PyTorch's default.
    bias : Parameter (out_features,) or None

    Raises
    ------
    ValueError
        If there is no feature; when called, if the input has another number of them.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        if min(in_features, out_features) < 1:
            raise ValueError(
                f"Linear wants at least one feature in and out, got in_features={in_features}, "
                f"out_features={out_features}"
            )
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((in_features, out_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        initialize(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """Each output value takes in_features."""
        return math.prod(output_shape) * self.in_features


def initialize(weight: Parameter, bias: Parameter | None) -> None:
    """PyTorch's default for linear and convolution layers: uniform within 1 / sqrt(fan-in)."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(max(init.fans(weight)[0], 1))
        init.uniform_(bias, -bound, bound)
