"""Randomness: drawn on the host from one generator, so that a seed gives the same run everywhere.

Initialisation and dropout draw from here. Data augmentation does not: its draws are keyed by seed,
epoch and sample (`minires.data.draws`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_generator = np.random.default_rng(0)


def manual_seed(seed: int | Sequence[int]) -> None:
    """Start the generator anew from `seed`, one non-negative integer or several."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that initialisation and dropout draw from."""
    return _generator
