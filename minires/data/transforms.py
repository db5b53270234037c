"""Transforms of whole batches of uint8 images (N, H, W, C).

A transform is called with images and their `Draws`, and never changes the images it is given. The
ones here also take a list of images (H, W, C) of unequal size, one after the other, and give a
batch again as soon as all sizes agree. (`Resize` and `RandomResizedCrop` are in `resizing`.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from minires.data.arrays import FloatArray, UInt8Array, check_images, stack_if_equal
from minires.data.draws import Draws
from minires.data.errors import DataError
from minires.data.settings import Size, as_pair, numbers, share, size_of, whole


class Transform(ABC):
    """Base of the transforms: takes care of checks, and of images that differ in size."""

    def __call__(self, images: Any, draws: Draws | None = None) -> Any:
        """Transform a batch.

        Parameters
        ----------
        images : uint8 (N, H, W, C), or a list of N arrays uint8 (H, W, C)
        draws : Draws, optional
            Of these N samples. Needed by the random transforms only.

        Returns
        -------
        array (N, H', W', C), or a list if the sizes still differ

        Raises
        ------
        DataError
            If the images are of another dtype or rank or do not fit, or if `draws` is missing.
        """
        check_images(images, repr(self))
        if draws is not None and len(draws) != len(images):
            raise DataError(f"{self}: {len(images)} images but draws for {len(draws)}")
        if not isinstance(images, list):
            return self.batch(images, draws)
        return stack_if_equal(
            [
                self.batch(image[None], None if draws is None else draws[i : i + 1])[0]
                for i, image in enumerate(images)
            ]
        )

    @abstractmethod
    def batch(self, images: UInt8Array, draws: Draws | None) -> NDArray[Any]:
        """Transform a batch (N, H, W, C) that has been checked."""

    def needed(self, draws: Draws | None) -> Draws:
        """The draws, or an error where a random transform was called without."""
        if draws is None:
            raise DataError(f"{self} is random: call it as transform(images, draws)")
        return draws


class Compose:
    """Several transforms, one after the other.

    Each gets draws of its own, keyed by its place in the list: two random crops are independent.
    """

    def __init__(self, transforms: Iterable[Callable[[Any, Any], Any]]) -> None:
        self.transforms = tuple(transforms)

    def __call__(self, images: Any, draws: Draws | None = None) -> Any:
        for place, transform in enumerate(self.transforms):
            own = None if draws is None else draws.scoped(str(place))
            images = transform(images, own)
        return images

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


@dataclass(frozen=True)
class Normalize(Transform):
    """From uint8 to float32: (x / 255 - mean) / std, with a mean and a deviation a channel.

    Raises
    ------
    DataError
        If `mean` or `std` is no sequence of finite numbers, if they differ in length, if a
        deviation is not positive, or, when called, if the images have another number of channels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        object.__setattr__(self, "mean", numbers(mean, "Normalize: mean"))
        object.__setattr__(self, "std", numbers(std, "Normalize: std"))
        if len(self.mean) != len(self.std):
            raise DataError(f"Normalize: {len(self.mean)} means but {len(self.std)} deviations")
        if not all(deviation > 0 for deviation in self.std):
            raise DataError(
                f"Normalize: every deviation must be above 0, got {self.std}; where a channel has "
                "one value only, 1 does"
            )

    def batch(self, images: UInt8Array, draws: Draws | None = None) -> FloatArray:
        n, height, width, channels = images.shape
        if channels != len(self.mean):
            raise DataError(
                f"{self}: expected {len(self.mean)} channels, got images of shape {images.shape}"
            )
        scale = 1 / (255 * np.array(self.std))
        shift = -np.array(self.mean) / self.std
        # Whole rows of pixels at a time: NumPy broadcasts a vector of 3 ten times slower than one
        # of 96.
        rows = images.reshape(n * height, width * channels).astype(np.float32)
        rows *= np.tile(scale, width).astype(np.float32)
        rows += np.tile(shift, width).astype(np.float32)
        return rows.reshape(images.shape)


@dataclass(frozen=True)
class RandomHorizontalFlip(Transform):
    """Mirror each image left to right with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", share(self.p, "RandomHorizontalFlip: p"))

    def batch(self, images: UInt8Array, draws: Draws | None) -> UInt8Array:
        chosen = np.flatnonzero(self.needed(draws).uniform("flip") < self.p)
        straight = images[chosen]
        mirrored = np.empty_like(straight)
        for channel in range(images.shape[-1]):  # far faster than runs of 3 bytes
            mirrored[..., channel] = straight[:, :, ::-1, channel]
        result = images.copy()
        result[chosen] = mirrored
        return result


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Pad with black on all sides, then cut out a window of `size` at a random place.

    Parameters
    ----------
    size : int or (height, width)
    padding : int
        Pixels on each side. He et al. (2016, section 4.2) pad CIFAR's 32x32 images by 4.

    Raises
    ------
    DataError
        If the padded images are smaller than the window.
    """

    size: Size
    padding: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", size_of(self.size, "RandomCrop"))
        object.__setattr__(self, "padding", whole(self.padding, "RandomCrop: padding", 0))

    def batch(self, images: UInt8Array, draws: Draws | None) -> UInt8Array:
        draws = self.needed(draws)
        height, width = as_pair(self.size)
        sides = self.padding, self.padding
        padded = pad(images, sides, sides) if self.padding else images
        tops = padded.shape[1] - height + 1
        lefts = padded.shape[2] - width + 1
        if tops < 1 or lefts < 1:
            raise DataError(
                f"{self}: images of shape {images.shape} are smaller than the window, even padded"
            )
        top = draws.integers("top", 0, tops)
        left = draws.integers("left", 0, lefts)
        return windows(padded, top, left, height, width)


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Cut out the middle. An image that is too small is padded with black, as in torchvision.

    Where the middle lies between two pixels, torchvision's rule holds: half a pixel of margin is
    rounded to the even number, and of an odd number of missing pixels one more goes below and to
    the right.
    """

    size: Size

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", size_of(self.size, "CenterCrop"))

    def batch(self, images: UInt8Array, draws: Draws | None = None) -> UInt8Array:
        size = as_pair(self.size)
        missing = [max(n - have, 0) for n, have in zip(size, images.shape[1:3], strict=True)]
        if any(missing):
            images = pad(images, *((n // 2, n - n // 2) for n in missing))
        top, left = (round((have - n) / 2) for n, have in zip(size, images.shape[1:3], strict=True))
        return images[:, top : top + size[0], left : left + size[1]].copy()


def pad(images: UInt8Array, rows: tuple[int, int], columns: tuple[int, int]) -> UInt8Array:
    """Images with so many black rows above and below, and black columns left and right."""
    n, height, width, channels = images.shape
    (above, below), (left, right) = rows, columns
    padded = np.zeros((n, above + height + below, left + width + right, channels), np.uint8)
    padded[:, above : above + height, left : left + width] = images
    return padded


def windows(
    images: UInt8Array, top: NDArray[Any], left: NDArray[Any], height: int, width: int
) -> UInt8Array:
    """A window of each image, (N, height, width, C), whose corner is at (top[i], left[i]).

    All windows of all images are laid out as a view, of which one row of indices picks N.
    """
    images = np.ascontiguousarray(images)
    n, rows, columns, channels = images.shape
    image, row, pixel, value = images.strides
    every_window = as_strided(
        images,
        (n, rows - height + 1, columns - width + 1, height, width * channels),
        (image, row, pixel, row, value),
        writeable=False,
    )
    chosen: UInt8Array = every_window[np.arange(n), top, left]
    return chosen.reshape(n, height, width, channels)
