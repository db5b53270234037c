"""Large matrix products, shared between threads.

BLAS has threads of its own, but they go on spinning for tens of milliseconds after a product, in
the way of the next convolution's: so no large product is left to them.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.blocks import ranges
from minires.kernels.machinery.epilogue import Epilogue, no_epilogue
from minires.kernels.machinery.threads import one_blas_thread, parallel
from minires.kernels.machinery.workspace import empty

SHARES = 4
"""Into how many pieces a product is cut. With more, BLAS would pack its factors more often."""

WORTH_PACKING = 1 << 28
"""With fewer multiplications than this, two pieces: packing more often would cost too much."""

WORTH_SHARING = 1 << 18
"""Fewer multiplications than this take less time than waking a thread; BLAS thinks so too."""


def matmul(x: Array, y: Array) -> Array:
    """`x @ y`: (..., n, k) by (..., k, m), as in NumPy."""
    xp = xp_of(x, y)
    if xp is not np or x.size * y.shape[-1] < WORTH_SHARING:
        result: Array = x @ y
        return result
    if y.ndim != 2 or x.ndim < 2 or x.shape[-1] != y.shape[0]:
        with one_blas_thread():
            result = x @ y
        return result
    rows = x.reshape(-1, x.shape[-1])
    out = empty(xp, (len(rows), y.shape[1]), xp.result_type(x, y))
    product(xp, rows, y, out)
    result = out.reshape(*x.shape[:-1], y.shape[1])
    return result


def product(
    xp: ModuleType, a: Array, b: Array, out: Array, epilogue: Epilogue = no_epilogue
) -> None:
    """``out = a @ b``, cut along the longer side of the result.

    Parameters
    ----------
    xp : module
    a : (M, K) array
    b : (K, N) array
    out : (M, N) array
        Written.
    epilogue : callable, optional
        Called with each range of rows once it is written.
    """
    (M, K), N = a.shape, b.shape[1]
    shares = 1
    if xp is np and M * K * N >= WORTH_SHARING:
        shares = SHARES if M * K * N >= WORTH_PACKING else 2

    def rows(piece: tuple[int, int]) -> None:
        some = slice(*piece)
        xp.matmul(a[some], b, out=out[some])
        epilogue(some)

    def columns(piece: tuple[int, int]) -> None:
        some = slice(*piece)
        xp.matmul(a, b[:, some], out=out[:, some])

    if M >= N:
        parallel(rows, ranges(M, shares))
    else:
        parallel(columns, ranges(N, shares))
        epilogue(slice(None))
