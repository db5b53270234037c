"""Batch norm by the whole batch's statistics, though each process has a stretch of it only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minires import kernels, ops
from minires.backend import Array, xp_of
from minires.distributed.group import Group
from minires.engine import Variable, op
from minires.kernels.running_statistics import Running
from minires.nn.functions import batch_norm


@contextmanager
def sync_batch_norm(group: Group) -> Iterator[None]:
    """Inside, batch norm in training normalises by the statistics of all processes' samples.

    Each batch norm then sends a message in the forward pass and one in the backward pass, at which
    every process must arrive. Each backpropagates its part of the loss over the whole batch, as
    `DataParallel.synchronize` wants it.

    Parameters
    ----------
    group : Group
        Of one process: by its own, also inside another such block.
    """
    before = batch_norm.in_training
    several = partial(_batch_norm_of_all, group=group)
    batch_norm.in_training = several if group.size > 1 else ops.batch_norm
    try:
        yield
    finally:
        batch_norm.in_training = before


@op
def _batch_norm_of_all(
    x: Array,
    gamma: Array,
    beta: Array,
    *,
    group: Group | None = None,
    eps: float = 1e-5,
    running: Running | None = None,
) -> tuple[Array, tuple[Array, Array, int]]:
    """`ops.batch_norm`, whose batch is the stretches of all processes. Saved: also their size.

    The moments of the whole are put together from those of the parts, in float64 (Chan, Golub and
    LeVeque 1983, "Algorithms for computing the sample variance").
    """
    assert group is not None
    mean, var = kernels.moments(x)
    xp, count = xp_of(mean), x.size // x.shape[-1]
    parts = group.gather(xp.stack([xp.full_like(mean, count), mean, var]).astype(np.float64))
    counts, means, variances = parts.swapaxes(0, 1)
    total = counts.sum(axis=0)
    whole = (counts * means).sum(axis=0) / total
    spread = (counts * (variances + (means - whole) ** 2)).sum(axis=0) / total
    mean, var = xp.asarray(whole, mean.dtype), xp.asarray(spread, var.dtype)
    size = int(total[0])
    if running is not None:
        kernels.move_running_statistics(running, mean, var, size)
    out = kernels.normalize(x, mean, 1 / xp.sqrt(var + eps), gamma, beta)
    return out, (mean, var, size)


@_batch_norm_of_all.vjp
def _batch_norm_of_all_vjp(
    g: Array,
    x: Array,
    gamma: Array,
    saved: tuple[Array, Array, int],
    needs: Sequence[bool],
    group: Group,
    eps: float,
) -> tuple[Any, ...]:
    if isinstance(g, Variable):
        raise NotImplementedError("batch norm over several processes has no second derivative")
    mean, var, total = saved
    xp = xp_of(mean)
    inv_std = 1 / xp.sqrt(var + eps)
    sums = kernels.gradient_sums(
        g, x, mean, inv_std
    )  # (2, C): this process's, as beta's and gamma's
    if not needs[0]:  # in no process, so that none waits
        return None, sums[1], sums[0]
    whole = group.gather(sums.astype(np.float64)).sum(axis=0)
    share = x.size / x.shape[-1] / total  # the kernel divides by this process's number of values
    dx = kernels.input_gradient(g, x, gamma, xp.asarray(whole * share, sums.dtype), mean, inv_std)
    return dx, sums[1], sums[0]
