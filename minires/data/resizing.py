"""Change the size of images: bilinear, with antialiasing, by Pillow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minires.data.arrays import IntArray, UInt8Array
from minires.data.draws import Draws
from minires.data.errors import DataError
from minires.data.image import pillow
from minires.data.settings import Size, as_pair, interval, size_of
from minires.data.transforms import Transform

_ATTEMPTS = 10  # of RandomResizedCrop, as in torchvision


@dataclass(frozen=True)
class Resize(Transform):
    """Scale images to a size.

    Bilinear interpolation; when an image shrinks, the triangle that weighs its pixels widens to
    cover all of them (antialiasing). It is Pillow's `resize`, as torchvision uses it.

    Parameters
    ----------
    size : int or (height, width)
        One number: the length of the shorter side, in proportion, as in torchvision.

    Raises
    ------
    DataError
        If `size` is neither; when called, if an image would become too large for memory, as a
        very long one does whose shorter side grows.
    """

    size: Size

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", size_of(self.size, "Resize"))

    def batch(self, images: UInt8Array, draws: Draws | None = None) -> UInt8Array:
        n, height, width, _ = images.shape
        if isinstance(self.size, int):
            short = min(height, width)
            target = (self.size * height // short, self.size * width // short)
        else:
            target = self.size
        if target == (height, width):
            return images.copy()
        start = np.zeros(n, np.int64)
        return resample(images, start, start, start + height, start + width, target)


@dataclass(frozen=True)
class Cover(Transform):
    """Scale images in proportion, so that they just cover a (height, width) to be cut out.

    For a square it is `Resize` of the shorter side.
    """

    size: tuple[int, int]

    def batch(self, images: UInt8Array, draws: Draws | None = None) -> UInt8Array:
        (height, width), (rows, columns) = images.shape[1:3], self.size
        if rows * width >= columns * height:
            target = (rows, rows * width // height)
        else:
            target = (columns * height // width, columns)
        return Resize(target).batch(images)


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
        object.__setattr__(self, "size", size_of(self.size, "RandomResizedCrop"))
        for name in ("scale", "ratio"):
            pair = interval(getattr(self, name), f"RandomResizedCrop: {name}")
            object.__setattr__(self, name, pair)

    def batch(self, images: UInt8Array, draws: Draws | None) -> UInt8Array:
        target = as_pair(self.size)
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
    """Scale a box of each image to one size, as Pillow does.

    Parameters
    ----------
    images : uint8 (N, H, W, C)
    top, left, height, width : int64 (N,)
        The boxes. No pixel outside its box counts.
    size : (height, width)

    Returns
    -------
    uint8 (N, height, width, C)

    Raises
    ------
    DataError
        If an image of that size would be larger than any that Pillow reads without a warning.
    """
    Image = pillow()
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and size[0] * size[1] > limit:
        raise DataError(
            f"an image of {height[0]} x {width[0]} pixels would become {size[0]:,} x {size[1]:,}, "
            f"more than {limit:,} pixels"
        )
    n, _, _, channels = images.shape
    mode = "L" if channels == 1 else "RGB"
    result = np.empty((n, *size, channels), np.uint8)
    for i, (y, x, h, w) in enumerate(np.stack([top, left, height, width], axis=1).tolist()):
        part = np.ascontiguousarray(images[i, y : y + h, x : x + w])
        picture = Image.frombuffer(mode, (w, h), part, "raw", mode, 0, 1)
        scaled = picture.resize(size[::-1], Image.Resampling.BILINEAR).tobytes()
        result[i] = np.frombuffer(scaled, np.uint8).reshape(*size, channels)
    return result
