"""Large arrays in chunks that stay in the cache, shared between threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minires.backend import Array, xp_of
from minires.kernels.machinery.blocks import even_shares, ranges
from minires.kernels.machinery.threads import parallel

CHUNK = 1 << 18
"""How many numbers of one array a chunk holds on the CPU: 1 MiB of float32."""


def chunk_count(size: int) -> int:
    """Into how many chunks so many numbers are cut."""
    return even_shares(-(-size // CHUNK))


def by_chunks(run: Callable[..., object], *arrays: Array) -> None:
    """`run` on chunks of all arrays, of one size; the last is written, and C-contiguous."""
    dense = all(a.flags.c_contiguous for a in arrays)
    if arrays[-1].size <= CHUNK or not dense or xp_of(*arrays) is not np:
        run(*arrays)
        return
    flat = [a.reshape(-1) for a in arrays]
    chunks = ranges(flat[0].size, chunk_count(flat[0].size))
    parallel(lambda chunk: run(*(a[slice(*chunk)] for a in flat)), chunks)
