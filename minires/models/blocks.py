"""The residual blocks: basic, bottleneck, pre-activation, and the shortcuts A, B and C."""

from __future__ import annotations

from typing import Any, Literal

from minires import nn, ops
from minires.tensors import Tensor

Shortcut = Literal["A", "B", "C", "none"]


class PadShortcut(nn.Module):
    """Shortcut A: every stride-th pixel, zeros for the channels that are new (He et al. 2015, 3.3).

    It has no parameters. The new channels are split evenly before and after the old ones.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        before = (out_channels - in_channels) // 2
        self.width = (before, out_channels - in_channels - before)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, ceil(H / stride), ceil(W / stride), out_channels)."""
        x = x[:, :: self.stride, :: self.stride]
        return ops.pad(x, width=((0, 0), (0, 0), (0, 0), self.width))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, new_channels={self.width}"


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """A 1x1 convolution and batch norm: the shortcut of options B and C."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def make_shortcut(
    option: Shortcut, in_channels: int, out_channels: int, stride: int
) -> nn.Module | None:
    """The layer on a block's shortcut; None where there is nothing to do.

    A pads with zeros, B projects where shapes change, C projects everywhere.
    """
    changes = stride != 1 or in_channels != out_channels
    if option == "C" or (option == "B" and changes):
        return projection(in_channels, out_channels, stride)
    return PadShortcut(in_channels, out_channels, stride) if option == "A" and changes else None


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, figure 5 left).

    x -> conv -> bn -> relu -> conv -> bn -> + shortcut(x) -> relu

    Parameters
    ----------
    in_channels, width : int
        The channels that come in, and those inside; `width * expansion` go out.
    stride : int
        Of the first convolution and the shortcut.
    shortcut : {"A", "B", "C", "none"}
        How the shortcut changes shape; "none" leaves it out: the plain twin.
    """

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, shortcut: Shortcut = "B"
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = make_shortcut(shortcut, in_channels, width, stride)
        self.add = None if shortcut == "none" else nn.Add()

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, H / stride, W / stride, width)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.add is not None:
            out = self.add(out, x if self.downsample is None else self.downsample(x))
        y: Tensor = self.relu(out)
        return y


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (He et al. 2015, figure 5 right).

    Parameters
    ----------
    in_channels, width, stride, shortcut
        As in `BasicBlock`; `4 * width` channels go out.
    groups, base_width : int
        The 3x3 convolution has `width * base_width / 64 * groups` channels in `groups` groups:
        ResNeXt (Xie et al. 2017) and wide residual networks (Zagoruyko and Komodakis 2016).
    stride_in_1x1 : bool
        Stride in the first convolution, as in the paper, instead of the 3x3, as is usual since.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        groups: int = 1,
        base_width: int = 64,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        inner, out_channels = width * base_width // 64 * groups, width * self.expansion
        first, middle = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, inner, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=middle, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample = make_shortcut(shortcut, in_channels, out_channels, stride)
        self.add = None if shortcut == "none" else nn.Add()

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, H / stride, W / stride, 4 * width)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.add is not None:
            out = self.add(out, x if self.downsample is None else self.downsample(x))
        y: Tensor = self.relu(out)
        return y


class PreActBlock(BasicBlock):
    """Normalise and rectify first, then convolve (He et al. 2016, arXiv:1603.05027, figure 4e).

    x -> bn -> relu -> conv -> bn -> relu -> conv -> + shortcut(x)

    Nothing follows the add, so the identity runs unbroken through the whole network. Where the
    shape changes, the shortcut too starts from the rectified input.
    """

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, shortcut: Shortcut = "B"
    ) -> None:
        super().__init__(in_channels, width, stride, shortcut)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.downsample = _bare(self.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, H / stride, W / stride, width)."""
        active = self.relu(self.bn1(x))
        out = self.conv1(active)
        out = self.conv2(self.relu(self.bn2(out)))
        if self.add is not None:
            out = self.add(out, x if self.downsample is None else self.downsample(active))
        y: Tensor = out
        return y


class PreActBottleneck(Bottleneck):
    """The pre-activation bottleneck (He et al. 2016): bn and relu before each convolution."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        **options: Any,
    ) -> None:
        super().__init__(in_channels, width, stride, shortcut, **options)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.bn3 = nn.BatchNorm2d(self.conv3.in_channels)
        self.downsample = _bare(self.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, H / stride, W / stride, 4 * width)."""
        active = self.relu(self.bn1(x))
        out = self.conv1(active)
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        if self.add is not None:
            out = self.add(out, x if self.downsample is None else self.downsample(active))
        y: Tensor = out
        return y


def _bare(shortcut: nn.Module | None) -> nn.Module | None:
    """A projection without its batch norm: in pre-activation that has happened already."""
    return shortcut[0] if isinstance(shortcut, nn.Sequential) else shortcut
