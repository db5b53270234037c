"""Batch norm, the residual add and ReLU in one pass, where nobody looks at what lies between."""

from __future__ import annotations

from minires.nn.activation import ReLU
from minires.nn.module import Module
from minires.nn.normalization import BatchNorm1d, BatchNorm2d
from minires.nn.structure import Add
from minires.tensor import Tensor

LARGE = 1 << 17
"""Elements. Of smaller arrays a pass costs nothing, and a graph is drawn with every step in it."""


def rectified(relu: Module, norm: Module, x: Tensor) -> Tensor:
    """``relu(norm(x))``, to the bit.

    Where `x` is large, `norm` is a batch norm and neither has hooks, it is one operation: the array
    between the two is never written.
    """
    one_pass = x.size > LARGE and _plain(relu, norm)
    out: Tensor = norm(x, relu=True) if one_pass else relu(norm(x))
    return out


def rectified_sum(relu: Module, add: Module, norm: Module, x: Tensor, shortcut: Tensor) -> Tensor:
    """``relu(add(norm(x), shortcut))``, as `rectified`: to the bit, except that what float16 gives
    is rounded once."""
    if x.size > LARGE and x.shape == shortcut.shape and _plain(relu, add, norm):
        out: Tensor = norm(x, residual=shortcut, relu=True)
    else:
        out = relu(add(norm(x), shortcut))
    return out


def _plain(*modules: Module) -> bool:
    """Whether each is what its name says, and no hook or other `forward` takes part in a call."""
    known = (ReLU, BatchNorm1d, BatchNorm2d, Add)
    return all(type(module) in known and not _watched(module) for module in modules)


def _watched(module: Module) -> bool:
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_hooks
    return any(hooks) or "forward" in module.__dict__
