"""A residual block's layers in one pass over memory, where nobody looks at what lies between.

In training a batch norm, the residual add and the ReLU can be one operation; the convolution cannot
be in it, whose output has to be there before its statistics are known. In evaluation these are
known, and where no gradient is wanted the convolution is in it too.
"""

from __future__ import annotations

from minires import ops
from minires.engine import is_grad_enabled
from minires.kernels.geometry import output_size
from minires.kernels.placement import Pair
from minires.nn.activation import ReLU
from minires.nn.convolution import Conv2d
from minires.nn.functional import pair
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
    one_pass = x.size > LARGE and plain(relu, ReLU) and plain(norm, *NORMS)
    out: Tensor = norm(x, relu=True) if one_pass else relu(norm(x))
    return out


def rectified_sum(relu: Module, add: Module, norm: Module, x: Tensor, shortcut: Tensor) -> Tensor:
    """``relu(add(norm(x), shortcut))``, as `rectified`: to the bit, except that what float16 gives
    is rounded once."""
    alike = x.shape == shortcut.shape and x.dtype == shortcut.dtype
    layers = plain(relu, ReLU) and plain(add, Add) and plain(norm, *NORMS)
    if x.size > LARGE and alike and layers:
        out: Tensor = norm(x, residual=shortcut, relu=True)
    else:
        out = relu(add(norm(x), shortcut))
    return out


def convolved(
    x: Tensor,
    conv: Module,
    norm: Module,
    relu: Module | None = None,
    add: Module | None = None,
    shortcut: Tensor | None = None,
) -> Tensor:
    """``relu(add(norm(conv(x)), shortcut))``, without what is None, as `rectified_sum`.

    In evaluation and under `no_grad` it is one operation, if no layer has hooks.
    """
    if not _one_operation(x, conv, norm, relu, add, shortcut):
        out: Tensor = conv(x)
        if relu is None:
            out = norm(out)
        elif add is None or shortcut is None:
            out = rectified(relu, norm, out)
        else:
            out = rectified_sum(relu, add, norm, out, shortcut)
        return out
    given = (x, conv.weight, *norm.factors())
    walk = dict(zip(("stride", "padding", "dilation"), _walk(conv), strict=True))
    settings = {"groups": conv.groups, "relu": relu is not None, **walk}
    if shortcut is None:
        out = ops.conv2d_scale_shift(*given, **settings)
    else:
        out = ops.conv2d_scale_shift_add(*given, shortcut, **settings)
    return out


def _one_operation(
    x: Tensor,
    conv: Module,
    norm: Module,
    relu: Module | None,
    add: Module | None,
    shortcut: Tensor | None,
) -> bool:
    """Whether `convolved` may be one: it would give the same, and nobody would miss a step."""
    if is_grad_enabled() or not (plain(conv, Conv2d) and plain(norm, BatchNorm2d)):
        return False
    if relu is not None and not plain(relu, ReLU):
        return False
    if norm.training or not norm.track_running_stats or conv.bias is not None:
        return False
    vectors = norm.weight, norm.bias, norm.running_mean, norm.running_var
    if any(v is None for v in vectors):
        return False
    if {t.dtype for t in (conv.weight, *vectors)} != {x.dtype}:
        return False
    KH, KW, channels, filters = conv.weight.shape
    if norm.num_features != filters or {t.shape for t in vectors} != {(filters,)}:
        return False  # the norm says what is wrong
    if x.ndim != 4 or x.shape[3] != channels * conv.groups:
        return False  # the convolution does
    size = output_size((x.shape[1], x.shape[2]), (KH, KW), *_walk(conv))
    if min(size) < 1:
        return False
    if shortcut is None:
        return add is None
    alike = (shortcut.shape, shortcut.dtype) == ((len(x), *size, filters), x.dtype)
    return alike and relu is not None and add is not None and plain(add, Add)


def _walk(conv: Module) -> tuple[Pair, Pair, Pair]:
    """Its stride, padding and dilation; somebody may have set one number for both directions."""
    stride, padding, dilation = (
        pair(getattr(conv, name), name) for name in ("stride", "padding", "dilation")
    )
    return stride, padding, dilation


def plain(module: Module, *kinds: type[Module]) -> bool:
    """Whether it is of one of these classes, without hooks or a `forward` of its own."""
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_hooks
    return type(module) in kinds and not any(hooks) and "forward" not in module.__dict__
