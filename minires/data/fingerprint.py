"""A number that tells whether a dataset is still the one it was, without decoding its images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unicodedata import normalize
from zlib import crc32

import numpy as np

from minires.data.dataset import ImageDataset
from minires.data.folder import ImageFolder


def fingerprint(dataset: Any) -> int:
    """A checksum of a dataset: its labels, and what identifies each image.

    That is its pixels where the images are an array in memory. Of a folder it is their names in it,
    so that the folder may move, but no image may come, go or change its class.

    Parameters
    ----------
    dataset : LabelledImages
        Of kinds that are not this package's, the labels alone count.

    Returns
    -------
    int
        CRC-32.
    """
    found = crc32(np.array(dataset.labels, np.int64).tobytes())
    if isinstance(dataset, ImageFolder):
        names = b"\0".join(name_in(path, dataset.root) for path in dataset.paths)
        return crc32(names, found)
    if isinstance(dataset, ImageDataset):
        return crc32(np.ascontiguousarray(dataset.images).data, found)
    return found


def name_in(path: Path, root: Path) -> bytes:
    """An image's name in its folder, the same on every system and wherever the folder is."""
    return os.fsencode(normalize("NFC", path.relative_to(root).as_posix()))
