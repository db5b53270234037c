"""Windows as other frameworks place them: padding that is unequal, "same", or does not count.

`nn`'s own layers pad both ends alike; what they can do, `windowed` and `pooled` leave to them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from minires import nn, ops
from minires.engine import raw
from minires.interop.size_limits import check_size
from minires.nn import functional as F
from minires.tensors import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """Where the windows of a layer lie on images (N, H, W, C): each pair is for height and width.

    Attributes
    ----------
    kernel, stride, dilation : (int, int)
    pads : (int, int, int, int)
        Rows above, columns left of, rows below and columns right of the image.
    same : {"", "upper", "lower"}
        Instead of `pads`, as much as gives ceil(n / stride) windows; where that is an odd number,
        one pixel more at the end ("upper", as TensorFlow does) or at the beginning.
    ceil : bool
        Let a last window reach beyond the padding, if it begins before the padding at the end.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    same: Literal["", "upper", "lower"] = ""
    ceil: bool = False

    @property
    def reach(self) -> Pair:
        """How many rows and columns a window spans."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    @property
    def symmetric(self) -> bool:
        """Whether the padding is one that `nn`'s layers have."""
        top, left, bottom, right = self.pads
        small = top <= self.reach[0] and left <= self.reach[1]
        return not self.same and not self.ceil and (top, left) == (bottom, right) and small

    def along(self, axis: int, length: int) -> tuple[int, int, int]:
        """Padding before, after, and what `ceil` needs behind it, on an axis of this length."""
        stride, reach = self.stride[axis], self.reach[axis]
        before, after = self.pads[axis], self.pads[axis + 2]
        if self.same:
            total = max((-(-length // stride) - 1) * stride + reach - length, 0)
            less = total // 2
            before, after = (less, total - less) if self.same == "upper" else (total - less, less)
        beyond = 0
        if self.ceil:
            count = -(-(length + before + after - reach) // stride) + 1
            count -= (count - 1) * stride >= length + before
            beyond = max((count - 1) * stride + reach - length - before - after, 0)
        return before, after, beyond

    def settled(self) -> Windows:
        """The same with plain pads, where "same" means as many for images of every size."""
        pairs = list(zip(self.reach, self.stride, strict=True))
        if not self.same or any(reach > 1 and stride > 1 for reach, stride in pairs):
            return self
        ends = [
            self.along(axis, 1)[:2] if stride == 1 else (0, 0)
            for axis, (_, stride) in enumerate(pairs)
        ]
        (top, bottom), (left, right) = ends
        return replace(self, pads=(top, left, bottom, right), same="")

    def widths(self, x: Tensor, beyond: bool = True) -> tuple[Pair, Pair]:
        """Rows and columns that images get at their two ends."""
        found = [self.along(axis, x.shape[axis + 1]) for axis in range(2)]
        rows, columns = ((before, after + beyond * more) for before, after, more in found)
        return rows, columns


def padded(x: Any, widths: Sequence[Pair], value: float) -> Any:
    """Images (N, H, W, C) with `value` around them.

    Raises
    ------
    ValueError
        If they would be far larger than they are.
    """
    if not np.any(widths):
        return x
    check_size(n + sum(pair) for n, pair in zip(x.shape, ((0, 0), *widths, (0, 0)), strict=True))
    y = ops.pad(x, width=((0, 0), *widths, (0, 0)), value=value)
    return y


class Padding(nn.Module):
    """Pad images as the windows of the layer behind it want it."""

    def __init__(self, windows: Windows, value: float) -> None:
        super().__init__()
        self.windows, self.value = windows, value

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, H + more, W + more, C)."""
        y: Tensor = padded(x, self.windows.widths(x), self.value)
        return y

    def extra_repr(self) -> str:
        return self.windows.same or f"{self.windows.pads}"


class Pool(nn.Module):
    """The largest value or the mean of each window.

    Parameters
    ----------
    windows : Windows
    mean : bool
    count_padding : bool
        Whether a mean is over the pads too, which are 0; what `ceil` adds never counts.
    """

    def __init__(self, windows: Windows, mean: bool, count_padding: bool) -> None:
        super().__init__()
        self.windows, self.mean, self.count_padding = windows, mean, count_padding

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, Ho, Wo, C)."""
        if x.ndim != 4:
            raise ValueError(f"pooling wants images (N, H, W, C), got {tuple(x.shape)}")
        widths = self.windows.widths(x)
        if not self.mean:
            y: Tensor = self._over(padded(x, widths, -np.inf))
            if self.windows.dilation != (1, 1) and (y == -np.inf).numpy().any():
                raise ValueError("a window holds nothing but padding, or minus infinity")
            return y
        inner = self.windows.widths(x, beyond=False)
        outer = tuple((0, all_[1] - some[1]) for all_, some in zip(widths, inner, strict=True))
        pixels = raw(Tensor(np.ones((1, *x.shape[1:3], 1), x.dtype)).to(x.device))  # no operand
        pixels = padded(padded(pixels, inner, float(self.count_padding)), outer, 0.0)
        counted = self._over(pixels)
        if not counted.all():
            raise ValueError("a window holds nothing but padding")
        y = self._over(padded(x, widths, 0.0)) / Tensor(counted)
        return y

    def _over(self, x: Any) -> Any:
        """The largest value or the mean over windows, padding included."""
        walk = self.windows
        if walk.dilation == (1, 1):
            pool = F.avg_pool2d if self.mean else F.max_pool2d
            return pool(x, walk.kernel, walk.stride)
        room = [n - reach for n, reach in zip(x.shape[1:3], walk.reach, strict=True)]
        if min(room) < 0:
            raise ValueError(f"windows over {walk.reach} pixels do not fit into {x.shape[1:3]}")
        steps = [range(0, k * d, d) for k, d in zip(walk.kernel, walk.dilation, strict=True)]
        parts = [
            x[:, i : i + room[0] + 1 : walk.stride[0], j : j + room[1] + 1 : walk.stride[1]]
            for i, j in itertools.product(*steps)
        ]
        combine: Callable[..., Any] = ops.add if self.mean else ops.maximum
        whole = functools.reduce(combine, parts)
        return whole / len(parts) if self.mean else whole

    def extra_repr(self) -> str:
        kind = "mean" if self.mean else "max"
        return f"{kind}, {self.windows}, count_padding={self.count_padding}"


def windowed(windows: Windows, make: Callable[[Pair], nn.Module], value: float = 0.0) -> nn.Module:
    """A layer that `make` gives for a symmetric padding, with whatever padding is wanted."""
    windows = windows.settled()
    if windows.symmetric:
        return make(windows.pads[:2])
    return nn.Sequential(Padding(windows, value), make((0, 0)))


def pooled(windows: Windows, mean: bool = False, count_padding: bool = False) -> nn.Module:
    """A pooling layer.

    Raises
    ------
    ValueError
        If a window could hold nothing but padding, or if a size makes no sense.
    """
    if min(windows.kernel + windows.stride + windows.dilation) < 1 or min(windows.pads) < 0:
        raise ValueError(f"pooling wants sizes of at least 1 and pads of at least 0: {windows}")
    windows = windows.settled()
    reach = windows.reach * 2
    if any(pad >= most for pad, most in zip(windows.pads, reach, strict=True)):
        raise ValueError(f"padding of {windows.pads} around windows of {windows.reach}")
    plain = windows.symmetric and windows.dilation == (1, 1)
    plain = plain and all(2 * p <= k for p, k in zip(windows.pads, windows.kernel * 2, strict=True))
    if plain and (not mean or count_padding or not any(windows.pads)):
        layer = nn.AvgPool2d if mean else nn.MaxPool2d
        return layer(windows.kernel, windows.stride, windows.pads[:2])
    return Pool(windows, mean, count_padding)
