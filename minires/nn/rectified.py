"""Batch norm, the residual add and ReLU in one pass, where nobody looks at what lies between."""

from __future__ import annotations

from minires.nn.activation import ReLU
from minires.nn.module import Module
from minires.nn.normalization import BatchNorm1d, BatchNorm2d
from minires.nn.structure import Add
from minires.tensor import Tensor

NORMS = BatchNorm1d, BatchNorm2d

LARGE = 1 << 17
"""Elements. Of smaller arrays a pass costs nothing, and a graph is drawn with every step in it."""


def rectified(relu: Module, norm: Module, x: Tensor) -> Tensor:
    """``relu(norm(x))``, to the bit.

    Where `x` is large, `norm` is a batch norm and neither has hooks, it is one operation: the array
    between the two is never written.
    """
    one_pass = x.size > LARGE and _plain(relu, ReLU) and _plain(norm, *NORMS)
    out: Tensor = norm(x, relu=True) if one_pass else relu(norm(x))
    return out


def rectified_sum(relu: Module, add: Module, norm: Module, x: Tensor, shortcut: Tensor) -> Tensor:
    """``relu(add(norm(x), shortcut))``, as `rectified`: to the bit, except that what float16 gives
    is rounded once."""
    alike = x.shape == shortcut.shape and x.dtype == shortcut.dtype
    plain = _plain(relu, ReLU) and _plain(add, Add) and _plain(norm, *NORMS)
    if x.size > LARGE and alike and plain:
        out: Tensor = norm(x, residual=shortcut, relu=True)
    else:
        out = relu(add(norm(x), shortcut))
    return out


def _plain(module: Module, *kinds: type[Module]) -> bool:
    """Whether it is of one of these classes, without hooks or a `forward` of its own."""
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_hooks
    return type(module) in kinds and not any(hooks) and "forward" not in module.__dict__
