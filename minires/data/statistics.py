"""Mean and deviation of every channel, to normalise with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from minires.data.arrays import UInt8Array, check_images
from minires.data.errors import DataError


def dataset_statistics(
    images: UInt8Array | Iterable[UInt8Array],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of images scaled to 0 to 1.

    They are computed from a histogram of the 256 values, in whole numbers up to the last division:
    the same whatever the order of the images, and 0 is the deviation of a constant channel alone.

    Parameters
    ----------
    images : uint8 (N, H, W, C), or an iterable of uint8 (H, W, C) whose sizes may differ

    Returns
    -------
    mean, std : tuple of float, one a channel
        As `Normalize` takes them, unless a deviation is 0.

    Raises
    ------
    DataError
        If there is no image, or if the channels differ from image to image.
    """
    histogram: NDArray[np.int64] | None = None
    for part in _parts(images):
        check_images(part, "dataset_statistics")
        channels = part.shape[-1]
        if histogram is None:
            histogram = np.zeros((channels, 256), np.int64)
        elif len(histogram) != channels:
            raise DataError(
                f"dataset_statistics: images of {len(histogram)} and of {channels} channels"
            )
        for channel, counts in enumerate(histogram):
            counts += np.bincount(part[..., channel].ravel(), minlength=256)
    if histogram is None or not histogram.any():
        raise DataError("dataset_statistics: there are no images")
    moments = [_moments(counts) for counts in histogram.tolist()]
    return tuple(mean for mean, _ in moments), tuple(std for _, std in moments)


def _moments(counts: list[int]) -> tuple[float, float]:
    """Mean and standard deviation, as shares of 255, of values that occur so often.

    Python's integers are as long as need be: n**2 times the variance, 255**2 of a trillion pixels
    and more, is exact, and no small difference of large numbers is rounded before it is taken.
    """
    n = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    return total / (255 * n), math.sqrt(n * squares - total * total) / (255 * n)


def _parts(images: UInt8Array | Iterable[UInt8Array]) -> Iterator[UInt8Array]:
    if isinstance(images, np.ndarray):
        check_images(images, "dataset_statistics")
        for start in range(0, len(images), 256):  # bincount makes 64-bit copies: not of everything
            yield images[start : start + 256]
    else:
        for image in images:
            if not isinstance(image, np.ndarray):
                raise DataError(
                    f"dataset_statistics: expected arrays of images, got {type(image).__name__}; "
                    "of a dataset, pass its .images"
                )
            yield image[None]
