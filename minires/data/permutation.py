"""The order of the images of an epoch: drawn anew for each, the same for the same seed."""

from __future__ import annotations

import numpy as np

from minires.data.arrays import IndexArray
from minires.data.draws import Draws


def permutation(length: int, seed: int, epoch: int, name: str = "order") -> IndexArray:
    """A random order of 0, ..., length - 1 that is a function of its arguments: intp (length,)."""
    draws = Draws(seed, epoch, np.arange(length))
    return np.argsort(draws.bits(name), kind="stable")
