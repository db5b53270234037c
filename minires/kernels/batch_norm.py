"""The array work of batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

Statistics run over all axes but the last. Each function walks over the rows of an (M, C) matrix in
chunks that stay in cache between one step and the next, so that large arrays are read from memory
once. Inside a chunk several rows are viewed as one *wide* row, for NumPy's loop over a row of 16
channels takes as long to start as to run; and sums over rows are products with a row of ones, which
BLAS computes faster than `sum` does. On a GPU whole arrays are one step each, for there every step
is a launch.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.half import computed_in_float32
from minires.kernels.placement import Pair
from minires.kernels.threads import parallel
from minires.kernels.workspace import scratch

CHUNK = 1 << 18
"""How many numbers of one array a chunk holds on the CPU: 1 MiB of float32."""

WIDE = 8192
"""How many numbers a wide row holds at least: with fewer than its buffer has, NumPy would copy."""

SAMPLE = 1024
"""How many rows the guess at the mean is the mean of."""


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
    The values are shifted by a guess at the mean, from some of the rows, before they are squared,
    and the chunks are combined in float64 (Chan, Golub and LeVeque 1983, "Algorithms for
    computing the sample variance"). However large the mean, then, little cancels.
    """
    xp = xp_of(x)
    rows = _Rows(xp, x)
    if rows.count == 0:
        raise ValueError(f"an array of shape {x.shape} has no mean: it holds no values")
    if xp is not np:
        x = x.astype(rows.dtype, copy=False)
        return x.mean(axis=_leading(x)), x.var(axis=_leading(x))
    matrix = rows.matrix(x)
    guess = matrix[:: (rows.count // SAMPLE) | 1].mean(axis=0)  # odd: not in step with columns
    wide_guess = rows.widen(guess)

    def of_chunk(chunk: Pair) -> tuple[Array, Array]:
        values = matrix[slice(*chunk)]
        shifted = scratch(xp, "shifted", values.shape, values.dtype)
        rows.apply(xp.subtract, values, wide_guess, shifted)
        total = _column_sums(xp, shifted)
        xp.multiply(shifted, shifted, out=shifted)
        return total, _column_sums(xp, shifted)

    chunks = zip(*parallel(of_chunk, rows.chunks), strict=True)
    totals, squares = (xp.stack(part).astype(xp.float64) for part in chunks)  # (chunks, C) each
    counts = xp.asarray([[last - first] for first, last in rows.chunks], dtype=xp.float64)
    means = totals / counts
    mean = totals.sum(axis=0) / rows.count
    # The sum of squares about each chunk's mean, and those of the chunks' means about the mean.
    deviations = squares - totals * means + counts * xp.square(means - mean)
    var = xp.maximum(deviations.sum(axis=0) / rows.count, 0)  # rounding may go below
    return (mean + guess).astype(rows.dtype), var.astype(rows.dtype)


@computed_in_float32(on="cpu and gpu")
def normalize(x: Array, mean: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    """``(x - mean) * inv_std * gamma + beta``, for an (..., C) array and (C,) vectors.

    On the CPU it is computed as ``x*scale + shift``, one step fewer, which rounds no more than x
    itself is rounded: by a share of `mean`, not of ``x - mean``.
    """
    xp = xp_of(x)
    scale = inv_std * gamma
    if xp is not np:
        out = x - mean
        out *= scale
        out += beta
        return out
    shift = beta - mean.astype(xp.float64) * scale
    rows = _Rows(xp, x)
    matrix = rows.matrix(x)
    out = xp.empty(x.shape, x.dtype)
    result = out.reshape(matrix.shape)
    wide_scale, wide_shift = rows.widen(scale), rows.widen(shift)

    def run(chunk: Pair) -> None:
        some = slice(*chunk)
        rows.apply(xp.multiply, matrix[some], wide_scale, result[some])
        rows.apply(xp.add, result[some], wide_shift, result[some])

    parallel(run, rows.chunks)
    return out


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
        sums = xp.stack([g.sum(axis=axes), (g * (x - mean)).sum(axis=axes) * inv_std])
        return sums.astype(mean.dtype, copy=False)
    values, cotangents = rows.matrix(x), rows.matrix(g)
    wide_mean = rows.widen(mean)

    def of_chunk(chunk: Pair) -> Array:
        some = slice(*chunk)
        centred = scratch(xp, "shifted", values[some].shape, values.dtype)
        rows.apply(xp.subtract, values[some], wide_mean, centred)
        xp.multiply(centred, cotangents[some], out=centred)
        return xp.stack([_column_sums(xp, cotangents[some]), _column_sums(xp, centred)])

    sums = xp.stack(parallel(of_chunk, rows.chunks)).astype(xp.float64).sum(axis=0)  # (2, C)
    sums[1] *= inv_std
    return sums.astype(mean.dtype)


@computed_in_float32(on="cpu and gpu")
def input_gradient(
    g: Array, x: Array, gamma: Array, sums: Array, mean: Array, inv_std: Array
) -> Array:
    """The gradient by x: ``gamma*inv_std * (g - (sums[0] + normal*sums[1]) / M)``.

    Parameters
    ----------
    g, x : (..., C) arrays
    gamma, mean, inv_std : (C,) arrays
    sums : (2, C) array
        From `gradient_sums`.

    Returns
    -------
    (..., C) array
        With ``normal = (x - mean) * inv_std`` and M the number of elements of a channel.
    """
    xp = xp_of(g, x)
    rows = _Rows(xp, x)
    if xp is not np:
        means = sums / max(rows.count, 1)
        dx = x - mean
        dx *= inv_std * means[1]
        dx += means[0]
        xp.subtract(g, dx, out=dx)
        dx *= gamma * inv_std
        return dx
    # dx = slope*g + tilt*x + level: the same with what is constant taken together. The error in
    # tilt*x is a share of mean/std, as is that in x; see `normalize`.
    slope = gamma * inv_std
    count = max(rows.count, 1)
    tilt = -slope.astype(xp.float64) * inv_std * sums[1] / count
    level = -slope.astype(xp.float64) * sums[0] / count - tilt * mean
    wide_slope, wide_tilt, wide_level = (rows.widen(vector) for vector in (slope, tilt, level))
    values, cotangents = rows.matrix(x), rows.matrix(g)
    dx = xp.empty(x.shape, x.dtype)
    result = dx.reshape(values.shape)

    def run(chunk: Pair) -> None:
        some = slice(*chunk)
        line = scratch(xp, "line", values[some].shape, values.dtype)
        rows.apply(xp.multiply, values[some], wide_tilt, line)
        rows.apply(xp.add, line, wide_level, line)
        rows.apply(xp.multiply, cotangents[some], wide_slope, result[some])
        result[some] += line

    parallel(run, rows.chunks)
    return dx


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
        self.per_wide = -(-WIDE // max(self.channels, 1))  # rows in a wide row
        size = max(CHUNK // (self.per_wide * self.channels), 1) * self.per_wide
        if xp is not np:
            size = max(self.count, 1)
        # At least one chunk, if an empty one, so that sums have something to add.
        starts = range(0, max(self.count, 1), size)
        self.chunks: list[Pair] = [(start, min(start + size, self.count)) for start in starts]

    def matrix(self, array: Array) -> Array:
        """The array as a C-contiguous (M, C) matrix to compute with."""
        dense = self.xp.ascontiguousarray(array, dtype=self.dtype)
        return dense.reshape(self.count, self.channels)

    def widen(self, vector: Array) -> Array:
        """A (C,) vector as often as there are rows in a wide row."""
        return self.xp.tile(vector.astype(self.dtype), min(self.per_wide, max(self.count, 1)))

    def apply(self, operation: Callable[..., Array], rows: Array, wide: Array, out: Array) -> None:
        """``out = operation(rows, vector)`` for (R, C) rows and a widened vector."""
        flat, target = rows.reshape(-1), out.reshape(-1)
        whole = flat.size // wide.size * wide.size
        if whole:
            shape = (-1, wide.size)
            operation(flat[:whole].reshape(shape), wide, out=target[:whole].reshape(shape))
        if whole < flat.size:
            operation(flat[whole:], wide[: flat.size - whole], out=target[whole:])


def _leading(x: Array) -> tuple[int, ...]:
    """All axes but the channels."""
    return tuple(range(x.ndim - 1))


def _column_sums(xp: ModuleType, rows: Array) -> Array:
    """(R, C) -> (C,)."""
    return xp.matmul(xp.ones((1, len(rows)), rows.dtype), rows)[0]
