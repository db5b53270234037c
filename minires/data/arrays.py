"""What a batch of images is in this package, and the check that an array is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minires.data.errors import DataError

UInt8Array: TypeAlias = NDArray[np.uint8]
IntArray: TypeAlias = NDArray[np.int64]
IndexArray: TypeAlias = NDArray[np.intp]  # 32 bits in a browser, where NumPy takes no others
FloatArray: TypeAlias = NDArray[np.float32]

Images: TypeAlias = UInt8Array | list[UInt8Array]
"""A batch (N, H, W, C), or a list of N images (H, W, C) that differ in size."""


def check_images(images: Any, where: str) -> None:
    """Make sure that `images` is a batch (N, H, W, C) of uint8, or a list of (H, W, C).

    Parameters
    ----------
    images : object
        What the caller was given.
    where : str
        Who asks, to begin the message with.

    Raises
    ------
    DataError
        If the type, dtype or rank is another, or if the channels come first.
    """
    if isinstance(images, list):
        for image in images:
            _check(image, 3, "(H, W, C)", where)
    else:
        _check(images, 4, "(N, H, W, C)", where)


def _check(array: Any, rank: int, axes: str, where: str) -> None:
    if not isinstance(array, np.ndarray):
        raise DataError(f"{where}: expected a NumPy array {axes}, got {type(array).__name__}")
    if array.dtype != np.uint8:
        raise DataError(f"{where}: expected uint8 images, got dtype {array.dtype}")
    if array.ndim != rank:
        raise DataError(f"{where}: expected images {axes}, got an array of shape {array.shape}")
    if 0 in array.shape[-3:-1]:
        raise DataError(f"{where}: there are no pixels in images of shape {array.shape}")
    channels = array.shape[-1]
    if channels not in (1, 3):
        first = array.shape[-3]
        swap = "(1, 2, 0)" if rank == 3 else "(0, 2, 3, 1)"
        hint = f"; channels come last here: images.transpose{swap}" if first in (1, 3) else ""
        raise DataError(
            f"{where}: expected 1 or 3 channels in images {axes}, got shape {array.shape}{hint}"
        )


def check_labels(labels: Any, classes: int, where: str) -> IntArray:
    """The labels as int64 (N,).

    Raises
    ------
    DataError
        If they are no integers, not one-dimensional, or outside `0 ... classes - 1`.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise DataError(
            f"{where}: expected integer labels (N,), got dtype {array.dtype}, shape {array.shape}"
        )
    wrong = np.flatnonzero((array < 0) | (array >= classes))
    if wrong.size:
        raise DataError(
            f"{where}: label {array[wrong[0]]} of image {wrong[0]} is out of range: "
            f"there are {classes} classes, 0 to {classes - 1}"
        )
    return array.astype(np.int64)


def check_indices(indices: Any, length: int, where: str) -> IndexArray:
    """Indices into a dataset of that length as intp (N,): integers, or a mask of booleans.

    Raises
    ------
    DataError
        If they are neither, or not one-dimensional, or if a mask has another length.
    """
    array = np.asarray(indices)
    if array.dtype == bool and array.shape == (length,):
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise DataError(
            f"{where}: expected integers (N,) or a mask of {length} booleans as indices, got dtype "
            f"{array.dtype}, shape {array.shape}"
        )
    return array.astype(np.intp)


def class_counts(labels: NDArray[Any], classes: int = 0) -> IndexArray:
    """How often each label occurs: intp, one for each class, and for each label up to the largest.

    NumPy's `bincount`, which wants integers of the platform's own width.
    """
    return np.bincount(labels.astype(np.intp), minlength=classes)


def stack_if_equal(images: Sequence[UInt8Array]) -> Images:
    """One batch (N, H, W, C) where all sizes agree, the images as a list where they do not."""
    if images and all(image.shape == images[0].shape for image in images):
        return np.stack(images)
    return list(images)
