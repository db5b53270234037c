"""A set of labelled images in memory, and what is asked of any other kind of such sets."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Protocol, Self, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike

from minires.data.arrays import (
    Images,
    IndexArray,
    IntArray,
    UInt8Array,
    check_images,
    check_indices,
    check_labels,
)
from minires.data.errors import DataError


class LabelledImages(Protocol):
    """Labelled images, wherever they are: what `fit` and `split` need, and `DataLoader` takes."""

    @property
    def labels(self) -> IntArray:
        """Class of every image: int64 (N,)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of every class."""

    def __len__(self) -> int: ...

    def take(self, indices: IndexArray) -> tuple[Images, IntArray]:
        """Images and labels with these indices, in this order, as arrays that the caller owns."""

    def subset(self, indices: IndexArray) -> Self:
        """A set of the images with these indices only."""


class ImageDataset:
    """Labelled images of one size, all in memory.

    Parameters
    ----------
    images : uint8 (N, H, W, C)
        C is 1 (grey) or 3 (red, green, blue).
    labels : integers (N,)
    classes : sequence of str
        The name of class 0, of class 1, and so on.
    name : str, optional
        What the set is called, for messages.

    Raises
    ------
    DataError
        If shapes, dtypes or lengths do not fit, or if a label is out of range.
    """

    images: UInt8Array
    labels: IntArray
    classes: tuple[str, ...]
    name: str

    def __init__(
        self, images: UInt8Array, labels: Any, classes: Sequence[str], name: str = "dataset"
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        if isinstance(images, list):
            raise DataError(f"{name}: expected one array (N, H, W, C), got a list")
        check_images(images, name)
        self.images = images
        self.labels = check_labels(labels, len(self.classes), name)
        if len(self.images) != len(self.labels):
            raise DataError(f"{name}: {len(self.images)} images but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: SupportsIndex) -> tuple[UInt8Array, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice) -> tuple[UInt8Array, int] | Self:
        """One image (H, W, C) and its label, or the set of a slice's images."""
        if isinstance(index, slice):
            return self.subset(np.arange(len(self))[index])
        return self.images[index], int(self.labels[index])

    def take(self, indices: ArrayLike) -> tuple[UInt8Array, IntArray]:
        """Copies of the images (B, H, W, C) and labels (B,) with these indices, or under a mask."""
        chosen = check_indices(indices, len(self), self.name)
        return self.images.take(chosen, axis=0), self.labels.take(chosen)

    def subset(self, indices: ArrayLike) -> Self:
        """A set of copies of the images with these indices."""
        part = copy(self)
        part.images, part.labels = self.take(indices)
        return part

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        return f"{self.name}: {len(self):,} images {size}, {len(self.classes)} classes"
