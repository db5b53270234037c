"""Pooling of images (N, H, W, C): the largest or smallest value or the mean of each window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np  # for how many pixels a window has, on the host

from minires import ops
from minires.backend import to_device
from minires.dtypes import widened
from minires.nn.sizes import Size, pair
from minires.tensors import Tensor

Pair = tuple[int, int]


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    input : (N, H, W, C)
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default, so that windows do not
        overlap. Padding counts as minus infinity.
    ceil_mode : bool
        Round the number of windows up: a last one may reach beyond the padding, if it begins in
        the image or in the padding before it.

    Returns
    -------
    Tensor (N, Ho, Wo, C)
        Ho = floor((H + 2 padding - kernel_size) / stride) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could hold nothing but padding.
    """
    windows = _windows(kernel_size, stride, padding)
    if ceil_mode:
        input = _reached(input, _beyond(input, **windows), _lowest(input.dtype))
    pooled: Tensor = ops.max_pool2d(input, **windows)
    return pooled


def min_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
) -> Tensor:
    """The smallest value of each window; the first one, where several tie, gets the gradient.

    Parameters
    ----------
    input : (N, H, W, C)
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default, so that windows do not
        overlap. Padding counts as infinity.
    ceil_mode : bool
        As in `max_pool2d`.

    Returns
    -------
    Tensor (N, Ho, Wo, C)
        Ho = floor((H + 2 padding - kernel_size) / stride) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could hold nothing but padding.
    """
    if input.dtype.kind != "f":  # of integers ~x turns the order round and loses none
        return ~max_pool2d(~input, kernel_size, stride, padding, ceil_mode=ceil_mode)
    return -max_pool2d(-input, kernel_size, stride, padding, ceil_mode=ceil_mode)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window.

    Parameters
    ----------
    input : (N, H, W, C)
    kernel_size, stride, padding : int or (int, int)
        For height and width; the stride is the kernel's size by default, so that windows do not
        overlap. Padding is with zeros.
    ceil_mode : bool
        As in `max_pool2d`. What lies beyond the padding does not count.
    count_include_pad : bool
        Whether the zeros of the padding count.

    Returns
    -------
    Tensor (N, Ho, Wo, C)
        Ho = floor((H + 2 padding - kernel_size) / stride) + 1, Wo likewise.

    Raises
    ------
    ValueError
        If a window does not fit into the padded image, or could hold nothing but padding.
    """
    windows = _windows(kernel_size, stride, padding)
    beyond = _beyond(input, **windows) if ceil_mode else (0, 0)
    pooled: Tensor
    if not any(beyond) and (count_include_pad or windows["padding"] == (0, 0)):
        pooled = ops.avg_pool2d(input, **windows)
        return pooled
    wide: Tensor = widened(input)  # so that float16 is rounded once
    pooled = ops.avg_pool2d(_reached(wide, beyond, 0), **windows)
    counted = windows["padding"] if count_include_pad else (0, 0)
    sizes = zip(input.shape[1:3], pooled.shape[1:3], *windows.values(), counted, strict=True)
    shares = [np.asarray(_shares(*along), pooled.dtype) for along in sizes]
    rows, columns = (to_device(share, pooled.device) for share in shares)
    shared: Tensor = pooled * (rows[:, None] * columns)[..., None]
    return shared.astype(input.dtype)


def _windows(kernel_size: Size, stride: Size | None, padding: Size) -> dict[str, Pair]:
    return {
        "kernel_size": pair(kernel_size, "kernel_size"),
        "stride": pair(kernel_size if stride is None else stride, "stride"),
        "padding": pair(padding, "padding"),
    }


def _beyond(input: Tensor, kernel_size: Pair, stride: Pair, padding: Pair) -> Pair:
    """How many rows and columns the last windows reach beyond the padding, rounded up."""
    if input.ndim != 4 or min(stride) < 1:  # of which the operation tells
        return 0, 0

    def along(n: int, k: int, s: int, p: int) -> int:
        count = -(-(n + 2 * p - k) // s) + 1
        count -= (count - 1) * s >= n + p  # it would begin in the padding at the end
        return max((count - 1) * s + k - n - 2 * p, 0)

    rows, columns = map(along, input.shape[1:3], kernel_size, stride, padding)
    return rows, columns


def _reached(input: Tensor, beyond: Pair, value: float) -> Tensor:
    """More rows below and columns on the right."""
    if not any(beyond):
        return input
    more: Tensor = ops.pad(
        input, width=((0, 0), (0, beyond[0]), (0, beyond[1]), (0, 0)), value=value
    )
    return more


def _lowest(dtype: Any) -> float:
    if dtype.kind == "f":
        return -math.inf
    return 0 if dtype.kind in "bu" else -(2 ** (8 * dtype.itemsize - 1))


def _shares(n: int, m: int, k: int, s: int, p: int, q: int) -> list[float]:
    """For each of `m` windows along an axis of length `n`: its size by what of it counts.

    That is the axis, and `q` places of the padding on either side.
    """
    starts = range(-p, m * s - p, s)
    return [k / (min(start + k, n + q) - max(start, -q)) for start in starts]
