"""All parameters updated in one launch on a GPU, where each by itself takes one or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from minires.backend import Array
from minires.kernels.cuda import fits
from minires.kernels.cuda.update import update


class Item(NamedTuple):
    """What an update is called with."""

    x: Array
    grad: Array
    state: dict[str, Any]
    group: dict[str, Any]


Remembered = tuple[Array | None, Array | None, Array | None]
Describe = Callable[[Item], tuple[Remembered, tuple[float, ...]] | None]
"""What the kernel is given of a parameter: the arrays of its state, in update.cu's order, and the
numbers; None leaves it to array code."""


def in_one_launch(kernel: str, work: Sequence[Item], describe: Describe) -> list[Item]:
    """Update what the kernel can, those of equal options together; the rest is returned."""
    rest: list[Item] = []
    launches: dict[tuple[float, ...], list[tuple[Array | None, ...]]] = {}
    for item in work:
        described = describe(item) if _able(item) else None
        if described is None:
            rest.append(item)
        else:
            arrays, options = described
            launches.setdefault(options, []).append((item.x, item.grad, *arrays))
    for options, parameters in launches.items():
        update(kernel, parameters, options)
    return rest


def _able(item: Item) -> bool:
    """Whether all arrays lie in memory alike."""
    arrays = [item.x, item.grad, *(a for a in item.state.values() if hasattr(a, "dtype"))]
    return fits(*arrays) and all(a.flags.c_contiguous and a.shape == item.x.shape for a in arrays)
