"""Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

The backward is split into operations with rules of their own, so that it can be differentiated
again: two sums per channel, then the gradient of the input from them.
"""

from __future__ import annotations

from collections.abc import Sequence

from minires import kernels
from minires.backend import Array
from minires.engine import op
from minires.kernels.running_statistics import Running
from minires.ops.shape import stack


def _leading(x: Array) -> tuple[int, ...]:
    """The axes that batch norm reduces over: all but the channels, which come last."""
    return tuple(range(x.ndim - 1))


@op
def batch_norm(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5, running: Running | None = None
) -> tuple[Array, tuple[Array, Array, Array]]:
    """`gamma * (x - mean) / sqrt(var + eps) + beta` with the batch's own statistics (algorithm 1).

    Parameters
    ----------
    x : (..., C)
        Statistics are taken over all axes but the last.
    gamma, beta : (C,)
    eps : float
        Keeps the root away from zero.
    running : (mean, var, momentum), optional
        Running statistics, (C,) arrays or None, that move towards the batch's, in place. They do
        so here since on a GPU it takes no launch beside that which finds the batch's.

    Returns
    -------
    (..., C)
        Saved are the mean, the biased variance and ``1 / sqrt(var + eps)``, each (C,).

    Raises
    ------
    ValueError
        If a channel has fewer than two values: its variance would be zero.
    """
    count = x.size // max(x.shape[-1], 1)
    if count < 2:
        raise ValueError(
            f"batch_norm in training wants more than one value per channel, got {count} from shape "
            f"{tuple(x.shape)}: use a larger batch, or eval() to normalise with running statistics"
        )
    mean, var, inv_std = kernels.statistics(x, eps, running)
    out = kernels.normalize(x, mean, inv_std, gamma, beta)
    return out, (mean, var, inv_std)


@batch_norm.vjp
def batch_norm_vjp(
    g: Array,
    x: Array,
    gamma: Array,
    saved: tuple[Array, Array, Array],
    needs: Sequence[bool],
) -> tuple[Array | None, Array, Array]:
    mean = _batch_mean(x, known=saved[0])
    inv_std = _batch_inv_std(x, known=saved[2])
    sums = _gradient_sums(g, x, mean, inv_std)  # (2, C)
    dx = _input_gradient(g, x, gamma, sums, mean, inv_std) if needs[0] else None
    return dx, sums[1], sums[0]


batch_norm.fresh = True


@op
def _batch_mean(x: Array, *, known: Array) -> Array:
    """The mean per channel, known already; the rule makes it a function of `x` again."""
    return known


@_batch_mean.vjp
def _batch_mean_vjp(g: Array, x: Array) -> tuple[Array]:
    return (x * 0 + g * (x.shape[-1] / x.size),)


@op
def _batch_inv_std(x: Array, *, known: Array) -> Array:
    """`1 / sqrt(var + eps)` per channel, known already; the rule is as for the mean."""
    return known


@_batch_inv_std.vjp
def _batch_inv_std_vjp(g: Array, x: Array, out: Array) -> tuple[Array]:
    centred = x - x.mean(axis=_leading(x))
    return (centred * (g * out * out * out * (-x.shape[-1] / x.size)),)


@op
def _gradient_sums(dy: Array, x: Array, mean: Array, inv_std: Array) -> Array:
    """The gradients of beta and gamma, stacked: sum of dy, sum of dy * (x - mean) * inv_std."""
    return kernels.gradient_sums(dy, x, mean, inv_std)  # (2, C)


@_gradient_sums.vjp
def _gradient_sums_vjp(
    g: Array, dy: Array, x: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array, Array]:
    centred = x - mean
    weighted = g[1] * dy
    return (
        g[0] + g[1] * centred * inv_std,
        weighted * inv_std,
        -weighted * inv_std,
        weighted * centred,
    )  # the engine sums the last two down to (C,)


@op
def _input_gradient(
    dy: Array, x: Array, gamma: Array, sums: Array, mean: Array, inv_std: Array
) -> Array:
    """`gamma * inv_std * (dy - (sums[0] + xhat * sums[1]) / M)`, xhat = (x - mean) * inv_std.

    dy with its mean and its component along xhat taken out: what is left of a gradient that can
    change neither a channel's mean nor its variance. M is the number of values per channel.
    """
    return kernels.input_gradient(dy, x, gamma, sums, mean, inv_std)


@_input_gradient.vjp
def _input_gradient_vjp(
    g: Array, dy: Array, x: Array, gamma: Array, sums: Array, mean: Array, inv_std: Array
) -> tuple[Array, ...]:
    share = x.shape[-1] / x.size  # 1 / M
    axes = _leading(x)
    centred = x - mean
    xhat = centred * inv_std
    rest = dy - (sums[0] + xhat * sums[1]) * share
    scaled = g * gamma * inv_std
    dxhat = scaled * sums[1] * -share
    return (
        scaled,
        dxhat * inv_std,
        g * inv_std * rest,
        stack([scaled.sum(axis=axes), (scaled * xhat).sum(axis=axes)]) * -share,
        -dxhat * inv_std,
        g * gamma * rest + dxhat * centred,
    )


@op
def scale_shift(x: Array, scale: Array, shift: Array) -> Array:
    """`x * scale + shift` per channel: batch norm with running statistics."""
    return kernels.scale_shift(x, scale, shift)


@scale_shift.vjp
def scale_shift_vjp(
    g: Array, x: Array, scale: Array, needs: Sequence[bool]
) -> tuple[Array | None, Array | None, Array]:
    return g * scale if needs[0] else None, g * x if needs[1] else None, g
