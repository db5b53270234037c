"""Residual networks: the ImageNet and CIFAR families of He et al. 2015 (arXiv:1512.03385).

Parameter names are torchvision's (`layer1.0.conv1.weight`), so weights are easy to exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from minires import nn
from minires.models.blocks import (
    BasicBlock,
    Bottleneck,
    PreActBlock,
    PreActBottleneck,
    Shortcut,
)
from minires.tensors import Tensor

Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """A stem, stages of residual blocks, the mean over the image, and a linear classifier.

    Parameters
    ----------
    block : type
        `BasicBlock`, `Bottleneck`, `PreActBlock` or `PreActBottleneck`.
    depths, widths : sequence of int
        Blocks and inner channels of each stage. Every stage but the first halves the image.
    stem : {"imagenet", "cifar"}
        A 7x7 convolution with stride 2 and max pooling, or a single 3x3 convolution.
    num_classes, in_channels : int
    shortcut : {"A", "B", "C", "none"}
        What a shortcut does where the shape changes (section 3.3): A pads with zeros, B projects
        with a 1x1 convolution, C projects in the other blocks too; "none" makes the plain network.
    zero_gamma : bool
        Start the last batch norm of every block at 0, so that it begins as the identity (Goyal et
        al. 2017, section 5.1).
    **block_options
        For bottlenecks: `groups`, `base_width`, `stride_in_1x1`.

    Attributes
    ----------
    architecture : dict
        What `minires.models.create` wants to build this network again.
    """

    def __init__(
        self,
        block: Block,
        depths: Sequence[int],
        widths: Sequence[int],
        *,
        stem: Literal["imagenet", "cifar"],
        num_classes: int,
        in_channels: int = 3,
        shortcut: Shortcut = "B",
        zero_gamma: bool = False,
        **block_options: Any,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {}
        self.frozen = False  # all but the classifier: see `minires.models.freeze_backbone`
        pre_activation = block in (PreActBlock, PreActBottleneck)
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, widths[0], 7, stride=2, padding=3, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.Identity() if pre_activation else nn.BatchNorm2d(widths[0])
        self.relu = nn.Identity() if pre_activation else nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
        channels = widths[0]
        self.stages: list[str] = []
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks = nn.Sequential()
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                blocks.append(block(channels, width, stride, shortcut, **block_options))
                channels = width * block.expansion
            self.stages.append(f"layer{i + 1}")
            setattr(self, self.stages[-1], blocks)
        self.bn_last = nn.BatchNorm2d(channels) if pre_activation else nn.Identity()
        self.relu_last = nn.ReLU() if pre_activation else nn.Identity()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, num_classes)
        self._initialize(zero_gamma)

    def _initialize(self, zero_gamma: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_gamma and isinstance(module, PreActBlock | PreActBottleneck):
                raise ValueError("zero_gamma wants blocks that end in batch norm; these do not")
            elif zero_gamma and isinstance(module, BasicBlock | Bottleneck):
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                last.weight.fill_(0)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for name, module in self.named_children():
                module.train(mode and name == "fc")
        return self

    def features(self, x: Tensor) -> Tensor:
        """Images (N, H, W, in_channels) to the last stage's map (N, h, w, channels)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        features: Tensor = self.relu_last(self.bn_last(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, H, W, in_channels) of any size to logits (N, num_classes)."""
        logits: Tensor = self.fc(self.flatten(self.avgpool(self.features(x))))
        return logits
