"""Batch normalisation: each channel by the batch's statistics, or by the running ones."""

from __future__ import annotations

from typing import Any

import numpy as np  # for dtypes only

from minires.nn import functional as F
from minires.nn.scale_and_shift import ScaleAndShift
from minires.ops.convolution import channels_first
from minires.tensors import Tensor


class _BatchNorm(ScaleAndShift):
    """What the two layers share; they differ in the rank that they accept."""

    running_mean: Any
    running_var: Any
    ranks: tuple[int, ...] = ()
    wanted = ""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._learn(num_features, weight=affine, bias=affine)
        if track_running_stats:
            self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)))
            self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)))
            self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)))
        else:
            self.running_mean = self.running_var = None

    def reset_running_stats(self) -> None:
        """Forget the statistics of the batches so far."""
        if self.track_running_stats:
            self.running_mean.fill_(0)
            self.running_var.fill_(1)
            self.num_batches_tracked.fill_(0)

    def reset_parameters(self) -> None:
        """Scale by 1 again and shift by 0, and forget the statistics of the batches so far."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel: by the batch in training, by running statistics otherwise."""
        if x.ndim not in self.ranks or x.shape[-1] != self.num_features:
            wanted = self.wanted.format(self.num_features)
            hint = channels_first(x.shape, self.num_features)
            raise ValueError(f"{type(self).__name__} wants {wanted}, got {tuple(x.shape)}{hint}")
        tracks = self.training and self.track_running_stats
        momentum = self.momentum
        if momentum is None:  # the mean over all batches so far
            momentum = 1 / (self.num_batches_tracked.item() + 1) if tracks else 0.0
        out = F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            momentum,
            self.eps,
        )
        if tracks:
            self.num_batches_tracked.array += 1
        return out

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, H, W, num_features), per channel.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float or None
        How far the running statistics move towards the batch's at each step; None for their mean
        over all batches so far.
    affine : bool
        Whether to scale by a learned weight (gamma) and shift by a learned bias (beta).
    track_running_stats : bool
        Without running statistics the batch's own are used in evaluation too.

    Attributes
    ----------
    weight, bias : Parameter (num_features,) or None
    running_mean, running_var : Tensor (num_features,) or None
        The variance as its unbiased estimate.

    Raises
    ------
    ValueError
        When called, if the channels do not fit, or in training if one has fewer than two values.

    See Also
    --------
    minires.nn.functional.batch_norm : what is computed, and the paper.
    minires.kernels.move_running_statistics : how a batch in training moves them.
    """

    ranks = (4,)
    wanted = "images (N, H, W, {})"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features (N, num_features) or sequences (N, L, num_features).

    Parameters and attributes are `BatchNorm2d`'s.
    """

    ranks = (2, 3)
    wanted = "(N, {0}) or (N, L, {0})"
