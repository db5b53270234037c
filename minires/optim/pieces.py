"""Updates of large parameters, piece by piece: each stays in cache, and threads share them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.blocks import ranges
from minires.kernels.machinery.threads import parallel

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
        if x.size < 2 * PIECE or xp_of(x) is not np:
            update(self, x, grad, state, group)
            return
        remembered = {name: value for name, value in state.items() if hasattr(value, "dtype")}
        arrays = [x, grad, *remembered.values()]
        if not all(a.flags.c_contiguous and a.shape == x.shape for a in arrays):
            update(self, x, grad, state, group)
            return

        def run(piece: tuple[int, int]) -> dict[str, Any]:
            some, some_grad, *rest = (a.reshape(-1)[slice(*piece)] for a in arrays)
            mine = state | dict(zip(remembered, rest, strict=True))
            update(self, some, some_grad, mine, group)
            return mine

        pieces = parallel(run, ranges(x.size, -(-x.size // PIECE)))
        for name, value in pieces[0].items():
            if not hasattr(value, "dtype"):  # a number of steps: all pieces have the same
                state[name] = value
            elif name not in state:  # an array that this step began
                state[name] = np.concatenate([mine[name] for mine in pieces]).reshape(x.shape)

    return pieced
