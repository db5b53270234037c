"""Tensors made from nothing or from others, with PyTorch's names and dtypes.

Floating-point numbers become float32, whole numbers int64. Random ones come from `minires.random`,
drawn on the host, so that a seed gives the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np  # for what is made on the host

from minires import ops, random
from minires.engine import raw
from minires.from_pytorch import all_with_pytorchs_keywords, pytorchs_keywords
from minires.tensors import Tensor

FLOAT = np.float32


def tensor(
    data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with a copy of `data`: whole numbers become int64, where `Tensor` makes float32."""
    array = raw(data)
    if not hasattr(array, "dtype"):
        numpys = getattr(_first(array), "dtype", None) == np.float64  # of arrays in a list
        array = np.asarray(array)
        array = array.astype(FLOAT) if array.dtype == np.float64 and not numpys else array
    return Tensor(array.copy(), requires_grad, dtype=dtype, device=device)


def _first(data: Any) -> Any:
    """The first that is no list, in lists of lists."""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return data


def as_tensor(data: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """`data` itself, or a tensor that shares an array; what is neither is copied."""
    if not hasattr(raw(data), "dtype"):
        return tensor(data, dtype, device)
    x = data if isinstance(data, Tensor) else Tensor(data)
    x = x if device is None else x.to(device)
    return x if dtype is None else x.astype(dtype)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy wants a NumPy array, got {type(array).__name__}")
    return Tensor(array)


def _filled(name: str, fill: Callable[..., Any]) -> Callable[..., Tensor]:
    def make(
        *shape: Any,
        size: Any = None,
        dtype: Any = None,
        device: str | None = None,
        requires_grad: bool = False,
    ) -> Tensor:
        sizes: Any = shape if size is None else (*shape, size)
        sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
        return Tensor(fill(sizes).astype(dtype or FLOAT), requires_grad, device=device)

    make.__name__ = make.__qualname__ = name
    return pytorchs_keywords(make)


def _alike(name: str, make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def make_alike(x: Tensor, **options: Any) -> Tensor:
        return make(x.shape, **{"dtype": x.dtype, "device": x.device, **options})

    make_alike.__name__ = make_alike.__qualname__ = name
    make_alike.__doc__ = f"`{make.__name__}` in a tensor's shape, dtype and place."
    return make_alike


zeros = _filled("zeros", np.zeros)
zeros.__doc__ = "Zeros of this shape: `zeros(2, 3)` or `zeros((2, 3))`."
ones = _filled("ones", np.ones)
ones.__doc__ = "Ones of this shape."
empty = _filled("empty", np.zeros)
empty.__doc__ = "A tensor to be filled; zeros, so that no run depends on what was in memory."
rand = _filled("rand", lambda shape: random.generator().random(shape, FLOAT))
rand.__doc__ = "Uniform random numbers in [0, 1)."
randn = _filled("randn", lambda shape: random.generator().standard_normal(shape, FLOAT))
randn.__doc__ = "Standard normal random numbers."

zeros_like, ones_like = _alike("zeros_like", zeros), _alike("ones_like", ones)
empty_like = _alike("empty_like", empty)
rand_like, randn_like = _alike("rand_like", rand), _alike("randn_like", randn)


def full(size: Sequence[int], fill_value: Any, dtype: Any = None, **options: Any) -> Tensor:
    """One number everywhere; its dtype is the number's."""
    return tensor(np.full(size, tensor(fill_value).numpy()), dtype, **options)


def full_like(x: Tensor, fill_value: Any, **options: Any) -> Tensor:
    """One number everywhere, in a tensor's shape, dtype and place."""
    return full(x.shape, fill_value, **{"dtype": x.dtype, "device": x.device, **options})


def eye(n: int, m: int | None = None, dtype: Any = FLOAT, **options: Any) -> Tensor:
    """Ones on the diagonal, zeros beside it."""
    return Tensor(np.eye(n, m, dtype=dtype), **options)


def arange(
    start: Any = None, end: Any = None, step: Any = 1, dtype: Any = None, **options: Any
) -> Tensor:
    """The numbers from `start` (0, if only one is given) to before `end`, in steps."""
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    numbers = np.arange(start, end, step)
    kind = FLOAT if numbers.dtype.kind == "f" else np.int64
    return Tensor(numbers, dtype=dtype or kind, **options)


def linspace(start: float, end: float, steps: int, dtype: Any = FLOAT, **options: Any) -> Tensor:
    """So many numbers from `start` to `end`, both included."""
    return Tensor(np.linspace(start, end, steps, dtype=dtype), **options)


def randint(low: Any = 0, high: Any = None, size: Any = None, **options: Any) -> Tensor:
    """Random whole numbers from `low` to before `high`, int64: `randint(10, (2, 3))` from 0 on."""
    high, size = (None, high) if size is None else (high, size)
    low, high = (0, low) if high is None else (low, high)
    return Tensor(random.generator().integers(low, high, tuple(size)), **options)


def randperm(n: int, **options: Any) -> Tensor:
    """The numbers from 0 to n - 1 in a random order, int64."""
    return Tensor(random.generator().permutation(n), **options)


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors joined along an axis that they have: `concatenate`."""
    joined: Tensor = ops.concatenate(tensors, axis=dim if axis is None else axis)
    return joined


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along their second axis, or vectors along their only one."""
    return cat(tensors, 0 if tensors[0].ndim < 2 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along their first axis; vectors are rows."""
    return cat([t.reshape(1, -1) if t.ndim < 2 else t for t in tensors])


def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    joined: Tensor = ops.stack(tensors, axis=dim if axis is None else axis)
    return joined


all_with_pytorchs_keywords(globals(), __name__)
