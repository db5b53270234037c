"""Reductions over axes. `sum` and `broadcast_to` are each other's VJP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from minires import kernels
from minires.backend import Array, xp_of
from minires.dtypes import as_floating, widened
from minires.engine import op, raw
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.ops.arithmetic import exp, where
from minires.ops.comparison import argmax, argmin

Axis = int | Sequence[int] | None


def normalize_axes(axis: Axis, ndim: int, name: str = "reduction") -> tuple[int, ...]:
    """`axis` as a sorted tuple of distinct non-negative numbers; None means all.

    Raises
    ------
    ValueError
        If an axis does not exist or occurs twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) != len(axes):
        raise ValueError(f"{name}: axis {axis} does not fit an array of {ndim} dimensions")
    return tuple(sorted(a % ndim for a in axes))


def _kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape that a reduction with keepdims=True gives."""
    axes = normalize_axes(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _count(shape: tuple[int, ...], axis: Axis, name: str, ddof: int = 0) -> int:
    count = math.prod(shape[a] for a in normalize_axes(axis, len(shape), name))
    if count <= ddof:
        wanted = f"more than ddof={ddof} values" if ddof else "at least one value"
        raise ValueError(f"{name} over axis {axis} of shape {shape} wants {wanted}, got {count}")
    return count


@op
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """`x` stretched to `shape` along axes of size one and new leading axes."""
    return xp_of(x).broadcast_to(x, shape)


@broadcast_to.vjp
def broadcast_to_vjp(g: Array) -> tuple[Array]:
    return (g,)  # the engine sums over what was stretched


@op
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The sum over `axis` (an integer, a tuple, or None for all)."""
    if x.dtype.kind == "u" and x.dtype.itemsize < 8:
        x = x.astype("int64")  # which holds them, and can be subtracted from
    return kernels.total(x, normalize_axes(axis, x.ndim, "sum"), keepdims)


@sum.vjp
def sum_vjp(g: Array, x_shape: tuple[int, ...], axis: Axis) -> tuple[Array]:
    return (broadcast_to(g.reshape(_kept(x_shape, axis)), shape=x_shape),)


@op
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The mean over `axis`.

    Raises
    ------
    ValueError
        If there is nothing to average.
    """
    _count(x.shape, axis, "mean")
    return kernels.mean(x, axis=normalize_axes(axis, x.ndim), keepdims=keepdims)


@mean.vjp
def mean_vjp(g: Array, x_shape: tuple[int, ...], axis: Axis) -> tuple[Array]:
    scaled = widened(g).reshape(_kept(x_shape, axis)) * (1 / _count(x_shape, axis, "mean"))
    return (broadcast_to(scaled, shape=x_shape),)


@op
def var(x: Array, *, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Array:
    """The variance over `axis`, divided by the count less `ddof`.

    Raises
    ------
    ValueError
        If there are not more than `ddof` values.
    """
    _count(x.shape, axis, "var", ddof)
    axes = normalize_axes(axis, x.ndim)
    return kernels.variance(x, axis=axes, ddof=ddof, keepdims=keepdims)


@var.vjp
def var_vjp(g: Array, x: Array, axis: Axis, ddof: int) -> tuple[Array]:
    scale = 2 / (_count(x.shape, axis, "var") - ddof)
    axes, g, x = normalize_axes(axis, x.ndim), widened(g), widened(x)
    return ((x - x.mean(axis=axes, keepdims=True)) * (g.reshape(_kept(x.shape, axis)) * scale),)


@op
def std(x: Array, *, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Array:
    """The standard deviation over `axis`; where it is 0 so is the derivative.

    Raises
    ------
    ValueError
        If there are not more than `ddof` values.
    """
    _count(x.shape, axis, "std", ddof)
    axes = normalize_axes(axis, x.ndim)
    return kernels.deviation(x, axis=axes, ddof=ddof, keepdims=keepdims)


@std.vjp
def std_vjp(g: Array, x: Array, out: Array, axis: Axis, ddof: int) -> tuple[Array]:
    axes, kept = normalize_axes(axis, x.ndim), _kept(x.shape, axis)
    g, x, out = widened(g), widened(x), widened(out)
    share = where(out == 0, 0.0, g / where(out == 0, 1.0, out)).reshape(kept)
    scale = 1 / (_count(x.shape, axis, "std") - ddof)
    return ((x - x.mean(axis=axes, keepdims=True)) * (share * scale),)


@op
@computed_in_float32(on="cpu and gpu")
def logsumexp(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """`log(sum(exp(x)))` over `axis`; the maximum is taken out first, against overflow."""
    xp, x = xp_of(x), as_floating(x)
    axes = normalize_axes(axis, x.ndim, "logsumexp")
    _count(x.shape, axis, "logsumexp")
    top = x.max(axis=axes, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)  # inf - inf would be NaN
    found = xp.log(kernels.total(xp.exp(x - top), axes, keepdims=True)) + top
    return found if keepdims else found.reshape([n for i, n in enumerate(x.shape) if i not in axes])


@logsumexp.vjp
def logsumexp_vjp(g: Array, x: Array, out: Array, axis: Axis) -> tuple[Array]:
    kept = _kept(x.shape, axis)
    return (g.reshape(kept) * exp(x - out.reshape(kept)),)


@op
def take_along(x: Array, *, indices: Array, axis: int) -> Array:
    """`x` at integer `indices` along `axis`, other axes in step: NumPy's take_along_axis."""
    return xp_of(x).take_along_axis(x, raw(indices), axis)


@take_along.vjp
def take_along_vjp(g: Array, x_shape: tuple[int, ...], indices: Array, axis: int) -> tuple[Array]:
    return (put_along(g, indices=indices, axis=axis, size=x_shape[axis]),)


@op
def put_along(values: Array, *, indices: Array, axis: int, size: int) -> Array:
    """Zeros with `values`, one a line, at `indices` along `axis`, which gets length `size`."""
    xp, ndim, indices = xp_of(values), values.ndim, raw(indices)
    positions = xp.arange(size).reshape((size,) + (1,) * (ndim - 1 - axis % ndim))
    if values.shape[axis] != 1:
        raise ValueError(f"put_along wants one index a line, got {values.shape[axis]}")
    # gathers: no scattered writes, so the same on every device
    return xp.where(indices == positions, values, values.dtype.type(0))


@put_along.vjp
def put_along_vjp(g: Array, indices: Array, axis: int) -> tuple[Array]:
    return (take_along(g, indices=indices, axis=axis),)


def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest value over `axis`. Where several tie, the first gets the gradient."""
    return _extreme(x, axis, keepdims, "max")


def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest value over `axis`. Where several tie, the first gets the gradient."""
    return _extreme(x, axis, keepdims, "min")


def _extreme(x: Array, axis: Axis, keepdims: bool, name: Literal["max", "min"]) -> Array:
    axes = normalize_axes(axis, x.ndim, name)
    count = _count(x.shape, axis, name)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    lines = x.transpose(others + axes).reshape([x.shape[i] for i in others] + [count])
    find = argmax if name == "max" else argmin
    found = find(lines, axis=-1)
    indices = found.reshape((*found.shape, 1))
    out = take_along(lines, indices=indices, axis=-1)
    return out.reshape(_kept(x.shape, axis) if keepdims else tuple(x.shape[i] for i in others))
