"""Where values are kept: those that are never needed at the same time share memory."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from minires.backend import Array
from minires.compile.steps import Program
from minires.kernels.machinery.workspace import empty
from minires.model_recording import Ref

VIEWS = {"reshape", "transpose", "take", "broadcast_to"}
"""Operations whose result shows its argument's memory, or may."""


class Memory:
    """The buffers of one walk.

    Values get a place when they are made; what lies in it may be overwritten once the last step
    that needs it, or a view of it, has run.
    """

    def __init__(self, program: Program, xp: Any) -> None:
        self.xp = xp
        self.buffers: list[Array] = []
        self._free: list[Array] = []
        self._held: dict[Ref, Array] = {}
        self._shows: dict[Ref, Ref] = {}  # of what may be a view, the value that it is a view of
        self._last: dict[Ref, int] = {}  # when a value is needed for the last time
        for time, (ref, step) in enumerate(program.steps.items()):
            if step.op.name in VIEWS and type(step.inputs[0]) is Ref:
                self._shows[ref] = step.inputs[0]
            for needed in (ref, *step.reads()):
                self._need(needed, time)
        for result in program.results():
            if type(result) is Ref:
                self._need(result, len(program.steps))

    def _need(self, ref: Ref | None, time: int) -> None:
        """A value is needed until then, and so is what it may be a view of."""
        while ref is not None:
            self._last[ref] = time
            ref = self._shows.get(ref)

    def place(self, ref: Ref, shape: tuple[int, ...], dtype: Any) -> Array:
        """Memory for a value: the smallest free buffer that holds it, or a new one."""
        size = prod(shape) * np.dtype(dtype).itemsize
        fitting = [buffer for buffer in self._free if buffer.nbytes >= size]
        if fitting:
            buffer = min(fitting, key=lambda buffer: int(buffer.nbytes))
            self._free = [other for other in self._free if other is not buffer]
        else:
            buffer = empty(self.xp, (max(size, 1),), np.uint8)
            self.buffers.append(buffer)
        self._held[ref] = buffer
        view: Array = buffer[:size].view(dtype).reshape(shape)
        return view

    def release(self, time: int) -> None:
        """Free what no step after this one needs."""
        for ref in [ref for ref in self._held if self._last.get(ref, -1) <= time]:
            self._free.append(self._held.pop(ref))


Place = Callable[[Ref, tuple[int, ...], Any], Array]
