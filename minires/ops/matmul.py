"""The matrix product, batched over leading axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minires import kernels
from minires.backend import Array
from minires.engine import op


@op
def matmul(x: Array, y: Array) -> Array:
    """`x @ y`: (..., n, k) by (..., k, m) gives (..., n, m); leading axes broadcast.

    A vector on the left is a row, a vector on the right a column, as in NumPy.
    """
    try:
        return kernels.matmul(x, y)
    except ValueError as error:
        shapes = " by ".join(str(getattr(a, "shape", ())) for a in (x, y))
        raise ValueError(f"matmul wants (..., n, k) by (..., k, m), got {shapes}") from error


@matmul.vjp
def matmul_vjp(
    g: Array, x: Array, y: Array, needs: Sequence[bool]
) -> tuple[Array | None, Array | None]:
    dx = dy = None
    rows = x.reshape(1, -1) if x.ndim == 1 else x  # (..., n, k)
    columns = y.reshape(-1, 1) if y.ndim == 1 else y  # (..., k, m)
    if y.ndim == 1:
        g = g.reshape(*g.shape, 1)
    if x.ndim == 1:
        g = g.reshape(*g.shape[:-1], 1, g.shape[-1])  # (..., n, m)
    if needs[0]:
        dx = matmul(g, _transposed(columns))
        dx = dx.reshape(*dx.shape[:-2], dx.shape[-1]) if x.ndim == 1 else dx
    if needs[1]:
        if (
            columns.ndim == 2
        ):  # one matrix for the whole batch: one product, not one a row and a sum
            count = math.prod(rows.shape[:-1])  # -1 would not do for empty arrays
            flat = rows.reshape(count, rows.shape[-1])
            dy = matmul(flat.transpose(1, 0), g.reshape(count, g.shape[-1]))
        else:
            dy = matmul(_transposed(rows), g)
        dy = dy.reshape(*dy.shape[:-2], dy.shape[-2]) if y.ndim == 1 else dy
    return dx, dy


matmul.bilinear = matmul.fresh = True


def _transposed(x: Array) -> Array:
    """The last two axes swapped."""
    return x.transpose(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
