"""What PyTorch's users type, as methods of Tensor: other names, and where NumPy has none.

Each is a line in terms of what `Tensor` has. Where a name means something else there, see
docs/conventions.md.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np  # for dtypes, and for functions that have no gradient

from minires import ops
from minires.backend import xp_of
from minires.engine import Variable, make_tensor, raw
from minires.from_pytorch import PyTorchsKeywords, pytorchs_keywords
from minires.numpy_functions import numpys_function

if TYPE_CHECKING:
    from minires.engine import Op
    from minires.tensors import Tensor


class ValuesIndices(NamedTuple):
    """The largest or smallest values along an axis, and where they are."""

    values: Tensor
    indices: Tensor


class Count(int):
    """A number of elements, as NumPy's `x.size`; called, PyTorch's `x.size()` and `x.size(0)`."""

    shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], size: int) -> Count:
        """The count of an array of this shape."""
        count = cls(size)
        count.shape = shape
        return count

    def __call__(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def __reduce__(self) -> Any:
        return int, (int(self),)


def _named(operation: Op) -> Any:
    def apply(self: Tensor, other: Any) -> Tensor:
        result: Tensor = operation(self, other)
        return result

    apply.__name__ = apply.__qualname__ = operation.name
    apply.__doc__ = f"`minires.ops.{operation.name}` of this tensor and another."
    return apply


def _comparison(operation: Op) -> Any:
    """`==` or `!=`: with what holds no numbers, such as None, they ask whether it is the same."""

    def compare(self: Tensor, other: Any) -> Any:
        numbers = hasattr(other, "dtype") or isinstance(
            other, builtins.int | builtins.float | Sequence
        )
        if not numbers or isinstance(other, str | bytes):
            return NotImplemented
        return operation(self, other)

    return compare


def _numpys(symbol: str, function: Any) -> tuple[Any, Any]:
    """An operator and its reflection that have no gradient: NumPy's function, of values alone."""

    def forward(self: Tensor, other: Any) -> Any:
        return numpys_function(function, "__call__", self, other, called=symbol)

    def reflected(self: Tensor, other: Any) -> Any:
        return numpys_function(function, "__call__", other, self, called=symbol)

    return forward, reflected


def check_transpose(axes: tuple[Any, ...], ndim: builtins.int) -> None:
    """Raise a ValueError if `transpose(*axes)` would be something else in PyTorch."""
    if len(axes) == 2 and (ndim != 2 or axes[0] % 2 < axes[1] % 2):
        raise ValueError(
            f"transpose{axes} exchanges two axes in PyTorch, in NumPy it says the order of all: "
            f"write swapaxes{axes} for the one, transpose of a tuple for the other"
        )


def check_places(key: Any) -> None:
    """Raise an IndexError for an index that means something else in PyTorch.

    A tensor of uint8 is a mask there and places in NumPy. Of `x[0, :, places]` the axis of the
    places comes where they stand there, and first in NumPy, for which 0 is a place as well.
    """
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if isinstance(part, Variable) and part.array.dtype == np.uint8 and part.array.ndim:
            raise IndexError(
                "a tensor of uint8 is a mask in PyTorch, and places in NumPy: write "
                "x[mask.bool()] or x[places.long()]"
            )
    if len(parts) > 2 and _is_elsewhere("".join(map(_kind_of_index, parts))):
        raise IndexError(
            "x[0, :, places] has the axis of the places where they stand in PyTorch, and first in "
            "NumPy: write x[0][:, places] for the one, x[0][:, places].swapaxes(0, 1) for the other"
        )


def _kind_of_index(part: Any) -> str:
    if part is None or part is ... or isinstance(part, slice):
        return ":"
    part = raw(part)
    places = part.ndim if hasattr(part, "ndim") else isinstance(part, Sequence)
    return "p" if places else "i"


def _is_elsewhere(kinds: str) -> builtins.bool:
    """Whether NumPy puts the axis of the places `p` first and PyTorch, where they stand."""
    apart = ":" in kinds.strip(":")  # for NumPy, to which numbers `i` are places too
    theirs = kinds.replace("i", "")
    return "p" in kinds and apart and theirs[0] == ":" and ":" not in theirs.strip(":")


def check_values(requires_grad: Any) -> None:
    """Raise a TypeError for `Tensor(2, 3)`, whose numbers are sizes in PyTorch."""
    if not isinstance(requires_grad, builtins.bool | np.bool_):
        raise TypeError("Tensor wants values, not sizes: write minires.empty(2, 3), zeros or ones")


