"""Pooling layers, on images (N, H, W, C)."""

from __future__ import annotations

from minires.nn import functional as F
from minires.nn.module import Module
from minires.nn.sizes import Size, pair
from minires.tensors import Tensor


class _Pool(Module):
    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(kernel_size if stride is None else stride, "stride")
        self.padding = pair(padding, "padding")

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
    """The largest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default.

    See Also
    --------
    minires.nn.functional.max_pool2d : the size of the result, and what padding counts as.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class MinPool2d(_Pool):
    """The smallest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default.

    See Also
    --------
    minires.nn.functional.min_pool2d : the size of the result, and what padding counts as.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        return F.min_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool):
    """The mean of each window; zeros in the padding count.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default.

    See Also
    --------
    minires.nn.functional.avg_pool2d : the size of the result, and what padding counts as.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


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
