"""Updates of large parameters, piece by piece: each stays in cache, and threads share them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.geometry import ranges
from minires.kernels.threads import parallel

Self = TypeVar("Self")
Update = Callable[[Self, Array, Array, dict[str, Any], dict[str, Any]], None]

PIECE = 1 << 17
"""How many numbers of a parameter a piece holds: an update reads and writes four arrays or five."""


def by_pieces(update: Update[Self]) -> Update[Self]:
    """Let an optimiser's `update` see a large parameter on the CPU piece by piece.

    For an update that treats every element alike and by itself, so that the pieces together come
    out to the bit as the whole. One that looks at all of them, at a norm for instance, goes
    without this.
    """

    @wraps(update)
    def pieced(
        self: Self, x: Array, grad: Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        arrays = {"x": x, "grad": grad, **{k: v for k, v in state.items() if hasattr(v, "dtype")}}
        dense = all(a.flags.c_contiguous and a.shape == x.shape for a in arrays.values())
        if x.size < 2 * PIECE or not dense or xp_of(x) is not np:
            update(self, x, grad, state, group)
            return
        flat = {name: array.reshape(-1) for name, array in arrays.items()}

        def run(piece: tuple[int, int]) -> dict[str, Any]:
            some = {name: array[piece[0] : piece[1]] for name, array in flat.items()}
            mine = state | {name: some[name] for name in some if name in state}
            update(self, some["x"], some["grad"], mine, group)
            return mine

        pieces = parallel(run, ranges(x.size, -(-x.size // PIECE)))
        for name, value in pieces[0].items():
            if not hasattr(value, "dtype"):  # a number of steps: all pieces have the same
                state[name] = value
            elif name not in state:  # an array that this step began
                state[name] = np.concatenate([mine[name] for mine in pieces]).reshape(x.shape)

    return pieced
