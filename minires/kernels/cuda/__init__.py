"""Kernels in CUDA C++, for float32 arrays on a GPU; each file stands beside its array code.

`batch_norm.cu` has batch norm's sums over a batch, `convolution.cu` the convolution and its
gradients, `pooling.cu` max pooling, `cross_entropy.cu` that loss, `update.cu` the optimisers'
updates. Of each the `.py` of that name launches them. Array code, which NumPy runs, says what they
compute, and computes the rest: other dtypes, and whatever runs on Tensors under `create_graph`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.backend import Array, compiled_cuda, compiles_cuda, xp_of

BLOCKS = 528
"""How many thread blocks share a sum: four for each of an H100's 132 multiprocessors."""

ABSENT = np.uintp(0)
"""A null pointer, where a kernel may be given an array."""


def fits(*arrays: Array) -> bool:
    """Whether arrays are for these kernels: none is empty, all are float32 on a GPU."""
    on_gpu = xp_of(*arrays) is not np
    return on_gpu and compiles_cuda() and all(a.dtype == np.float32 and a.size for a in arrays)


def launch(
    source: str,
    name: str,
    grid: tuple[int, ...],
    threads: int,
    *arguments: Any,
    **definitions: int,
) -> None:
    """Run a kernel.

    Parameters
    ----------
    source : str
        The file of this folder, such as "batch_norm.cu".
    name : str
        The kernel's.
    grid : tuple of int
        Thread blocks each way.
    threads : int
        In a block.
    *arguments : array or NumPy scalar
        None is a null pointer.
    **definitions : int
        Macros: with each set of them the file is compiled anew.
    """
    compiled = compiled_cuda(source, tuple(sorted(definitions.items())), name)
    compiled(grid, (threads,), tuple(ABSENT if a is None else a for a in arguments))


def blocks_for(count: int, each: int) -> int:
    """How many blocks `count` things make, `each` to a block: the quotient rounded up."""
    return -(-count // each)
