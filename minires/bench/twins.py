"""The residual networks once more in PyTorch, layer for layer, under the same names.

PyTorch is no dependency: only a process that measures it imports this module.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from minires import models
from minires import nn as ours
from minires.models import blocks


class PadShortcut(nn.Module):
    """Shortcut A: every stride-th pixel, zeros for the new channels."""

    def __init__(self, stride: int, width: tuple[int, int]) -> None:
        super().__init__()
        self.stride, self.width = stride, width

    def forward(self, x: Any) -> Any:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.width))


class Block(nn.Module):
    """Convolutions with batch norm, two in a basic block and three in a bottleneck; a shortcut."""

    def __init__(self, block: blocks.BasicBlock | blocks.Bottleneck) -> None:
        super().__init__()
        self.depth = 3 if isinstance(block, blocks.Bottleneck) else 2
        for i in range(1, self.depth + 1):
            setattr(self, f"conv{i}", twin(getattr(block, f"conv{i}")))
            setattr(self, f"bn{i}", twin(getattr(block, f"bn{i}")))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None if block.downsample is None else twin(block.downsample)

    def forward(self, x: Any) -> Any:
        out = x
        for i in range(1, self.depth + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            if i < self.depth:
                out = self.relu(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    """A stem, stages of blocks, the mean over the image, and a linear classifier."""

    def __init__(self, network: models.ResNet) -> None:
        super().__init__()
        self.stages = network.stages
        for name in ("conv1", "bn1", "relu", "maxpool", *self.stages, "fc"):
            setattr(self, name, twin(getattr(network, name)))

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


@singledispatch
def twin(module: Any) -> Any:
    """PyTorch's counterpart of a module, with random weights."""
    raise TypeError(f"there is no twin of {type(module).__name__}")


twin.register(models.ResNet)(ResNet)
twin.register(blocks.BasicBlock)(Block)
twin.register(blocks.Bottleneck)(Block)


@twin.register
def _(module: blocks.PadShortcut) -> Any:
    return PadShortcut(module.stride, module.width)


@twin.register
def _(module: ours.Sequential) -> Any:
    return nn.Sequential(*map(twin, module))


@twin.register
def _(module: ours.Conv2d) -> Any:
    channels = module.in_channels, module.out_channels
    walk = module.kernel_size, module.stride, module.padding, module.dilation, module.groups
    return nn.Conv2d(*channels, *walk, bias=module.bias is not None)


@twin.register
def _(module: ours.BatchNorm2d) -> Any:
    return nn.BatchNorm2d(module.num_features, module.eps, module.momentum)


@twin.register
def _(module: ours.Linear) -> Any:
    return nn.Linear(module.in_features, module.out_features)


@twin.register
def _(module: ours.MaxPool2d) -> Any:
    return nn.MaxPool2d(module.kernel_size, module.stride, module.padding)


@twin.register
def _(module: ours.ReLU) -> Any:
    return nn.ReLU(inplace=True)


@twin.register
def _(module: ours.Identity) -> Any:
    return nn.Identity()


def with_numbers(network: models.ResNet) -> Any:
    """The twin of a network, with the network's parameters and running statistics."""
    other = twin(network)
    other.load_state_dict({name: theirs(t.data) for name, t in network.state_dict().items()})
    return other


def theirs(array: Any) -> Any:
    """A weight in PyTorch's layout: (O, C, KH, KW) and (out, in)."""
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
    return torch.from_numpy(array if order is None else array.transpose(order)).clone()


def back(tensor: Any) -> Any:
    """A weight of PyTorch's in minires's layout."""
    array = tensor.detach().numpy()
    order = {4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim)
    return array if order is None else array.transpose(order)
