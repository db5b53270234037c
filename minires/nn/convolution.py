"""The convolution layer, and its transpose."""

from __future__ import annotations

import math

import numpy as np  # for the dtype only

from minires.from_pytorch import pytorchs_keywords
from minires.nn import functional as F
from minires.nn.linear import initialize
from minires.nn.module import Module, Parameter
from minires.nn.sizes import Size, pair, same
from minires.tensors import Tensor


class _Convolution(Module):
    """What both directions have: channels, sizes and how they are shown."""

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        groups: int,
    ) -> None:
        super().__init__()
        kind, channels = type(self).__name__, (in_channels, out_channels)
        if groups < 1 or min(channels) < 1 or any(n % groups for n in channels):
            raise ValueError(
                f"{kind} wants positive channels that groups divides, got "
                f"in_channels={in_channels}, out_channels={out_channels}, groups={groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(stride, "stride")
        self.padding = pair(same(padding, kernel_size, stride, dilation), "padding")
        self.dilation = pair(dilation, "dilation")
        walk = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
        for name, least in walk.items():
            if min(getattr(self, name)) < least:
                raise ValueError(
                    f"{kind} wants a {name} of at least {least}, got {getattr(self, name)}"
                )

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        initialize(self.weight, self.bias)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        usual = {"padding": (0, 0), "dilation": (1, 1), "output_padding": (0, 0), "groups": 1}
        for name, value in usual.items():
            if getattr(self, name, value) != value:
                text += f", {name}={getattr(self, name)}"
        return text if self.bias is not None else text + ", bias=False"


class Conv2d(_Convolution):
    """Convolution of images (N, H, W, in_channels) to (N, Ho, Wo, out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (int, int)
        For height and width. Padding is with zeros; "same" leaves the images their size.
    groups : int
        Must divide both channel counts; filters of one group see its input channels only.
    bias : bool
        Useless before batch norm, which takes the mean out again.

    Attributes
    ----------
    weight : Parameter (KH, KW, in_channels / groups, out_channels)
        At first uniform within 1 / sqrt(fan-in), and so is the bias: PyTorch's default.
        `minires.models` draw theirs as He et al. 2015 do.
    bias : Parameter (out_channels,) or None

    Raises
    ------
    ValueError
        If a size makes no sense, or groups divides the channels not; when called, if the images
        do not fit.

    See Also
    --------
    minires.nn.functional.conv2d : what is computed, and the size of the result.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        shape = (*self.kernel_size, in_channels // groups, out_channels)
        self.weight = Parameter(np.empty(shape, np.float32))
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, Ho, Wo, out_channels)."""
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """Each output value takes KH * KW * in_channels / groups."""
        return math.prod(output_shape) * math.prod(self.weight.shape[:3])


class ConvTranspose2d(_Convolution):
    """Transposed convolution: images (N, H, W, in_channels) to larger (N, Ho, Wo, out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding : int or (int, int)
        For height and width. The stride spreads the pixels, the padding cuts the result's edges,
        and the output_padding, less than stride or dilation, adds to its end.
    groups : int
        Must divide both channel counts.
    bias : bool
    dilation : int or (int, int)

    Attributes
    ----------
    weight : Parameter (KH, KW, out_channels / groups, in_channels)
        That of the convolution the other way. At first uniform within
        1 / sqrt(KH * KW * out_channels / groups), and so is the bias: PyTorch's default.
    bias : Parameter (out_channels,) or None

    Raises
    ------
    ValueError
        If a size makes no sense, or groups divides the channels not; when called, if the images
        do not fit.

    See Also
    --------
    minires.nn.functional.conv_transpose2d : what is computed, and the size of the result.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        self.output_padding = pair(output_padding, "output_padding")
        shape = (*self.kernel_size, out_channels // groups, in_channels)
        self.weight = Parameter(np.empty(shape, np.float32))
        self.bias = Parameter(np.empty(out_channels, np.float32)) if bias else None
        self.reset_parameters()

    @pytorchs_keywords
    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in_channels) to (N, Ho, Wo, out_channels)."""
        return F.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """Each input value takes KH * KW * out_channels / groups; cut edges are counted too."""
        height, width = (
            (n + 2 * p - d * (k - 1) - e - 1) // s + 1
            for n, p, d, k, e, s in zip(
                output_shape[1:3],
                self.padding,
                self.dilation,
                self.kernel_size,
                self.output_padding,
                self.stride,
                strict=True,
            )
        )
        return int(output_shape[0] * height * width * math.prod(self.weight.shape))
