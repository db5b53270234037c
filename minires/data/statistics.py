"""Mean and deviation of every channel, to normalise with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from minires.data.arrays import UInt8Array, check_images
from minires.data.errors import DataError


def dataset_statistics(
    images: UInt8Array | Iterable[UInt8Array],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of images scaled to 0 to 1.

    They are computed from a histogram of the 256 values, so in whole numbers: exact, and the same
    whatever the order of the images.

    Parameters
    ----------
    images : uint8 (N, H, W, C), or an iterable of uint8 (H, W, C) whose sizes may differ

    Returns
    -------
    mean, std : tuple of float, one a channel
        As `Normalize` takes them.

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
    values = np.arange(256) / 255
    count = histogram.sum(axis=1)
    mean = histogram @ values / count
    std = np.sqrt(histogram @ values**2 / count - mean**2)
    return tuple(mean.tolist()), tuple(std.tolist())


def _parts(images: UInt8Array | Iterable[UInt8Array]) -> Iterator[UInt8Array]:
    if isinstance(images, np.ndarray):
        check_images(images, "dataset_statistics")
        for start in range(0, len(images), 256):  # bincount makes 64-bit copies: not of everything
            yield images[start : start + 256]
    else:
        for image in images:
            yield image[None]
