"""A plan for inputs of certain shapes: recorded, rewritten, verified, and run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minires import profiler, writes
from minires.backend import Array, xp_of
from minires.batch_axis import independent
from minires.compile.rewrites import rewrite
from minires.compile.steps import Program, program
from minires.compile.walk import Walk, run
from minires.engine import make_tensor
from minires.kernels.machinery.blocks import ranges
from minires.kernels.machinery.threads import one_blas_thread, parallel
from minires.markup import aligned
from minires.model_recording import Leaf, Recording, RecordingError, alike, record, same
from minires.structures import mapped

PIECES = 4
"""Into how many pieces images are cut at most: a thread sends one through all steps at a time."""

TOLERANCE = {"float16": 3e-2, "float32": 1e-3, "float64": 1e-9}
"""How far a plan may be from its model, of the largest value."""


class Variant:
    """The programs and walks for inputs of certain shapes.

    Where images do not depend on each other they go through all steps in pieces, each on one
    thread: how many depends on their number alone, so threads change no bit.

    Attributes
    ----------
    history : list of (str, list of str)
        What each rewrite did, and the steps after it.
    prepared : int
        When weights were laid out, on the clock of `writes`.
    modules : int
        When an attribute of any module was set last, as far as this has been looked into.
    """

    def __init__(self, model: Callable[..., Any], examples: Sequence[Array]) -> None:
        self._model, self.examples, self._xp = model, examples, xp_of(*examples)
        self.modules = writes.modules
        self._shapes = [(a.shape, a.dtype) for a in examples]
        drawn = [[_drawn(a, sign, i) for i, a in enumerate(examples)] for sign in (1, -1)]
        with one_blas_thread():
            self._recording = record(model, examples)
            pairs = [(inputs, record(model, inputs)) for inputs in (examples, *drawn)]
            if any(_operations(self._recording) != _operations(again) for _, again in pairs):
                raise RecordingError("the model does other operations for other numbers")
            for pieces in (self._cut(), []):
                self._pieces = pieces
                try:
                    self._recordings = self._record_pieces(model, examples)
                except Exception:  # a model that is written for so many images
                    continue
                self.build()
                error = max(self._error(inputs, wanted.results) for inputs, wanted in pairs)
                if error <= 1:
                    return
        raise RecordingError(
            f"the plan differs from the model by {error:.1e} times what is allowed: the model's "
            "Python does something with numbers that is not an operation"
        )

    def build(self) -> None:
        """Compute what depends on weights alone, rewrite, and lay weights out."""
        leaves = [i for s in self._recording.steps for i in s.inputs if isinstance(i, Leaf)]
        self._leaves = [(leaf, leaf.tensor.array) for leaf in leaves]
        self.prepared = writes.tick()
        self._laid: dict[Any, Any] = {}
        self._programs: dict[int, Program] = {}
        self._free: dict[int, list[Walk]] = {}
        for length, (recording, examples) in self._recordings.items():
            made = self._programs[length] = program(recording, examples)
            self.history = [("recorded", made.lines())]
            rewrite(made, partial(self._note, made))
            self._free[length] = [self._walk(length)]

    def differs(self) -> bool:
        """Whether the model does something else now, or with other tensors."""
        now, (recording, examples) = writes.modules, self._recordings[min(self._recordings)]
        differs = not alike(recording, record(self._model, examples))
        if not differs:
            self.modules = now
        return differs

    @property
    def in_pieces(self) -> bool:
        """Whether images go through in pieces, which do not depend on each other."""
        return bool(self._pieces)

    def changed(self) -> Leaf | None:
        """A weight that has changed since `build`, if there is one."""
        for leaf, array in self._leaves:
            if leaf.tensor.array is not array or writes.since(array, self.prepared):
                return leaf
        return None

    def __call__(self, *inputs: Array) -> Any:
        """What the model gives, new Tensors in its structure."""
        results = iter(self._run(inputs))
        return mapped(lambda _: make_tensor(next(results)), self._recording.outputs)

    def _run(self, inputs: Sequence[Array]) -> list[Array]:
        profile = profiler.current()
        each = run if profile is None else profile.step(run)
        with one_blas_thread():
            if not self._pieces:
                return [result.copy() for result in self._free[0][0](*inputs, each=each)]
            results = [self._xp.empty(r.shape, r.dtype) for r in self._recording.results]

            def piece(images: tuple[int, int]) -> None:
                some, free = slice(*images), self._free[images[1] - images[0]]
                try:
                    walk = free.pop()
                except IndexError:
                    walk = self._walk(images[1] - images[0])
                parts = walk(*(a[some] for a in inputs), each=each)
                for result, part in zip(results, parts, strict=True):
                    result[some] = part
                free.append(walk)

            if profile is None:
                parallel(piece, self._pieces)
            else:  # it times this thread
                list(map(piece, self._pieces))
        return results

    def _walk(self, length: int) -> Walk:
        return Walk(self._programs[length], self._xp, not self._pieces, self._laid)

    def _note(self, made: Program, rule: str) -> None:
        self.history.append((rule, made.lines()))

    def _cut(self) -> list[tuple[int, int]]:
        """The pieces that the images are cut into; none where they depend on each other."""
        images = self._shapes[0][0][0] if self._shapes and self._shapes[0][0] else 0
        together = images < 2 or self._xp is not np
        if together or not independent(self._recording, self.examples):
            return []
        return ranges(images, min(PIECES, images))

    def _record_pieces(
        self, model: Callable[..., Any], examples: Sequence[Array]
    ) -> dict[int, tuple[Recording, Sequence[Array]]]:
        """A recording for each length of a piece; under 0 that for all images at once."""
        if not self._pieces:
            return {0: (self._recording, examples)}
        found: dict[int, tuple[Recording, Sequence[Array]]] = {}
        for length in sorted({last - first for first, last in self._pieces}):
            some = [a[:length].copy() for a in examples]
            found[length] = record(model, some), some
        return found

    def _error(self, inputs: Sequence[Array], wanted: Sequence[Array]) -> float:
        """The largest difference from the model, in what is allowed."""
        worst = 0.0
        for found, right in zip(self._run(inputs), wanted, strict=True):
            if not same(found, right):
                xp = xp_of(right)
                equal = (found == right) | ((found != found) & (right != right))  # NaN both
                difference = float(abs(xp.where(equal, 0, found - right)).max())
                scale = float(abs(xp.where(xp.isfinite(right), right, 0)).max())
                allowed = TOLERANCE.get(right.dtype.name, 0.0) * scale
                worst = max(worst, difference / allowed if allowed and difference >= 0 else np.inf)
        return worst

    def __str__(self) -> str:
        length, (walk, *_) = next(reversed(self._free.items()))
        rows: list[tuple[str, ...]] = [("step", "makes", "by", "because", "multiply-adds", "bytes")]
        rows += [call.cells() for call in walk.calls]
        head, *lines = aligned(rows, left=4)
        total = sum(call.step.multiply_adds() for call in walk.calls)
        memory = sum(buffer.nbytes for buffer in walk.buffers)
        given = ", ".join(f"{dtype} {shape}" for shape, dtype in self._shapes)
        pieces = f", in {len(self._pieces)} pieces of at most {length}" if self._pieces else ""
        end = (
            f"{len(lines)} steps, {total:,} multiply-adds; {len(walk.buffers)} buffers for all "
            f"values, {memory:,} bytes"
        )
        return "\n".join([f"plan for {given}{pieces}", head, "-" * len(head), *lines, end])


def _operations(recording: Recording) -> list[tuple[str, tuple[int, ...]]]:
    return [(step.op.name, step.shape) for step in recording.steps]


def _drawn(example: Array, sign: int, seed: int) -> Array:
    """Other numbers: normal ones with the example's mean, or its integers in another order."""
    xp, rng = xp_of(example), np.random.default_rng(seed)
    if example.dtype.kind != "f":
        order = rng.permutation(example.size)
        return example.reshape(-1)[xp.asarray(order)].reshape(example.shape)
    wide = example.astype(np.float64)
    mean, deviation = (float(wide.mean()), float(wide.std())) if example.size else (0.0, 0.0)
    drawn = mean + (deviation or 1.0) * rng.standard_normal(example.shape)
    return xp.asarray((sign * drawn).astype(example.dtype))
