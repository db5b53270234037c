"""Operations that move values and change none: each one's VJP is another of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np  # for the type of index arrays only

from minires import kernels
from minires.backend import Array, to_device, xp_of
from minires.engine import op, raw
from minires.from_pytorch import pytorchs_keywords


@op
def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    """The same values in another shape; one length may be -1."""
    return x.reshape(shape)


@reshape.vjp
def reshape_vjp(g: Array, x_shape: tuple[int, ...]) -> tuple[Array]:
    return (g.reshape(x_shape),)


@op
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    """The axes in the order `axes`, by default reversed."""
    return x.transpose(axes)


@transpose.vjp
def transpose_vjp(g: Array, axes: tuple[int, ...] | None) -> tuple[Array]:
    if axes is None:
        return (g.transpose(),)
    ndim = len(axes)
    forward = [a % ndim for a in axes]
    return (g.transpose(tuple(forward.index(i) for i in range(ndim))),)


def flatten(x: Array, *, start_axis: int = 0) -> Array:
    """All axes from `start_axis` on in one; a batch is kept apart by `start_axis=1`."""
    if not 0 <= start_axis <= x.ndim:
        raise ValueError(f"flatten: start_axis {start_axis} does not fit shape {tuple(x.shape)}")
    return reshape(x, shape=(*x.shape[:start_axis], math.prod(x.shape[start_axis:])))


@op
def pad(x: Array, *, width: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
    """`x` with `width[i] = (before, after)` copies of `value` at the ends of each axis."""
    return kernels.placed(x, *_frame(x.shape, width), value)


def _frame(
    shape: tuple[int, ...], width: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, ...], tuple[slice, ...]]:
    """The shape with `width` added, and where in it the array lies."""
    if len(width) != len(shape) or any(n < 0 for pair in width for n in pair):
        raise ValueError(f"the widths must be {len(shape)} pairs, none negative: got {width}")
    sizes = [(before, n, after) for n, (before, after) in zip(shape, width, strict=True)]
    key = tuple(slice(before, before + n) for before, n, _ in sizes)
    return tuple(map(sum, sizes)), key


@pad.vjp
def pad_vjp(g: Array, x_shape: tuple[int, ...], width: tuple[tuple[int, int], ...]) -> tuple[Array]:
    return (g[_frame(x_shape, width)[1]],)


@op
def _concatenate(*xs: Array, axis: int, sizes: tuple[int, ...]) -> Array:
    return xp_of(*xs).concatenate(xs, axis=axis)


@_concatenate.vjp
def _concatenate_vjp(g: Array, axis: int, sizes: tuple[int, ...]) -> tuple[Array, ...]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    before = (slice(None),) * (axis % g.ndim)
    return tuple(g[(*before, slice(end - n, end))] for n, end in zip(sizes, ends, strict=True))


@pytorchs_keywords
def concatenate(tensors: Sequence[Array], *, axis: int = 0) -> Array:
    """Tensors joined along an axis that they have.

    Raises
    ------
    ValueError
        If there are none, or their shapes differ elsewhere.
    """
    if len(tensors) == 0:
        raise ValueError("concatenate wants at least one tensor")
    if odd := [type(t).__name__ for t in tensors if not hasattr(t, "ndim")]:
        raise TypeError(f"concatenate wants tensors, got {odd[0]}: write minires.tensor([value])")
    if any(not -t.ndim <= axis < t.ndim for t in tensors):
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
        raise ValueError(f"concatenate: axis {axis} does not fit tensors of shape {shapes}")
    return _concatenate(*tensors, axis=axis, sizes=tuple(t.shape[axis] for t in tensors))


@pytorchs_keywords
def stack(tensors: Sequence[Array], *, axis: int = 0) -> Array:
    """Tensors of one shape side by side along a new axis.

    Raises
    ------
    ValueError
        If there are none, or their shapes differ.
    """
    if len({tuple(t.shape) for t in tensors}) != 1:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
        raise ValueError(f"stack wants tensors of one shape, got {shapes or 'none'}")
    shape = tensors[0].shape
    if not -len(shape) - 1 <= axis <= len(shape):
        raise ValueError(f"stack: axis {axis} does not fit tensors of shape {tuple(shape)}")
    place = axis % (len(shape) + 1)
    grown = (*shape[:place], 1, *shape[place:])
    return concatenate([t.reshape(grown) for t in tensors], axis=place)


def getitem(x: Array, key: Any) -> Array:
    """`x[key]`: slices, integers, None, Ellipsis, integer arrays, boolean masks.

    Arrays among them are copied: what happens to them later moves no gradient.
    """
    return take(x, key=_index(key, copy=True))


@op
def take(x: Array, *, key: Any) -> Array:
    """`x[key]`, with a key of arrays, lists, slices and numbers."""
    return x[_index(key)]


@take.vjp
def take_vjp(g: Array, x_shape: tuple[int, ...], key: Any) -> tuple[Array]:
    return (scatter(g, key=key, shape=x_shape),)


@op
def scatter(values: Array, *, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `values` added at `key`: an element named twice gets both."""
    key = _index(key)
    if not _names_twice(key):
        return kernels.placed(values, shape, key)
    xp = xp_of(values)
    wide = xp.result_type(values.dtype, xp.float32) if values.dtype.kind == "f" else values.dtype
    out = xp.zeros(shape, wide)  # sums of float16 in float32
    xp.add.at(out, key, values)
    return out.astype(values.dtype, copy=False)


@scatter.vjp
def scatter_vjp(g: Array, key: Any) -> tuple[Array]:
    return (take(g, key=key),)


def _index(key: Any, copy: bool = False) -> Any:
    """The key with Tensors, lists, ranges and tuples inside it made arrays."""
    if isinstance(key, tuple):
        return tuple(_index(list(p) if isinstance(p, tuple) else p, copy) for p in key)
    key = raw(key)
    if isinstance(key, list | range):
        return np.asarray(key, None if len(key) else np.intp)
    return key.copy() if copy and hasattr(key, "dtype") else key


def _names_twice(key: Any) -> bool:
    """Whether the key could name an element twice: only integer arrays can."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(hasattr(part, "dtype") and part.dtype.kind in "iu" and part.ndim for part in parts)


@op
def move(x: Array, *, device: str, source: str) -> Array:
    """`x` on another device; its gradient goes back to `source`, where `x` is."""
    return to_device(x, device)


@move.vjp
def move_vjp(g: Array, device: str, source: str) -> tuple[Array]:
    return (move(g, device=source, source=device),)
