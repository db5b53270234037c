"""Constant factors of a product, laid out once so that BLAS reads them where they lie.

OpenBLAS copies both factors of a large product into an order of its own, which for few rows takes
as long as multiplying. With AVX-512 it does a product of at most a million multiplications without;
its other kernels always copy, and nothing is laid out for them. There, a constant matrix (K, N)
that few rows will meet is cut into contiguous panels (N/n, K, n), each small enough, and the
product into as many; a deep one is cut along K as well, and the parts are added.
"""

from __future__ import annotations

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.threads import blas_architectures
from minires.kernels.machinery.workspace import scratch

UNPACKED = 10**6
"""Of so many multiplications OpenBLAS reads both factors where they lie."""

WIDTHS = 64, 32
"""Columns of a panel: the widest that fits."""

SHALLOWEST = 128
"""Rows that a part of a deep factor has at least."""


def reads_in_place() -> bool:
    """Whether the BLAS in this process multiplies small matrices where they lie."""
    found = blas_architectures()
    return bool(found) and found <= {"SkylakeX", "Cooperlake", "SapphireRapids"}


def lay(w: Array, rows: int) -> Array:
    """(..., K, N) factors as (..., N/n, K, n) panels, if `rows` are few enough; else themselves."""
    K, N = w.shape[-2:]
    for n in WIDTHS if xp_of(w) is np and reads_in_place() else ():
        if N % n == 0 and n < N and rows * K * n <= UNPACKED:
            return np.ascontiguousarray(np.moveaxis(w.reshape(*w.shape[:-1], N // n, n), -2, -3))
    return w


def matmul(x: Array, w: Array, out: Array) -> None:
    """``out = x @ w`` for `w` from `lay`: (..., M, K) by (..., K, N), or by its panels."""
    xp = xp_of(x, w)
    if w.ndim == x.ndim:
        xp.matmul(x, w, out=out)
        return
    by_panel = out.reshape(*out.shape[:-1], w.shape[-3], w.shape[-1]).swapaxes(-2, -3)
    xp.matmul(x[..., None, :, :], w, out=by_panel)


def lay_deep(w: Array, rows: int) -> Array | None:
    """(K, N) factors in parts of K rows and panels of N, (parts, N/n, K/parts, n), or None."""
    K, N = w.shape
    for parts in range(1, K // SHALLOWEST + 1):
        if K % parts == 0:
            laid = lay(w.reshape(parts, K // parts, N), rows)
            if laid.ndim == 4:
                return laid
    return None


def matmul_deep(x: Array, w: Array, out: Array) -> None:
    """``out = x @ w`` for `w` from `lay_deep`: (M, K) by (K, N)."""
    parts, J, K, n = w.shape
    by_part = x.reshape(len(x), parts, K).swapaxes(0, 1)[:, None]  # (parts, 1, M, K)
    if parts == 1:
        np.matmul(by_part, w, out=out.reshape(1, len(x), J, n).swapaxes(1, 2))
        return
    partial = scratch(np, "partial", (parts, len(x), J * n), out.dtype)
    np.matmul(by_part, w, out=partial.reshape(parts, len(x), J, n).swapaxes(1, 2))
    np.add.reduce(partial, axis=0, out=out)
