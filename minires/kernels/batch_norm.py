"""The array work of batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

Statistics run over all axes but the last. Each function walks over the M rows of C channels in
chunks that stay in cache between one step and the next, so that large arrays are read from memory
once. In a chunk several rows are viewed as one *wide* row, for NumPy's loop over a row of 16
channels takes as long to start as to run; a sum over wide rows is folded into one of C numbers at
the end. On a GPU whole arrays are one step each, for there every step is a launch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple, TypeVar

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.fused import fused
from minires.kernels.geometry import even_shares
from minires.kernels.half import computed_in_float32
from minires.kernels.threads import one_blas_thread, parallel
from minires.kernels.workspace import empty, scratch

Result = TypeVar("Result")

CHUNK = 1 << 18
"""How many numbers of one array a chunk holds on the CPU: 1 MiB of float32."""

SMALL = 1 << 17
"""Arrays of so many numbers are scaled row by row: to widen the factors would take longer."""

WIDE = 8192
"""How many numbers a wide row holds at least: with fewer than its buffer has, NumPy would copy."""

NEAR_ZERO = 4
"""A mean of at most so many standard deviations is not taken off before squaring: of float32's 24
bits a variance loses 4 then, at the worst."""


def moments(x: Array) -> tuple[Array, Array]:
    """The mean and the biased variance of each channel.

    Parameters
    ----------
    x : (..., C) array

    Returns
    -------
    mean, var : (C,) arrays of x's dtype, or float32 if that is float16

    Raises
    ------
    ValueError
        If there is nothing to average.

    Notes
    -----
    The variance is the mean square less the square of the mean, of which little is left where the
    mean is far from zero. There the values are read again, now less their mean ("shifted data" in
    Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance").
    """
    xp = xp_of(x)
    rows = _Rows(xp, x)
    if rows.count == 0:
        raise ValueError(f"an array of shape {x.shape} has no mean: it holds no values")
    if xp is not np:
        x = x.astype(rows.dtype, copy=False)
        return x.mean(axis=_leading(x)), x.var(axis=_leading(x))
    values = rows.flat(x)
    mean, var = _moments_about(None, rows, values)
    if not (np.isfinite(var) & (mean * mean <= NEAR_ZERO**2 * var)).all():
        point = np.where(np.isfinite(mean), mean, 0).astype(rows.dtype)
        mean, var = _moments_about(point, rows, values)
    return mean.astype(rows.dtype), var.astype(rows.dtype)


def _moments_about(point: Array | None, rows: _Rows, values: Array) -> tuple[Array, Array]:
    """The mean and variance per channel in float64, of numbers taken relative to `point` or 0."""
    wide_point = None if point is None else rows.widen(point)

    def of_chunk(chunk: _Chunk) -> Array:
        shifted = chunk.shifted(values, wide_point)
        return rows.sums(shifted, shifted)

    first, second = sum(rows.each(of_chunk)) / rows.count
    var = np.maximum(second - first * first, 0)  # rounding may go below
    return first if point is None else first + point, var


@computed_in_float32(on="cpu and gpu")
def normalize(
    x: Array,
    mean: Array,
    inv_std: Array,
    gamma: Array,
    beta: Array,
    *,
    residual: Array | None = None,
    relu: bool = False,
) -> Array:
    """``(x - mean) * inv_std * gamma + beta``, for an (..., C) array and (C,) vectors.

    `residual`, an array of x's shape, is added to that, and `relu` takes the ReLU of it all. On the
    CPU it is computed as ``x*scale + shift``, one step fewer, which rounds no more than x itself is
    rounded: by a share of `mean`, not of ``x - mean``.
    """
    xp = xp_of(x)
    if xp is np:
        scale = inv_std * gamma
        shift = beta - mean.astype(np.float64) * scale
        return scale_shift(x, scale, shift, residual=residual, relu=relu)
    kernel = fused(
        xp, "T x, M mean, M s, G gamma, G beta", "T y", "y = (x - mean) * (s * gamma) + beta"
    )
    if kernel is not None:
        out = kernel(x, mean, inv_std, gamma, beta)
    else:
        out = x - mean
        out *= inv_std * gamma
        out += beta
    return _joined(out, residual, relu)


@computed_in_float32(on="cpu and gpu")
def scale_shift(
    x: Array, scale: Array, shift: Array, *, residual: Array | None = None, relu: bool = False
) -> Array:
    """``x * scale + shift``, for an (..., C) array and (C,) vectors.

    `residual`, an array of x's shape, is added to that, and `relu` takes the ReLU of it all.
    """
    xp = xp_of(x)
    if xp is not np or x.size <= SMALL:
        kernel = fused(xp, "T x, S scale, S shift", "T y", "y = x * scale + shift")
        if kernel is not None:
            out = kernel(x, scale, shift)
        else:
            out = x * scale.astype(x.dtype, copy=False)
            out += shift.astype(x.dtype, copy=False)
        return _joined(out, residual, relu)
    rows = _Rows(xp, x)
    values, added = rows.flat(x), None if residual is None else rows.flat(residual)
    out = empty(xp, x.shape, x.dtype)
    flat = out.reshape(-1)
    wide_scale, wide_shift = rows.widen(scale), rows.widen(shift)

    def run(chunk: _Chunk) -> None:
        result = chunk.of(flat)
        xp.multiply(chunk.of(values), wide_scale[: chunk.width], out=result)
        xp.add(result, wide_shift[: chunk.width], out=result)
        if added is not None:
            xp.add(result, chunk.of(added), out=result)
        if relu:
            xp.maximum(result, 0, out=result)

    rows.each(run)
    return out


def _joined(out: Array, residual: Array | None, relu: bool) -> Array:
    """`out` with the residual added, and its ReLU taken, both in place."""
    if residual is not None:
        out += residual
    if relu:
        xp_of(out).maximum(out, 0, out=out)
    return out


def track(running: Array, batch: Array, momentum: float) -> None:
    """Move a running statistic towards a batch's, in place: ``r += momentum * (b - r)``."""
    kernel = fused(xp_of(running, batch), "B b, T momentum", "T r", "r += momentum * (b - r)")
    if kernel is not None:
        kernel(batch, momentum, running)
    else:
        running += momentum * (batch - running)


def gradient_sums(g: Array, x: Array, mean: Array, inv_std: Array) -> Array:
    """The two sums over a batch that every element's gradient needs.

    Parameters
    ----------
    g, x : (..., C) arrays
    mean, inv_std : (C,) arrays

    Returns
    -------
    (2, C) array
        The sum of g, which is beta's gradient, and of g times the normalised x, which is gamma's,
        in mean's dtype.
    """
    xp = xp_of(g, x)
    rows = _Rows(xp, x)
    if xp is not np:
        axes = _leading(x)
        g, x = g.astype(rows.dtype, copy=False), x.astype(rows.dtype, copy=False)
        kernel = fused(xp, "T g, T x, M mean", "T y", "y = g * (x - mean)")
        products = g * (x - mean) if kernel is None else kernel(g, x, mean)
        sums = xp.stack([g.sum(axis=axes), products.sum(axis=axes) * inv_std])
        return sums.astype(mean.dtype, copy=False)
    values, cotangents = rows.flat(x), rows.flat(g)
    near_zero = abs(mean * inv_std).max() <= NEAR_ZERO
    wide_mean = None if near_zero else rows.widen(mean)

    def of_chunk(chunk: _Chunk) -> Array:
        return rows.sums(chunk.of(cotangents), chunk.shifted(values, wide_mean))

    total: Array = sum(rows.each(of_chunk))
    if near_zero:
        total[1] -= mean * total[0]
    total[1] *= inv_std
    return total.astype(mean.dtype)


@computed_in_float32(on="cpu and gpu")
def input_gradient(
    g: Array, x: Array, gamma: Array, sums: Array, mean: Array, inv_std: Array
) -> Array:
    """The gradient by x: ``gamma*inv_std * (g - (sums[0] + normal*sums[1]) / M)``.

    Parameters
    ----------
    g, x : (..., C) arrays
    gamma : (C,) array
    sums : (2, C) array
        From `gradient_sums`.
    mean, inv_std : (C,) arrays

    Returns
    -------
    (..., C) array
        With ``normal = (x - mean) * inv_std`` and M the number of elements of a channel.
    """
    xp = xp_of(g, x)
    rows = _Rows(xp, x)
    if xp is not np:
        means = sums / max(rows.count, 1)
        kernel = fused(
            xp,
            "T g, T x, G gamma, S m0, S m1, M mean, M s",
            "T dx",
            "dx = (g - (m0 + (x - mean) * (s * m1))) * (gamma * s)",
        )
        if kernel is not None:
            result: Array = kernel(g, x, gamma, means[0], means[1], mean, inv_std)
            return result
        dx = x - mean
        dx *= inv_std * means[1]
        dx += means[0]
        xp.subtract(g, dx, out=dx)
        dx *= gamma * inv_std
        return dx
    # dx = slope * (tilt*x + level + g): the same with what is constant taken together. The error in
    # tilt*x is a share of mean/std, as is that in x; see `normalize`.
    tilt = inv_std.astype(xp.float64) * sums[1] / -max(rows.count, 1)
    level = sums[0] / -max(rows.count, 1) - tilt * mean
    wide_tilt, wide_level, wide_slope = map(rows.widen, (tilt, level, gamma * inv_std))
    values, cotangents = rows.flat(x), rows.flat(g)
    dx = empty(xp, x.shape, x.dtype)
    flat = dx.reshape(-1)

    def run(chunk: _Chunk) -> None:
        result = chunk.of(flat)
        xp.multiply(chunk.of(values), wide_tilt[: chunk.width], out=result)
        xp.add(result, wide_level[: chunk.width], out=result)
        xp.add(result, chunk.of(cotangents), out=result)
        xp.multiply(result, wide_slope[: chunk.width], out=result)

    rows.each(run)
    return dx


class _Chunk(NamedTuple):
    """The numbers `first:last` of a flat array, as rows `width` long."""

    first: int
    last: int
    width: int

    def of(self, flat: Array) -> Array:
        """This chunk of a flat array: (rows, width)."""
        return flat[self.first : self.last].reshape(-1, self.width)

    def shifted(self, flat: Array, wide: Array | None) -> Array:
        """This chunk less a wide row, in scratch memory; itself if there is none."""
        some = self.of(flat)
        if wide is None:
            return some
        shifted = scratch(np, "shifted", some.shape, some.dtype)
        return np.subtract(some, wide[: self.width], out=shifted)


@lru_cache(maxsize=1024)
def _chunks(size: int, channels: int) -> tuple[_Chunk, ...]:
    """Cut `size` numbers, of `channels` to a row, into chunks; the last may have a short row."""
    rows = size // max(channels, 1)
    width = min(-(-WIDE // max(channels, 1)), max(rows, 1)) * channels
    wide_rows = size // max(width, 1)
    shares = even_shares(-(-size // CHUNK))
    step, whole = max(-(-wide_rows // shares), 1) * width, wide_rows * width
    chunks = [_Chunk(i, min(i + step, whole), width) for i in range(0, whole, step or 1)]
    if whole < size:
        chunks.append(_Chunk(whole, size, size - whole))
    return tuple(chunks) or (_Chunk(0, 0, max(width, 1)),)  # sums have something to add


class _Rows:
    """An (..., C) array as M rows of C channels, and its chunks.

    Parameters
    ----------
    xp : module
    like : (..., C) array
        One of the arrays; the others have its shape.
    """

    def __init__(self, xp: ModuleType, like: Array) -> None:
        self.xp = xp
        # Sums of half-precision numbers overflow.
        self.dtype = xp.result_type(like.dtype, xp.float32)
        self.channels: int = like.shape[-1]
        self.count: int = like.size // max(self.channels, 1)
        self.chunks = _chunks(like.size, self.channels)

    def each(self, run: Callable[[_Chunk], Result]) -> list[Result]:
        """`run` for every chunk, on several threads if there is work for them."""
        if self.count * self.channels <= CHUNK:
            with one_blas_thread():
                return [run(chunk) for chunk in self.chunks]
        return parallel(run, self.chunks)

    def flat(self, array: Array) -> Array:
        """All numbers of an array in a row, to compute with."""
        dense: Array = self.xp.ascontiguousarray(array, dtype=self.dtype).reshape(-1)
        return dense

    def widen(self, vector: Array) -> Array:
        """A (C,) vector as often as there are rows in a wide row."""
        width = self.chunks[0].width
        wide = self.xp.empty((width // max(self.channels, 1), self.channels), self.dtype)
        wide[...] = vector
        return wide.reshape(-1)

    def sums(self, a: Array, b: Array) -> Array:
        """The sums of `a` and of ``a * b``, wide rows both, by channel: (2, C), in float64."""
        wide = scratch(np, "wide", (2, a.shape[1]), self.dtype)
        np.matmul(np.ones(len(a), self.dtype), a, out=wide[0])  # BLAS reads four rows at a time
        np.einsum("rw,rw->w", a, b, out=wide[1])  # multiplies and adds in one pass
        by_row = wide.astype(np.float64).reshape(2, -1, self.channels)
        return np.ones(by_row.shape[1]) @ by_row


def _leading(x: Array) -> tuple[int, ...]:
    """All axes but the channels."""
    return tuple(range(x.ndim - 1))
