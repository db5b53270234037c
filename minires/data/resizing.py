"""Change the size of images: bilinear, with antialiasing, in plain matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.data.arrays import FloatArray, IntArray, UInt8Array
from minires.data.draws import Draws
from minires.data.errors import DataError
from minires.data.transforms import Size, Transform, as_pair

_ATTEMPTS = 10  # of RandomResizedCrop, as in torchvision
_BAND = 32  # output rows at a time
_UNIT = 2.0**-15


@dataclass(frozen=True)
class Resize(Transform):
    """Scale images to a size.

    Bilinear interpolation; when an image shrinks, the triangle that weighs its pixels widens to
    cover all of them (antialiasing), as in Pillow, whose results differ by a level at most.

    Parameters
    ----------
    size : int or (height, width)
        One number: the length of the shorter side, in proportion, as in torchvision.
    """

    size: Size

    def __post_init__(self) -> None:
        as_pair(self.size, "Resize")

    def batch(self, images: UInt8Array, draws: Draws | None = None) -> UInt8Array:
        n, height, width, _ = images.shape
        if isinstance(self.size, int):
            short = min(height, width)
            target = (self.size * height // short, self.size * width // short)
        else:
            target = as_pair(self.size, "Resize")
        if target == (height, width):
            return images.copy()
        start = np.zeros(n, np.int64)
        return resample(images, start, start, start + height, start + width, target)


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """Cut out a random part of an image and scale it to `size` (Szegedy et al., 2015, section 6).

    Its area is uniform between the bounds of `scale` (as a share of the image), the logarithm of
    its aspect ratio, width over height, uniform between those of `ratio`. If none of ten such
    draws lies within the image, the middle is taken, at the nearest ratio allowed.
    """

    size: Size
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        as_pair(self.size, "RandomResizedCrop")
        if not 0 < self.scale[0] <= self.scale[1] or not 0 < self.ratio[0] <= self.ratio[1]:
            raise DataError(
                f"RandomResizedCrop: scale and ratio must be increasing pairs above 0, "
                f"got {self.scale} and {self.ratio}"
            )

    def batch(self, images: UInt8Array, draws: Draws | None) -> UInt8Array:
        target = as_pair(self.size, "RandomResizedCrop")
        return resample(images, *self.boxes(images.shape[1:3], self.needed(draws)), target)

    def boxes(
        self, size: tuple[int, ...], draws: Draws
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Top, left, height and width, each int64 (N,), of the parts of images of that size."""
        rows, columns = size
        fallback = self._central(rows, columns)
        height = np.full(len(draws), fallback[0])
        width = np.full(len(draws), fallback[1])
        searching = np.ones(len(draws), bool)
        for attempt in range(_ATTEMPTS):
            area = rows * columns * draws.uniform(f"area{attempt}", *self.scale)
            ratio = np.exp(draws.uniform(f"ratio{attempt}", *np.log(self.ratio)))
            wide = np.rint(np.sqrt(area * ratio)).astype(np.int64)
            high = np.rint(np.sqrt(area / ratio)).astype(np.int64)
            fits = searching & (wide >= 1) & (wide <= columns) & (high >= 1) & (high <= rows)
            height[fits], width[fits] = high[fits], wide[fits]
            searching &= ~fits
            if not searching.any():
                break
        top = draws.integers("top", 0, rows - height + 1)
        left = draws.integers("left", 0, columns - width + 1)
        middle = (rows - fallback[0]) // 2, (columns - fallback[1]) // 2
        top[searching], left[searching] = middle
        return top, left, height, width

    def _central(self, rows: int, columns: int) -> tuple[int, int]:
        low, high = self.ratio
        if columns < rows * low:
            return max(1, min(rows, round(columns / low))), columns
        if columns > rows * high:
            return rows, max(1, min(columns, round(rows * high)))
        return rows, columns


def resample(
    images: UInt8Array,
    top: IntArray,
    left: IntArray,
    height: IntArray,
    width: IntArray,
    size: tuple[int, int],
) -> UInt8Array:
    """Scale a box of each image to one size.

    Parameters
    ----------
    images : uint8 (N, H, W, C)
    top, left, height, width : int64 (N,)
        The boxes. No pixel outside its box counts.
    size : (height, width)

    Returns
    -------
    uint8 (N, height, width, C)

    Notes
    -----
    Bilinear interpolation is linear and separable, hence two matrix products: one weighs rows, one
    columns. Their float32 sums are exact, since every weight is a multiple of 2**-15 and every
    pixel an integer below 256: no sum needs more than 24 bits. So the result does not depend on
    the order in which a BLAS adds, on its threads, nor on the other images of the batch.
    """
    n, rows, columns, channels = images.shape
    result = np.empty((n, *size, channels), np.uint8)
    # Few images at a time, so that the weight matrices stay small.
    group = max(1, (1 << 18) // max(size[0] * rows, size[1] * columns))
    for start in range(0, n, group):
        part = slice(start, start + group)
        lines = weights(top[part], height[part], rows, size[0])
        scaled = _weigh_rows(lines, images[part])  # (n, height, W, C)
        turned = scaled.transpose(0, 2, 1, 3)
        lines = weights(left[part], width[part], columns, size[1])
        result[part] = _weigh_rows(lines, turned).transpose(0, 2, 1, 3)
    return result


def weights(start: IntArray, length: IntArray, pixels: int, outputs: int) -> FloatArray:
    """How much each pixel of a line counts in each output: float32 (N, outputs, pixels).

    An output is the weighted mean of the pixels under a triangle around its place; the triangle is
    one output wide to each side, or one pixel if that is more.

    Parameters
    ----------
    start, length : int64 (N,)
        The piece of the line to scale.
    pixels, outputs : int
        How many the line has, and how many the piece becomes.
    """
    pitch = (length / outputs)[:, None, None]  # pixels an output
    centre = start[:, None, None] + (np.arange(outputs)[:, None] + 0.5) * pitch
    place = np.arange(pixels) + 0.5
    triangle = np.maximum(1 - np.abs(place - centre) / np.maximum(pitch, 1), 0)
    inside = (place > start[:, None]) & (place < (start + length)[:, None])  # (N, pixels)
    triangle *= inside[:, None, :]
    triangle /= triangle.sum(axis=-1, keepdims=True)
    return (np.rint(triangle / _UNIT) * _UNIT).astype(np.float32)


def _weigh_rows(lines: FloatArray, images: NDArray[Any]) -> UInt8Array:
    """Weigh the rows of images (N, H, W, C) with lines (N, H', H): uint8 (N, H', W, C)."""
    n, rows, columns, channels = images.shape
    outputs = lines.shape[1]
    flat = images.reshape(n, rows, columns * channels)
    result = np.empty((n, outputs, columns * channels), np.uint8)
    for begin in range(0, outputs, _BAND):
        band = slice(begin, begin + _BAND)
        used = np.flatnonzero(lines[:, band].any(axis=(0, 1)))  # most weights are zero
        reach = slice(used[0], used[-1] + 1)
        summed = lines[:, band, reach] @ flat[:, reach].astype(np.float32)
        result[:, band] = np.minimum(summed + 0.5, 255)
    return result.reshape(n, outputs, columns, channels)
