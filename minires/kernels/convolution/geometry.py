"""Where the windows of a convolution lie over its images."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from minires.backend import Array
from minires.kernels.machinery.blocks import Block, Pair
from minires.kernels.machinery.padding import zero_extended


class ConvGeometry(NamedTuple):
    """Where windows lie over images around which zeros go on for ever.

    Attributes
    ----------
    stride : (int, int)
        From a window to the next, down and across.
    padding : (int, int)
        How many rows of zeros the first window begins above the image, and how many columns left of
        it. Negative: so far inside.
    dilation : (int, int)
        From a cell of a window to the next.
    groups : int
        Into how many groups channels and filters are split.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def why_not_plain(self) -> str | None:
        """Why an algorithm for a stride and a dilation of 1 and one group cannot do it, or None."""
        if self.stride != (1, 1):
            return f"it needs a stride of 1, not {self.stride}"
        if self.dilation != (1, 1):
            return f"it needs a dilation of 1, not {self.dilation}"
        if self.groups != 1:
            return f"it needs one group, not {self.groups}"
        return None

    def output_size(self, size: Pair, kernel: Pair) -> Pair:
        """How many windows fit into images of (H, W) with this padding at either end.

        Dumoulin and Visin 2016, arXiv:1603.07285, section 4.
        """
        h, w = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                size, kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return h, w

    def rows(self, first: int, last: int, kernel: int) -> Pair:
        """The half-open range of input rows that the windows `first:last` read."""
        low = first * self.stride[0] - self.padding[0]
        return low, low + (last - first - 1) * self.stride[0] + self.dilation[0] * (kernel - 1) + 1

    def columns(self, count: int, kernel: int) -> Pair:
        """The half-open range of input columns that `count` windows from the first on read."""
        low = -self.padding[1]
        return low, low + (count - 1) * self.stride[1] + self.dilation[1] * (kernel - 1) + 1


def windows(x: Array, xp: ModuleType, kernel: Pair, size: Pair, geometry: ConvGeometry) -> Array:
    """The windows of `x`, the first at its corner, as a view that must not be written to.

    (N, H, W, C) -> (N, Ho, Wo, KH, KW, C), with ``kernel = (KH, KW)`` and ``size = (Ho, Wo)``.
    """
    (sn, sh, sw, sc), stride, dilation = x.strides, geometry.stride, geometry.dilation
    strides = (sn, sh * stride[0], sw * stride[1], sh * dilation[0], sw * dilation[1], sc)
    view: Array = xp.lib.stride_tricks.as_strided(
        x, (x.shape[0], *size, *kernel, x.shape[3]), strides
    )
    return view


def block_windows(
    x: Array, xp: ModuleType, block: Block, kernel: Pair, width: int, geometry: ConvGeometry
) -> Array:
    """The windows of a block of output rows `width` long: (n, rows, width, KH, KW, C)."""
    n0, n1, h0, h1 = block
    rows, columns = geometry.rows(h0, h1, kernel[0]), geometry.columns(width, kernel[1])
    piece = zero_extended(x, xp, slice(n0, n1), rows, columns)
    return windows(piece, xp, kernel, (h1 - h0, width), geometry)
