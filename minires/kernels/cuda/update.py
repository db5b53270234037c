"""Launches `update.cu`: an optimiser's update of all parameters at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minires.backend import Array
from minires.kernels.cuda import blocks_for, launch

MOST = 80  # parameters in a launch, as in update.cu

PARAMETER = np.dtype(
    [(name, np.uint64) for name in ("x", "grad", "first", "second", "third")] + [("size", np.int64)]
)
PARAMETERS = np.dtype([("of", PARAMETER, (MOST,))])
"""As in update.cu."""

THREADS = 256

EACH = 1 << 12
"""How many numbers of the largest parameter a block has, unless that made more than `WIDEST`."""

WIDEST = 64


def update(
    kernel: str, parameters: Sequence[tuple[Array | None, ...]], options: tuple[float, ...]
) -> None:
    """Update parameters in place.

    Parameters
    ----------
    kernel : "sgd", "adam" or "rmsprop"
    parameters : sequence of (x, grad, first, second, third)
        Contiguous float32 arrays of the same size, or None.
    options : tuple
        The kernel's numbers: floats as float32, booleans and integers as int32.
    """
    numbers = [np.int32(o) if isinstance(o, int) else np.float32(o) for o in options]
    for start in range(0, len(parameters), MOST):
        some = parameters[start : start + MOST]
        table = np.zeros((), PARAMETERS)
        for place, (x, *others) in enumerate(some):
            assert x is not None
            addresses = [0 if a is None else a.data.ptr for a in (x, *others)]
            table["of"][place] = (*addresses, x.size)
        largest = int(table["of"]["size"].max())
        grid = min(blocks_for(largest, EACH), WIDEST), len(some)
        launch("update.cu", kernel, grid, THREADS, table[()], *numbers)
