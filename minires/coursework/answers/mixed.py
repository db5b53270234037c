"""A wrong answer that every question on images can have, made of the right one: mixed channels.

Images `(N, H, W, C)` are rows `(N * H * W, C)` by `reshape(-1, C)`. `reshape(C, -1).T` has the same
shape and mixes channels. What it returns is the answer to images that are mixed so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

HINT = (
    "It has the shape of rows of C channels, but reshape keeps the order in memory, where channels "
    "are last: each column holds values of all channels. reshape(-1, C) gives rows."
)


def images(arguments: dict[str, Any]) -> list[str]:
    """The names of arguments with four axes, or five: a stack of such."""
    return [n for n, v in arguments.items() if isinstance(v, np.ndarray) and v.ndim in (4, 5)]


def mixed(value: Any) -> Any:
    """Images as whoever takes `reshape(C, -1).T` for their rows sees them."""
    if value.ndim == 5:
        return np.stack([mixed(one) for one in value])
    return value.reshape(value.shape[-1], -1).T.reshape(value.shape)


def unmixed(value: Any) -> Any:
    """What was mixed, where the transpose goes back; all but images as it is."""
    if not isinstance(value, np.ndarray) or value.ndim not in (4, 5):
        return value
    if value.ndim == 5:
        return np.stack([unmixed(one) for one in value])
    return value.reshape(-1, value.shape[-1]).T.reshape(value.shape)
