"""One large matrix product shared between threads."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from minires.backend import Array
from minires.kernels.geometry import ranges
from minires.kernels.threads import parallel

SHARES = 4
"""Into how many pieces a product is cut. With more, BLAS would pack its factors more often."""

WORTH_SHARING = 1 << 18
"""Fewer multiplications than this take less time than waking a thread."""


def product(xp: ModuleType, a: Array, b: Array, out: Array) -> None:
    """``out = a @ b``, cut along the longer side of the result.

    Parameters
    ----------
    xp : module
    a : (M, K) array
    b : (K, N) array
    out : (M, N) array
        Written.
    """
    (M, K), N = a.shape, b.shape[1]
    shares = SHARES if xp is np and M * K * N >= WORTH_SHARING else 1

    def rows(piece: tuple[int, int]) -> None:
        xp.matmul(a[piece[0] : piece[1]], b, out=out[piece[0] : piece[1]])

    def columns(piece: tuple[int, int]) -> None:
        xp.matmul(a, b[:, piece[0] : piece[1]], out=out[:, piece[0] : piece[1]])

    if M >= N:
        parallel(rows, ranges(M, shares))
    else:
        parallel(columns, ranges(N, shares))
