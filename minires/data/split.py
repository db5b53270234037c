"""Hold a part of a dataset out, with the same share of every class."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import TypeVar

import numpy as np

from minires.data.arrays import IntArray
from minires.data.dataset import Dataset
from minires.data.draws import permutation
from minires.data.errors import DataError

AnyDataset = TypeVar("AnyDataset", bound=Dataset)


def split(
    dataset: AnyDataset, held_out: int | float, seed: int = 0
) -> tuple[AnyDataset, AnyDataset]:
    """Divide a dataset in two, at random and with the same share of each class.

    Parameters
    ----------
    dataset : Dataset
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
    quota = _quotas(np.bincount(labels, minlength=len(dataset.classes)), count)
    held = np.zeros(total, bool)
    order = permutation(total, seed, 0, "split")
    for label, wanted in enumerate(quota.tolist()):
        held[order[labels[order] == label][:wanted]] = True
    return dataset.subset(np.flatnonzero(~held)), dataset.subset(np.flatnonzero(held))


def _quotas(sizes: IntArray, count: int) -> IntArray:
    """How many of each class make up `count`: its share rounded down, then largest remainders."""
    whole, rest = np.divmod(sizes * count, sizes.sum())
    missing = count - int(whole.sum())
    whole[np.argsort(-rest, kind="stable")[:missing]] += 1
    return whole
