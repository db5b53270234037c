"""`with detect_overwrites():` an array that changed between forward and backward is named.

Writes through Tensors and optimisers are always seen; see `writes`. What is written into
`tensor.data`, or into a NumPy array that a Tensor shares, is not. Here everything that a rule will
need has a checksum.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np  # host arrays, whose bytes are summed

from minires import errors
from minires.backend import to_host
from minires.engine import Node, Op
from minires.observers import observe


@contextmanager
def detect_overwrites() -> Iterator[None]:
    """`with detect_overwrites():` raise where a gradient would be computed from changed arrays.

    Around forward and backward both. It reads every array twice: run it to find the culprit, once
    gradients look wrong.

    Raises
    ------
    BackwardError
        Inside the block; the message names the line of the forward.
    """
    sums: dict[Node, list[int]] = {}

    def note(op: Op, arrays: Sequence[Any], constants: dict[str, Any], result: Any) -> None:
        if result.node is not None and result.node.kept:
            sums[result.node] = list(map(_checksum, result.node.kept))

    def check(op: Op, node: Node, g: Any, gradients: Sequence[Any]) -> None:
        noted = sums.get(node, ())
        for name, before, value in zip(op.requests, noted, node.kept or (), strict=False):
            if before != _checksum(value):
                raise errors.overwritten(node, name)

    with observe(note, check):
        yield


def _checksum(value: Any) -> int:
    """Of an array's bytes, or of all arrays in a tuple; 0 for anything else."""
    if isinstance(value, tuple):
        return zlib.crc32(repr(list(map(_checksum, value))).encode())
    if not hasattr(value, "dtype"):
        return 0
    return zlib.crc32(np.ascontiguousarray(to_host(value)).data)
