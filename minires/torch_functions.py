"""PyTorch's functions of a tensor, each a method here."""

from __future__ import annotations

import builtins
from typing import Any

from minires.from_pytorch import pytorchs_keywords
from minires.tensors import Tensor

__all__ = [
    *(
        "abs",
        "add",
        "all",
        "any",
        "argmax",
        "argmin",
        "bmm",
        "clamp",
        "clip",
        "clone",
        "detach",
        "div",
        "eq",
    ),
    *(
        "flatten",
        "ge",
        "gt",
        "isfinite",
        "isinf",
        "isnan",
        "le",
        "log_softmax",
        "lt",
        "masked_fill",
        "max",
        "mean",
        "min",
        "mm",
    ),
    *(
        "mul",
        "ne",
        "numel",
        "permute",
        "pow",
        "prod",
        "reshape",
        "squeeze",
        "sub",
        "sum",
        "swapaxes",
        "t",
    ),
    *("transpose", "unsqueeze"),
]


def _method(name: str) -> Any:
    method = pytorchs_keywords(getattr(Tensor, name))

    def apply(input: Any, *args: Any, **options: Any) -> Any:
        return method(_tensor(input), *args, **options)

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"`Tensor.{name}` of a tensor."
    return apply


abs, clip, clamp, clone, detach = map(_method, ("abs", "clip", "clamp", "clone", "detach"))
sum, mean, argmax, argmin, numel = map(_method, ("sum", "mean", "argmax", "argmin", "numel"))
all, any, prod = map(_method, ("all", "any", "prod"))
isnan, isinf, isfinite = map(_method, ("isnan", "isinf", "isfinite"))
flatten, reshape, squeeze, unsqueeze = map(_method, ("flatten", "reshape", "squeeze", "unsqueeze"))
permute, swapaxes, t, log_softmax = map(_method, ("permute", "swapaxes", "t", "log_softmax"))
add, sub, mul, div = map(_method, ("add", "sub", "mul", "div"))
pow, mm, bmm, masked_fill = map(_method, ("pow", "mm", "bmm", "masked_fill"))
eq, ne, lt, le, gt, ge = map(_method, ("eq", "ne", "lt", "le", "gt", "ge"))
transpose = _method("swapaxes")  # of two axes: here nobody means NumPy's


@pytorchs_keywords
def max(input: Any, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The largest value; with `dim` the values along it and where they are; of two tensors each."""
    return _extreme("max", input, dim, keepdim)


@pytorchs_keywords
def min(input: Any, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The smallest value, as `max`."""
    return _extreme("min", input, dim, keepdim)


def _extreme(name: str, input: Any, dim: Any, keepdim: builtins.bool) -> Any:
    x = _tensor(input)
    if dim is None:
        return getattr(x, name)()
    if hasattr(dim, "shape"):
        return getattr(x, f"{name}imum")(dim)
    return getattr(x, name)(dim=dim, keepdim=keepdim)


def _tensor(values: Any) -> Tensor:
    """A tensor, such as of the array that `x.data` is."""
    return values if isinstance(values, Tensor) else Tensor(values)