def numpys(x: Tensor, torch: dict[str, Any]) -> Tensor:
    """The tensor, in the dtype that a sum shall have; what NumPy's functions pass is taken out."""
    if torch.pop("out", None) is not None:
        raise TypeError("out= is for arrays: a result is new, y.copy_(result) writes it into y")
    dtype = torch.pop("dtype", None)
    return x if dtype is None else x.astype(dtype)


def numpys_axes(
    name: str, axis: Any, keepdims: builtins.bool, torch: dict[str, Any]
) -> dict[str, Any]:
    """`axis` and `keepdims` of a reduction, whichever library's names they were given by.

    Raises
    ------
    TypeError
        If both are given, or a keyword is neither's.
    """
    given = dict(torch)
    dim, keepdim = given.pop("dim", None), given.pop("keepdim", False)
    if given.pop("out", None) is not None:
        raise TypeError(f"{name} has no `out`: a result is new, y.copy_(result) writes it into y")
    if given.pop("dtype", None) is not None or given:
        raise TypeError(f"{name} does not know {', '.join(torch)}")
    if axis is not None and dim is not None:
        raise TypeError(f"{name}: axis and dim are two names for the same, give one of them")
    axis = axis if dim is None else tuple(dim) if isinstance(dim, list) else dim
    if name != "squeeze" and (axis == [] or (dim is not None and axis == ())):
        axis = None  # in PyTorch none named are all
    return {"axis": axis, "keepdims": keepdims or keepdim}


def numpys_ddof(ddof: builtins.int, torch: dict[str, Any]) -> builtins.int:
    """What the count is lessened by: 1 where PyTorch's names are used and nothing else is said."""
    less = [torch.pop(name) for name in ("correction", "unbiased") if name in torch]
    if len(less) > 1 or (less and ddof):
        raise TypeError("ddof, correction and unbiased say the same: give one of them")
    is_torchs = "dim" in torch or "keepdim" in torch
    return builtins.int(less[0]) if less else 1 if is_torchs and not ddof else ddof


def torchs_pair(
    name: str,
    x: Tensor,
    places: Any,
    args: tuple[Any, ...],
    dim: builtins.int | None = None,
    keepdim: builtins.bool = False,
) -> ValuesIndices:
    """The largest or smallest values along an axis, and where they are.

    Raises
    ------
    TypeError
        If the axis is not named: NumPy's users expect values, PyTorch's the pair.
    """
    if args or dim is None:
        raise TypeError(
            f"{name} wants to know which is meant: write {name}(axis=1) for values, as in NumPy, "
            f"{name}(dim=1) for the pair (values, indices), as in PyTorch, and minires.{name}imum "
            "for two tensors"
        )
    found = places(dim)
    values = x
    if x.ndim:
        at: list[Any] = list(np.indices(found.shape, sparse=True))
        at.insert(dim % x.ndim, found)
        values = x[tuple(at)]
        if keepdim:
            values, found = values.unsqueeze(dim), found.unsqueeze(dim)
    return ValuesIndices(values, found)


def torchs_places(x: Tensor, operation: Any, axes: dict[str, Any]) -> Tensor:
    """`argmax` or `argmin`, with `keepdim`."""
    places: Tensor = operation(x, axis=axes["axis"])
    if not axes["keepdims"] or not x.ndim:
        return places
    whole = axes["axis"] is None
    return places.reshape((1,) * x.ndim) if whole else places.unsqueeze(axes["axis"])


def _truth(x: Tensor, name: str, axes: dict[str, Any]) -> Tensor:
    xp = xp_of(x.array)
    found = xp.asarray(getattr(xp, name)(x.array, **axes))
    if x.dtype == np.uint8:  # as in PyTorch, whose masks they once were
        found = found.astype(np.uint8)
    return cast("Tensor", make_tensor(found))


