"""Residual blocks with squeeze and excitation (Hu et al. 2018, arXiv:1709.01507, figure 3)."""

from __future__ import annotations

from typing import Any

from minires import nn
from minires.models.blocks import BasicBlock, Bottleneck, Shortcut
from minires.tensors import Tensor

REDUCTION = 16  # table 10: a sixteenth of the channels lies between the two layers


class SEBasicBlock(BasicBlock):
    """A basic block whose branch ends in squeeze and excitation.

    x -> conv -> bn -> relu -> conv -> bn -> se -> + shortcut(x) -> relu

    Parameters are `BasicBlock`'s.
    """

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, shortcut: Shortcut = "B"
    ) -> None:
        super().__init__(in_channels, width, stride, shortcut)
        self.se = nn.SqueezeExcitation(width, max(width // REDUCTION, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, H / stride, W / stride, width)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        if self.add is not None:
            out = self.add(out, x if self.downsample is None else self.downsample(x))
        y: Tensor = self.relu(out)
        return y


class SEBottleneck(Bottleneck):
    """A bottleneck whose branch ends in squeeze and excitation. Parameters are `Bottleneck`'s."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        **options: Any,
    ) -> None:
        super().__init__(in_channels, width, stride, shortcut, **options)
        channels = width * self.expansion
        self.se = nn.SqueezeExcitation(channels, channels // REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, H / stride, W / stride, 4 * width)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.se(self.bn3(self.conv3(out)))
        if self.add is not None:
            out = self.add(out, x if self.downsample is None else self.downsample(x))
        y: Tensor = self.relu(out)
        return y
