"""The steps of a program as calls on arrays that are there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.backend import Array, xp_of
from minires.compile.memory import VIEWS, Memory
from minires.compile.steps import Program, Step
from minires.engine import make_tensor, raw
from minires.grad_mode import no_grad
from minires.kernels import ConvGeometry, max_pool
from minires.kernels.convolution import constant_weights
from minires.kernels.convolution.choose import Choice
from minires.kernels.machinery.epilogue import BiasResidualReLU
from minires.kernels.machinery.matmul import product
from minires.kernels.machinery.threads import parallel
from minires.model_recording import Ref

Job = Callable[[], None]

UFUNCS = {
    **{"add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide"},
    **{"maximum": "maximum", "minimum": "minimum", "negative": "negative", "sqrt": "sqrt"},
    **{"exp": "exp", "log": "log", "tanh": "tanh", "matmul": "matmul"},
}
"""Operations that are a function of the array module, which can write into an array."""


@dataclass(frozen=True)
class Call:
    """One step: its jobs, which may run at the same time, and how it is done, for the table."""

    step: Step
    jobs: Sequence[Job]
    choice: Choice
    nbytes: int

    def cells(self) -> tuple[str, ...]:
        """Its row in the table of a plan."""
        parts = f" in {len(self.jobs)} parts" if len(self.jobs) > 1 else ""
        shape, count = "x".join(map(str, self.step.shape)), self.step.multiply_adds()
        numbers = (f"{n:,}" if n else "" for n in (count, self.nbytes))
        return self.step.name, shape, self.choice.name + parts, self.choice.reason, *numbers


class Walk:
    """A program for inputs of its shapes, every value of which has its place.

    Parameters
    ----------
    program : Program
        Rewritten.
    xp : module
    shared : bool
        Whether threads share a layer, as for one image; else they have walks of their own.
    laid : dict
        Weights that are laid out already; new ones are added.
    """

    def __init__(self, program: Program, xp: Any, shared: bool, laid: dict[Any, Any]) -> None:
        self._shared, self._laid = shared, laid
        self._memory = Memory(program, xp)
        self._values: dict[Ref, Array] = {}
        for ref, (shape, dtype) in zip(program.inputs, program.shapes, strict=True):
            self._values[ref] = xp.empty(shape, dtype)
        self.inputs = [self._values[ref] for ref in program.inputs]
        self.calls: list[Call] = []
        for time, (ref, step) in enumerate(program.steps.items()):
            self.calls.append(self._call(ref, step))
            self._memory.release(time)
        self.results = [self._value(result) for result in program.results()]

    @property
    def buffers(self) -> list[Array]:
        """The memory in which all values lie, apart from inputs and constants."""
        return self._memory.buffers

    def __call__(self, *inputs: Array, each: Callable[[Call], None]) -> list[Array]:
        """The results, which the next call overwrites. `each` does a step: `run`, say."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own[...] = given
        for call in self.calls:
            each(call)
        return self.results

    def _value(self, value: Any) -> Any:
        return self._values[value] if type(value) is Ref else value

    def _call(self, ref: Ref, step: Step) -> Call:
        inputs = [self._value(i) for i in step.inputs]
        if step.op.name in VIEWS and type(step.inputs[0]) is Ref:
            shown = step.op.forward(*inputs, **step.constants)
            if np.shares_memory(shown, inputs[0]) if xp_of(shown) is np else False:
                self._values[ref] = shown
                return Call(step, (), Choice("view", "nothing moves"), 0)
        out = self._values[ref] = self._memory.place(ref, step.shape, step.dtype)
        make = getattr(self, f"_{step.op.name}", self._any)
        jobs, choice = make(step, inputs, out)
        return Call(step, jobs, choice, out.nbytes)

    def _finish(self, step: Step, out: Array, rows: slice = slice(None)) -> BiasResidualReLU:
        residual = None if step.residual is None else self._values[step.residual]
        if residual is not None and residual.ndim == 4:
            residual = residual[:, rows]
        return BiasResidualReLU(out, step.bias, residual, step.relu)

    def _any(self, step: Step, inputs: list[Any], out: Array) -> tuple[list[Job], Choice]:
        """Any operation: by a function that writes into `out`, or as it is and copied."""
        xp, name = xp_of(out), step.op.name
        if name == "relu":
            return [lambda: xp.maximum(inputs[0], 0, out=out)], Choice("maximum", "in place")
        own = all(getattr(i, "dtype", out.dtype) == out.dtype for i in inputs)
        if name in UFUNCS and not step.constants and own:  # of integers, NumPy's result is another
            function = getattr(xp, UFUNCS[name])
            return [lambda: function(*inputs, out=out)], Choice(UFUNCS[name], "one call")
        given = [make_tensor(i) if hasattr(i, "ndim") else i for i in inputs]
        constants = {name: self._value(value) for name, value in step.constants.items()}

        def job() -> None:
            with no_grad():
                out[...] = raw(step.op(*given, **constants))

        return [job], Choice("as it is", "no rewrite knows it")

    def _mean(self, step: Step, inputs: list[Any], out: Array) -> tuple[list[Job], Choice]:
        (x,), axis = inputs, step.constants.get("axis")
        plain = x.ndim == 4 and x.dtype in (np.float32, np.float64) and x.flags.c_contiguous
        if not plain or axis not in ((1, 2), [1, 2]):
            return self._any(step, inputs, out)
        N, H, W, C = x.shape
        share = xp_of(x).full((1, H * W), 1 / (H * W), x.dtype)
        flat, target = x.reshape(N, H * W, C), out.reshape(N, 1, C)
        return [lambda: xp_of(x).matmul(share, flat, out=target)], Choice("product", "by ones")

    def _matmul(self, step: Step, inputs: list[Any], out: Array) -> tuple[list[Job], Choice]:
        a, b = inputs
        if getattr(a, "ndim", 0) != 2 or getattr(b, "ndim", 0) != 2 or a.dtype == np.float16:
            return self._with_epilogue(step, inputs, out)
        finish = self._finish(step, out)
        job = lambda: product(xp_of(out), a, b, out, finish)  # noqa: E731
        return [job], Choice("product", "of two matrices")

    def _max_pool2d(self, step: Step, inputs: list[Any], out: Array) -> tuple[list[Job], Choice]:
        settings = {"padding": (0, 0), **step.constants, "out": out}
        settings["epilogue"] = self._finish(step, out)
        return [lambda: max_pool(inputs[0], **settings)], Choice("max_pool", "rows, then columns")

    def _conv2d(self, step: Step, inputs: list[Any], out: Array) -> tuple[list[Job], Choice]:
        x, w = inputs
        if type(step.inputs[1]) is Ref or x.dtype == np.float16 or x.dtype != w.dtype:
            return self._with_epilogue(step, inputs, out)
        geometry = step.constants.get("geometry", ConvGeometry())
        choice = constant_weights.choose_constant(x, w, out, geometry)

        def finish(part: Array, rows: slice) -> BiasResidualReLU:
            return self._finish(step, part, rows)

        jobs = constant_weights.jobs(choice, x, w, out, geometry, finish, self._shared, self._laid)
        return jobs, choice

    def _with_epilogue(self, step: Step, inputs: list[Any], out: Array) -> tuple[list[Job], Choice]:
        """An operation as it is, and after it what is joined to it."""
        finish = self._finish(step, out)
        (compute,), choice = self._any(step, inputs, out)

        def job() -> None:
            compute()
            finish(slice(None))

        return [job], choice


def run(call: Call) -> None:
    """Do a step; on several threads if it has several jobs."""
    if len(call.jobs) > 1:
        parallel(_do, call.jobs)
    else:
        for job in call.jobs:
            job()


def _do(job: Job) -> None:
    job()