class TorchMethods(PyTorchsKeywords, called_often=True):
    """The methods, for `Tensor` to inherit."""

    __slots__ = ()

    add, sub, mul, div = map(_named, (ops.add, ops.subtract, ops.multiply, ops.divide))
    pow, matmul, mm, bmm = map(_named, (ops.power, ops.matmul, ops.matmul, ops.matmul))
    eq, ne, lt, le = map(_named, (ops.equal, ops.not_equal, ops.less, ops.less_equal))
    gt, ge = map(_named, (ops.greater, ops.greater_equal))
    maximum, minimum = map(_named, (ops.maximum, ops.minimum))
    __eq__, __ne__ = map(_comparison, (ops.equal, ops.not_equal))
    __floordiv__, __rfloordiv__ = _numpys("//", np.floor_divide)
    __mod__, __rmod__ = _numpys("%", np.remainder)
    __xor__, __rxor__ = _numpys("^", np.bitwise_xor)
    __lshift__, __rlshift__ = _numpys("<<", np.left_shift)
    __rshift__, __rrshift__ = _numpys(">>", np.right_shift)

    def __format__(self: Any, spec: str) -> str:
        if self.size == 1 and (spec or not self.ndim):
            return format(self.item(), spec)
        try:
            return format(str(self), spec)
        except ValueError:
            raise TypeError(
                f"a tensor of shape {self.shape} has no format {spec!r}: write x.tolist(), of "
                "which each has, or np.round(x, 2)"
            ) from None

    def __contains__(self: Any, value: Any) -> builtins.bool:
        return builtins.bool((self == value).any())

    def __index__(self: Any) -> builtins.int:
        if self.dtype.kind not in "iub":
            raise TypeError(f"only whole numbers are an index, this tensor is {self.dtype}")
        return operator.index(self.item())

    def dim(self: Any) -> builtins.int:
        """The number of axes."""
        return len(self.shape)

    def numel(self: Any) -> builtins.int:
        """The number of elements."""
        return builtins.int(self.array.size)

    def clone(self: Any) -> Tensor:
        """A copy that passes gradients on."""
        copied: Tensor = self * 1 if self.dtype.kind == "f" else self.copy()
        return copied

    def contiguous(self: Any) -> Tensor:
        """This tensor itself: no operation here asks for an order in memory."""
        itself: Tensor = self
        return itself

    def float(self: Any) -> Tensor:
        """The values in float32."""
        return self.astype(np.float32)  # type: ignore[no-any-return]

    def double(self: Any) -> Tensor:
        """The values in float64."""
        return self.astype(np.float64)  # type: ignore[no-any-return]

    def half(self: Any) -> Tensor:
        """The values in float16."""
        return self.astype(np.float16)  # type: ignore[no-any-return]

    def long(self: Any) -> Tensor:
        """The values in int64."""
        return self.astype(np.int64)  # type: ignore[no-any-return]

    def int(self: Any) -> Tensor:
        """The values in int32."""
        return self.astype(np.int32)  # type: ignore[no-any-return]

    def bool(self: Any) -> Tensor:
        """Where values are not 0."""
        return self.astype(np.bool_)  # type: ignore[no-any-return]

    @pytorchs_keywords
    def view(self: Any, *shape: Any) -> Tensor:
        """`reshape`, which copies where it must."""
        if len(shape) == 1 and isinstance(shape[0], type | str | np.dtype):
            kind = np.dtype(shape[0]).name
            raise TypeError(
                f"view of a dtype is x.numpy().view({kind!r}) here, and the values in it "
                f"x.astype({kind!r})"
            )
        return self.reshape(*shape)  # type: ignore[no-any-return]

    def view_as(self: Any, other: Tensor) -> Tensor:
        """The same values in another tensor's shape."""
        return self.reshape(other.shape)  # type: ignore[no-any-return]

    def flatten(self: Any, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """The axes from `start_dim` to `end_dim` in one."""
        first, last = (dim + self.ndim * (dim < 0) for dim in (start_dim, end_dim))
        if first > last >= 0:
            raise ValueError(f"flatten: no axes from {start_dim} to {end_dim} of {self.ndim}")
        if last + 1 < self.ndim:
            return self.reshape(*self.shape[:first], -1, *self.shape[last + 1 :])  # type: ignore[no-any-return]
        return ops.flatten(self, start_axis=first)  # type: ignore[no-any-return]

    @pytorchs_keywords
    def permute(self: Any, *dims: Any) -> Tensor:
        """The axes in another order: NumPy's `transpose`."""
        return self.transpose(*dims)  # type: ignore[no-any-return]

    def t(self: Any) -> Tensor:
        """A matrix transposed."""
        if self.ndim > 2:
            raise ValueError(f"t wants at most 2 axes, got shape {self.shape}: use swapaxes")
        return self.T  # type: ignore[no-any-return]

    def unsqueeze(self: Any, dim: builtins.int) -> Tensor:
        """An axis of length one more, at `dim`."""
        if not -self.ndim - 1 <= dim <= self.ndim:
            raise IndexError(f"unsqueeze: no place {dim} among {self.ndim} axes")
        shape = list(self.shape)
        shape.insert(dim if dim >= 0 else dim + self.ndim + 1, 1)
        return self.reshape(shape)  # type: ignore[no-any-return]

    @pytorchs_keywords
    def expand(self: Any, *sizes: Any) -> Tensor:
        """Stretched to these sizes, of which -1 keeps an axis as it is."""
        wanted = list(sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes)
        own = [1] * (len(wanted) - self.ndim) + list(self.shape)
        shape = tuple(n if w == -1 else w for w, n in zip(wanted, own, strict=True))
        return ops.broadcast_to(self, shape=shape)  # type: ignore[no-any-return]

    def expand_as(self: Any, other: Tensor) -> Tensor:
        """Stretched to another tensor's shape."""
        return ops.broadcast_to(self, shape=other.shape)  # type: ignore[no-any-return]

    def clip(
        self: Any, low: Any = None, high: Any = None, *, min: Any = None, max: Any = None
    ) -> Tensor:
        """The values held between two bounds; `min` and `max` are other names of them."""
        low, high = min if low is None else low, max if high is None else high
        if isinstance(low, Variable) or isinstance(high, Variable):
            raise TypeError("clip wants numbers: of tensors write x.maximum(low).minimum(high)")
        return ops.clip(self, low=low, high=high)  # type: ignore[no-any-return]

    def clamp(self: Any, min: Any = None, max: Any = None) -> Tensor:
        """The values held between two bounds: `clip`."""
        return self.clip(min, max)  # type: ignore[no-any-return]

    def zero_(self: Any) -> Tensor:
        """Write zeros into this tensor's array."""
        return self.fill_(0)  # type: ignore[no-any-return]

    def masked_fill(self: Any, mask: Any, value: Any) -> Tensor:
        """The values, and `value` where `mask` is true."""
        return ops.where(mask, value, self).astype(self.dtype)  # type: ignore[no-any-return]

    def prod(
        self: Any, axis: builtins.int | None = None, keepdims: builtins.bool = False, **torch: Any
    ) -> Tensor:
        """The product along an axis, or of all values; where some are 0 its gradient is right."""
        x, axes = numpys(self, torch), numpys_axes("prod", axis, keepdims, torch)
        axis = axes["axis"]
        x = x if x.dtype.kind == "f" else x.long()
        x = x.reshape(-1) if axis is None else x.swapaxes(0, axis)
        if not len(x):
            x = ops.concatenate([x, ops.reshape(x.sum(0), shape=(1, *x.shape[1:])) + 1])
        while len(x) > 1:  # pairs of neighbours, so that each step halves the rest
            pairs = len(x) // 2
            x = ops.concatenate([x[:pairs] * x[pairs : 2 * pairs], x[2 * pairs :]])
        if axis is None:
            return x.reshape([1] * self.ndim * axes["keepdims"])
        x = x.swapaxes(0, axis)
        return x if axes["keepdims"] else x.squeeze(axis)

    def all(self: Any, axis: Any = None, keepdims: builtins.bool = False, **torch: Any) -> Tensor:
        """Whether all values are true, or not 0, along an axis; no gradient."""
        return _truth(self, "all", numpys_axes("all", axis, keepdims, torch))

    def any(self: Any, axis: Any = None, keepdims: builtins.bool = False, **torch: Any) -> Tensor:
        """Whether a value is true, or not 0, along an axis; no gradient."""
        return _truth(self, "any", numpys_axes("any", axis, keepdims, torch))

    def isnan(self: Any) -> Tensor:
        """Where values are not a number."""
        return self != self  # type: ignore[no-any-return]

    def isinf(self: Any) -> Tensor:
        """Where values are infinite."""
        return self.abs() == math.inf  # type: ignore[no-any-return]

    def isfinite(self: Any) -> Tensor:
        """Where values are neither infinite nor not a number."""
        return self.abs() < math.inf  # type: ignore[no-any-return]

    def softmax(self: Any, dim: builtins.int) -> Tensor:
        """Probabilities along an axis: `exp(x) / sum(exp(x))`."""
        return ops.softmax(self, axis=dim)  # type: ignore[no-any-return]

    def log_softmax(self: Any, dim: builtins.int) -> Tensor:
        """The logarithms of `softmax`."""
        return ops.log_softmax(self, axis=dim)  # type: ignore[no-any-return]
