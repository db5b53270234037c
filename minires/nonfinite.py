"""`with detect_nonfinite():` the operation that made the first NaN or infinity is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minires.backend import Array, xp_of
from minires.engine import Node, Op, raw
from minires.errors import NonFiniteError, described_call
from minires.observers import observe
from minires.source_lines import calling_line, line_of


@contextmanager
def detect_nonfinite() -> Iterator[None]:
    """`with detect_nonfinite():` raise at the first operation whose result is not finite.

    That of a forward, or in a backward pass inside the block the gradients that a rule gives. It
    looks at every result, which costs time (and on a GPU a synchronisation each): run it to find
    the culprit once a loss or a gradient has turned out NaN.

    Raises
    ------
    NonFiniteError
        Inside the block.
    """
    with observe(_check_result, _check_gradients):
        yield


def _check_result(op: Op, arrays: Sequence[Any], constants: dict[str, Any], out: Any) -> None:
    bad = _count(raw(out))
    if bad:
        guilty = any(_count(a) for a in arrays if hasattr(a, "dtype"))
        origin = "an input that already had some" if guilty else "finite inputs"
        raise NonFiniteError(
            f"{described_call(op.name, arrays)} at {line_of(*calling_line())} gave {bad} NaN or "
            f"infinite values, from {origin}"
        )


def _check_gradients(op: Op, node: Node, g: Any, gradients: Sequence[Any]) -> None:
    for place, gradient in enumerate(map(raw, gradients)):
        bad = 0 if gradient is None else _count(gradient)
        if bad:
            origin = "a gradient that already had some" if _count(raw(g)) else "a finite gradient"
            raise NonFiniteError(
                f"the backward of {op.name}, made at {node.line()}, gave {bad} NaN or infinite "
                f"values for its argument {place}, from {origin}"
            )


def _count(array: Array) -> int:
    """How many of its numbers are NaN or infinite."""
    return 0 if array.dtype.kind != "f" else int((~xp_of(array).isfinite(array)).sum())
