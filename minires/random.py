"""Randomness: drawn on the host from one generator, so that a seed gives the same run everywhere.

Initialisation and dropout draw from here. Data augmentation does not: its draws are keyed by seed,
epoch and sample (`minires.data.draws`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minires.from_pytorch import module_getattr

_generator = np.random.default_rng(0)


def manual_seed(seed: int | Sequence[int]) -> None:
    """Start the generator anew from `seed`, one non-negative integer or several."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that initialisation and dropout draw from."""
    return _generator


if not TYPE_CHECKING:
    __getattr__ = module_getattr("random", __name__)

__all__ = ["generator", "manual_seed"]
