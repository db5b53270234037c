"""A layer and its ReLU in one pass over memory, where nobody looks at what lies between."""

from __future__ import annotations

from minires.nn.activation import ReLU
from minires.nn.module import Module
from minires.nn.normalization import BatchNorm1d, BatchNorm2d
from minires.nn.structure import Add
from minires.tensor import Tensor

LARGE = 1 << 17
"""Elements. Of smaller arrays a pass costs nothing, and a graph is drawn with every step in it."""


def rectified(relu: Module, layer: Module, *inputs: Tensor) -> Tensor:
    """``relu(layer(*inputs))``, to the bit.

    Where arrays are large, `layer` is a batch norm or the residual add, and neither has hooks, it
    is one operation: the array between the two is never written.

    Parameters
    ----------
    relu, layer : Module
    *inputs : Tensor
        The layer's.

    Returns
    -------
    Tensor
    """
    known = type(relu) is ReLU and type(layer) in (BatchNorm1d, BatchNorm2d, Add)
    out: Tensor
    if known and inputs[0].size > LARGE and not _watched(relu) and not _watched(layer):
        out = layer(*inputs, relu=True)
    else:
        out = relu(layer(*inputs))
    return out


def _watched(module: Module) -> bool:
    """Whether a hook, or a `forward` put in place of the class's, takes part in a call."""
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_hooks
    return any(hooks) or "forward" in module.__dict__
