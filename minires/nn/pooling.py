"""Pooling layers, on images (N, H, W, C)."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.module import Module
from minires.nn.sizes import Size, pair
from minires.tensors import Tensor


class _Pool(Module):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(kernel_size if stride is None else stride, "stride")
        self.padding = pair(padding, "padding")
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return sizes + ", ceil_mode=True" * self.ceil_mode


class MaxPool2d(_Pool):
    """The largest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default.
    ceil_mode : bool
        Round the number of windows up.

    See Also
    --------
    minires.nn.functional.max_pool2d : the size of the result, and what padding counts as.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        return F.max_pool2d(
            x, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode
        )


class MinPool2d(_Pool):
    """The smallest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default.
    ceil_mode : bool
        Round the number of windows up.

    See Also
    --------
    minires.nn.functional.min_pool2d : the size of the result, and what padding counts as.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        return F.min_pool2d(
            x, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode
        )


class AvgPool2d(_Pool):
    """The mean of each window; zeros in the padding count, if nothing else is said.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default.
    ceil_mode : bool
        Round the number of windows up.
    count_include_pad : bool
        Whether the zeros of the padding count.

    See Also
    --------
    minires.nn.functional.avg_pool2d : the size of the result, and what padding counts as.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        return F.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + ", count_include_pad=False" * (not self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """Means over a grid of `output_size` cells, for images of any size; 1 is the global mean.

    Parameters
    ----------
    output_size : int or (int, int)
        Cells in height and width.
    """

    def __init__(self, output_size: Size) -> None:
        super().__init__()
        self.output_size = pair(output_size, "output_size")

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, height, width, C), as output_size says."""
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
