"""A recording with its constants computed: what is left are the steps that need the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from minires.backend import Array
from minires.engine import Op, make_tensor, raw
from minires.grad_mode import no_grad
from minires.model_recording import Leaf, Recording, Ref
from minires.structures import leaves, mapped


@dataclass
class Step:
    """One operation, and what the rewrites have joined to it.

    Attributes
    ----------
    op : Op
    inputs : list
        For each argument the Ref of a value, or a constant: an array or a number.
    constants : dict
        The operation's keywords.
    shape, dtype
        Of what it makes, the end of what is joined.
    joined : list of str
        Names of the operations that are joined, in their order.
    bias : (C,) array, optional
        Added to each position.
    residual : Ref, optional
        A value of this shape that is added after that.
    relu : bool
        Whether its ReLU is taken at the end.
    """

    op: Op
    inputs: list[Any]
    constants: dict[str, Any]
    shape: tuple[int, ...]
    dtype: Any
    joined: list[str] = field(default_factory=list)
    bias: Array | None = None
    residual: Ref | None = None
    relu: bool = False

    @property
    def name(self) -> str:
        """Of the operation, followed by what is joined."""
        return " + ".join([self.op.name.lstrip("_"), *self.joined])

    def reads(self) -> list[Ref]:
        """The values that it needs."""
        needed = [i for i in (*self.inputs, *self.constants.values()) if type(i) is Ref]
        return needed if self.residual is None else [*needed, self.residual]

    def multiply_adds(self) -> int:
        """Of a convolution or a product; 0 for all else, which is not counted."""
        if self.op.name not in ("conv2d", "matmul"):
            return 0
        w = self.inputs[1]
        shape = w.shape if hasattr(w, "shape") else ()
        depth = prod(shape[:-1]) if self.op.name == "conv2d" else (shape or (1, 1))[-2:][0]
        return prod(self.shape) * depth


Steps = dict[Ref, Step]
"""By the value that each makes, in the order in which they run."""


@dataclass
class Program:
    """Steps from inputs to outputs.

    Attributes
    ----------
    inputs : list of Ref
    shapes : list of (shape, dtype)
        Of the inputs.
    steps : Steps
    outputs : Any
        The structure that the model returns, with a Ref or a constant array for each Tensor.
    """

    inputs: list[Ref]
    shapes: list[tuple[tuple[int, ...], Any]]
    steps: Steps
    outputs: Any

    def lines(self) -> list[str]:
        """Each step in a few words."""
        return [f"{s.name} {'x'.join(map(str, s.shape))}" for s in self.steps.values()]

    def results(self) -> list[Any]:
        """The Refs, or constant arrays, of all Tensors that the model returns."""
        return leaves(self.outputs)

    def uses(self) -> Counter[Ref]:
        """How many steps and outputs need each value."""
        needed = Counter(ref for step in self.steps.values() for ref in step.reads())
        needed.update(ref for ref in self.results() if type(ref) is Ref)
        return needed


def program(recording: Recording, examples: Iterable[Array]) -> Program:
    """The steps of a recording that depend on its inputs; all else is computed here, once.

    So is what becomes of a model's weights before they meet an image, such as the scale and shift
    of a batch norm in evaluation.
    """
    known: dict[Ref, Array] = {}
    steps: Steps = {}
    with no_grad():
        for recorded in recording.steps:
            inputs = [_resolved(i, known) for i in recorded.inputs]
            constants = {name: _resolved(c, known) for name, c in recorded.constants.items()}
            if any(type(i) is Ref for i in (*inputs, *constants.values())):
                steps[recorded.out] = Step(
                    recorded.op, inputs, constants, recorded.shape, recorded.dtype
                )
            else:
                tensors = [make_tensor(i) if hasattr(i, "ndim") else i for i in inputs]
                known[recorded.out] = raw(recorded.op(*tensors, **constants))
    shapes = [(array.shape, array.dtype) for array in examples]
    outputs = mapped(lambda ref: known.get(ref, ref), recording.outputs)
    return Program(recording.inputs, shapes, steps, outputs)


def _resolved(value: Any, known: dict[Ref, Array]) -> Any:
    if isinstance(value, Leaf):
        return value.tensor.array
    return known.get(value, value) if type(value) is Ref else value


def is_vector(value: Any, length: int) -> bool:
    """Whether it is a constant with a number for each of so many channels."""
    return getattr(value, "shape", None) == (length,)
