"""Launches `cross_entropy.cu`: the loss and its gradient, one launch each."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.cuda import blocks_for, launch

WARPS, WARP = 4, 32  # rows in a block, as in cross_entropy.cu, and threads for each
SOURCE = "cross_entropy.cu"


def cross_entropy(logits: Array, target: Array) -> Array:
    """As `kernels.cross_entropy`."""
    xp = xp_of(logits, target)
    loss: Array = xp.empty(logits.shape[:-1], np.float32)
    given = xp.ascontiguousarray(logits), xp.ascontiguousarray(target), loss
    launch(SOURCE, "cross_entropy", _grid(loss), WARPS * WARP, *given, *_sizes(logits))
    return loss


def gradient(g: Array, logits: Array, target: Array) -> Array:
    """As `kernels.cross_entropy_gradient`."""
    xp = xp_of(g, logits, target)
    dz: Array = xp.empty(logits.shape, np.float32)
    given = *(xp.ascontiguousarray(a) for a in (g, logits, target)), dz
    launch(SOURCE, "cross_entropy_gradient", _grid(g), WARPS * WARP, *given, *_sizes(logits))
    return dz


def _grid(loss: Array) -> tuple[int]:
    return (blocks_for(loss.size, WARPS),)


def _sizes(logits: Array) -> tuple[Any, Any]:
    classes = logits.shape[-1]
    return np.int32(logits.size // classes), np.int32(classes)
