"""The array work of batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

Statistics run over all axes but the last. Each function walks over the M rows of C channels in
chunks that stay in cache between one step and the next, so that large arrays are read from memory
once; see `wide_rows`. On a GPU whole arrays are one step each, for there every step is a launch.
"""

from __future__ import annotations

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.cuda import batch_norm as in_cuda
from minires.kernels.cuda import fits
from minires.kernels.machinery.channel_rows import Chunk, Rows
from minires.kernels.machinery.elementwise_kernel import fused
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.kernels.machinery.workspace import empty
from minires.kernels.reduction import mean as mean_over
from minires.kernels.reduction import total, variance
from minires.kernels.running_statistics import Running, move_running_statistics

NEAR_ZERO = 4
"""A mean of at most so many standard deviations is not taken off before squaring: of float32's 24
bits a variance loses 4 then, at the worst."""


SMALL = 1 << 17
"""Arrays of so many numbers are scaled row by row: to widen the factors would take longer."""


def statistics(x: Array, eps: float, running: Running | None = None) -> tuple[Array, Array, Array]:
    """What batch norm needs to know of a batch; the running statistics move towards it, in place.

    Parameters
    ----------
    x : (..., C) array
    eps : float
    running : (mean, var, momentum), optional
        Two (C,) arrays, either of which may be None. They become ``r + momentum * (batch - r)``,
        the variance by its unbiased estimate.

    Returns
    -------
    mean, var, inv_std : (C,) arrays
        As of `moments`, and ``1 / sqrt(var + eps)``.
    """
    mean_so_far, var_so_far, momentum = running or (None, None, 0.0)
    if fits(x, *(r for r in (mean_so_far, var_so_far) if r is not None)):
        found = in_cuda.statistics(x, eps, mean_so_far, var_so_far, momentum)
        return found[0], found[1], found[2]
    mean, var = moments(x)
    if running is not None:
        move_running_statistics(running, mean, var, x.size // x.shape[-1])
    return mean, var, 1 / xp_of(var).sqrt(var + eps)


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
    rows = Rows(xp, x)
    if rows.count == 0:
        raise ValueError(f"an array of shape {x.shape} has no mean: it holds no values")
    if xp is not np:
        x = x.astype(rows.dtype, copy=False)
        about = mean_over(x, axis=_leading(x), keepdims=False)
        return about, variance(x, axis=_leading(x), ddof=0, keepdims=False)
    values = rows.flat(x)
    mean, var = _moments_about(None, rows, values)
    if not (np.isfinite(var) & (mean * mean <= NEAR_ZERO**2 * var)).all():
        point = np.where(np.isfinite(mean), mean, 0).astype(rows.dtype)
        mean, var = _moments_about(point, rows, values)
    return mean.astype(rows.dtype), var.astype(rows.dtype)


def _moments_about(point: Array | None, rows: Rows, values: Array) -> tuple[Array, Array]:
    """The mean and variance per channel in float64, of numbers taken relative to `point` or 0."""
    wide_point = None if point is None else rows.widen(point)

    def of_chunk(chunk: Chunk) -> Array:
        shifted = chunk.shifted(values, wide_point)
        return rows.sums(shifted, shifted)

    first, second = sum(rows.each(of_chunk)) / rows.count
    var = np.maximum(second - first * first, 0)  # rounding may go below
    return first if point is None else first + point, var


@computed_in_float32(on="cpu and gpu")
def normalize(x: Array, mean: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    """``(x - mean) * inv_std * gamma + beta``, for an (..., C) array and (C,) vectors.

    On the CPU it is computed as ``x*scale + shift``, one step fewer, which rounds no more than x
    itself is rounded: by a share of `mean`, not of ``x - mean``.
    """
    xp = xp_of(x)
    if xp is np:
        scale = inv_std * gamma
        shift = beta - mean.astype(np.float64) * scale
        return scale_shift(x, scale, shift)
    kernel = fused(
        xp, "T x, M mean, M s, G gamma, G beta", "T y", "y = (x - mean) * (s * gamma) + beta"
    )
    if kernel is not None:
        out: Array = kernel(x, mean, inv_std, gamma, beta)
    else:
        out = x - mean
        out *= inv_std * gamma
        out += beta
    return out


@computed_in_float32(on="cpu and gpu")
def scale_shift(x: Array, scale: Array, shift: Array) -> Array:
    """``x * scale + shift``, for an (..., C) array and (C,) vectors."""
    xp = xp_of(x)
    if xp is not np or x.size <= SMALL:
        kernel = fused(xp, "T x, S scale, S shift", "T y", "y = x * scale + shift")
        if kernel is not None:
            result: Array = kernel(x, scale, shift)
            return result
        out = x * scale.astype(x.dtype, copy=False)
        out += shift.astype(x.dtype, copy=False)
        return out
    out = empty(xp, x.shape, x.dtype)
    rows = Rows(xp, x)
    wide_scale, wide_shift = rows.widen(scale), rows.widen(shift)
    values, flat = rows.flat(x), out.reshape(-1)

    def run(chunk: Chunk) -> None:
        result = chunk.of(flat)
        np.multiply(chunk.of(values), wide_scale[: chunk.width], out=result)
        np.add(result, wide_shift[: chunk.width], out=result)

    rows.each(run)
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
    if fits(g, x, mean, inv_std):
        return in_cuda.gradient_sums(g, x, mean, inv_std)
    rows = Rows(xp, x)
    if xp is not np:
        axes = _leading(x)
        g, x = g.astype(rows.dtype, copy=False), x.astype(rows.dtype, copy=False)
        kernel = fused(xp, "T g, T x, M mean", "T y", "y = g * (x - mean)")
        products = g * (x - mean) if kernel is None else kernel(g, x, mean)
        sums = xp.stack([total(g, axes), total(products, axes) * inv_std])
        return sums.astype(mean.dtype, copy=False)
    values, cotangents = rows.flat(x), rows.flat(g)
    near_zero = abs(mean * inv_std).max() <= NEAR_ZERO
    wide_mean = None if near_zero else rows.widen(mean)

    def of_chunk(chunk: Chunk) -> Array:
        return rows.sums(chunk.of(cotangents), chunk.shifted(values, wide_mean))

    found: Array = sum(rows.each(of_chunk))
    if near_zero:
        found[1] -= mean * found[0]
    found[1] *= inv_std
    return found.astype(mean.dtype)


@computed_in_float32(on="cpu and gpu")
def input_gradient(
    g: Array, x: Array, gamma: Array, sums: Array, mean: Array, inv_std: Array
) -> Array:
    """The gradient with respect to x: ``gamma*inv_std * (g - (sums[0] + normal*sums[1]) / M)``.

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
    rows = Rows(xp, x)
    if xp is not np:
        share = 1 / max(rows.count, 1)
        kernel = fused(
            xp,
            "T g, T x, G gamma, S sum0, S sum1, M mean, M s, M share",
            "T dx",
            "dx = (g - (sum0 + (x - mean) * (s * sum1)) * share) * (gamma * s)",
        )
        if kernel is not None:
            result: Array = kernel(g, x, gamma, sums[0], sums[1], mean, inv_std, share)
            return result
        means = sums * share
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

    def run(chunk: Chunk) -> None:
        result = chunk.of(flat)
        xp.multiply(chunk.of(values), wide_tilt[: chunk.width], out=result)
        xp.add(result, wide_level[: chunk.width], out=result)
        xp.add(result, chunk.of(cotangents), out=result)
        xp.multiply(result, wide_slope[: chunk.width], out=result)

    rows.each(run)
    return dx


def _leading(x: Array) -> tuple[int, ...]:
    """All axes but the channels."""
    return tuple(range(x.ndim - 1))
