"""Hold a part of a dataset out, with the same share of every class."""

from __future__ import annotations

from hashlib import sha256
from math import isfinite
from numbers import Integral, Real
from typing import TypeVar

import numpy as np

from minires.data.arrays import IndexArray, class_counts
from minires.data.dataset import LabelledImages
from minires.data.errors import DataError
from minires.data.fingerprint import name_in
from minires.data.folder import ImageFolder
from minires.data.permutation import permutation

AnyDataset = TypeVar("AnyDataset", bound=LabelledImages)


def split(
    dataset: AnyDataset, held_out: int | float, seed: int = 0
) -> tuple[AnyDataset, AnyDataset]:
    """Divide a dataset in two, at random and with the same share of each class.

    The first part keeps an image of every class as long as it can.

    Parameters
    ----------
    dataset : LabelledImages
    held_out : int or float
        How many images the second part gets, or, between 0 and 1, which share of them.
    seed : int
        The same seed gives the same split of the same dataset.

    Returns
    -------
    rest, held : datasets
        Disjoint; together all images, each part in the order of the dataset.

    Raises
    ------
    DataError
        If either part would be empty.
    """
    labels = dataset.labels
    total = len(labels)
    if isinstance(held_out, bool) or not isinstance(held_out, Real) or not isfinite(held_out):
        raise DataError(f"split: held_out must be a number of images or a share, got {held_out!r}")
    count = int(held_out) if isinstance(held_out, Integral) else round(float(held_out) * total)
    if not 0 < count < total:
        raise DataError(
            f"split: held_out={held_out} would leave {total - count} of {total} images and hold "
            f"out {count}; both parts need at least one"
        )
    quota = _quotas(class_counts(labels, len(dataset.classes)), count)
    held = np.zeros(total, bool)
    order = permutation(total, seed, 0, "split")
    for label, wanted in enumerate(quota.tolist()):
        held[order[labels[order] == label][:wanted]] = True
    return dataset.subset(np.flatnonzero(~held)), dataset.subset(np.flatnonzero(held))


def _quotas(sizes: IndexArray, count: int) -> IndexArray:
    """How many of each class make up `count`: its share rounded down, then largest remainders.

    A class gives its last image only when no other class has more than that.
    """
    whole, rest = np.divmod(sizes * count, sizes.sum())
    missing = count - int(whole.sum())
    order = np.argsort(-rest, kind="stable")
    while missing:
        most = np.maximum(sizes - 1, 0) if (whole < sizes - 1).any() else sizes
        able = order[whole[order] < most[order]][:missing]
        whole[able] += 1
        missing -= len(able)
    return whole


def split_by_name(folder: ImageFolder, share: float) -> tuple[ImageFolder, ImageFolder]:
    """Hold a share of each class out, by the images' names: what is added later moves few others.

    Within a class the images that are held out are those whose names hash lowest: one that comes
    or goes changes the side of at most one other. Of a class with more than one image, at least one
    is held out and one is not.

    Parameters
    ----------
    folder : ImageFolder
    share : float
        Between 0 and 1.

    Returns
    -------
    rest, held : ImageFolder
        Disjoint; together all images, each part in the order of the folder. The second may be
        empty.
    """
    hashes = [sha256(name_in(path, folder.root)).digest() for path in folder.paths]
    held = np.zeros(len(folder), bool)
    for label in range(len(folder.classes)):
        members = np.flatnonzero(folder.labels == label).tolist()
        members.sort(key=lambda index: hashes[index])
        count = min(max(1, round(share * len(members))), len(members) - 1)
        held[members[: max(count, 0)]] = True
    return folder.subset(~held), folder.subset(held)
