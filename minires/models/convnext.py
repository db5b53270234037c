"""ConvNeXt: a residual network with what Transformers brought (Liu et al. 2022, arXiv:2201.03545).

Parameter names are torchvision's (`features.1.0.block.0.weight`), so weights are easy to exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np  # for the dtype only

from minires import nn
from minires.tensors import Tensor

EPS = 1e-6  # of every layer norm


class ConvNeXtBlock(nn.Module):
    """A depthwise 7x7 convolution, then two linear layers at each pixel (figure 4).

    x -> depthwise conv -> layer norm -> linear -> gelu -> linear -> * scale -> + x

    Against He et al.'s bottleneck: one normalisation and one nonlinearity instead of three; the
    middle is wide, not narrow; space and channels are mixed by different layers.

    Parameters
    ----------
    channels : int
        In and out; 4 times as many lie between the linear layers.
    layer_scale : float
        What the branch is multiplied by at first, per channel: so little that the block begins as
        the identity (Touvron et al. 2021, arXiv:2103.17239).
    stochastic_depth : float
        How probably the branch is left out in training.
    """

    def __init__(
        self, channels: int, layer_scale: float = 1e-6, stochastic_depth: float = 0.0
    ) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(np.full((1, 1, channels), layer_scale, np.float32))
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            nn.Identity(),  # where channels come first they are turned to the end here,
            nn.LayerNorm(channels, eps=EPS),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            nn.Identity(),  # and back here
        )
        self.stochastic_depth = nn.StochasticDepth(stochastic_depth)
        self.add = nn.Add()

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, channels)."""
        y: Tensor = self.add(self.stochastic_depth(self.block(x) * self.layer_scale), x)
        return y


class ConvNeXt(nn.Module):
    """A stem of patches, stages of blocks with a halving between two of them, and a classifier.

    Parameters
    ----------
    depths, widths : sequence of int
        Blocks and channels of each stage.
    num_classes, in_channels : int
    patch : int
        The stem's filters are so large and do not overlap: 4 for photographs, 1 or 2 for small
        images.
    layer_scale : float
    stochastic_depth : float
        Of the last block; it grows from 0 at the first.

    Attributes
    ----------
    architecture : dict
        What `minires.models.create` wants to build this network again.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        num_classes: int,
        in_channels: int = 3,
        patch: int = 4,
        layer_scale: float = 1e-6,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {}
        stem = nn.Conv2d(in_channels, widths[0], patch, stride=patch)
        self.features = nn.Sequential(nn.Sequential(stem, nn.LayerNorm(widths[0], eps=EPS)))
        before, last = 0, max(sum(depths) - 1, 1)
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            if i > 0:
                halving = nn.Conv2d(widths[i - 1], width, 2, stride=2)
                norm = nn.LayerNorm(widths[i - 1], eps=EPS)
                self.features.append(nn.Sequential(norm, halving))
            rates = [stochastic_depth * (before + j) / last for j in range(depth)]
            blocks = (ConvNeXtBlock(width, layer_scale, rate) for rate in rates)
            self.features.append(nn.Sequential(*blocks))
            before += depth
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.LayerNorm(widths[-1], eps=EPS), nn.Flatten(), nn.Linear(widths[-1], num_classes)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, H, W, in_channels) to logits (N, num_classes).

        Each side has at least 8 times `patch` pixels; those that no stride reaches are not seen.
        """
        logits: Tensor = self.classifier(self.avgpool(self.features(x)))
        return logits
