"""The operations that a model runs, written down: no Module, no Tensor, no Python in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any, NoReturn

import numpy as np  # legacy random state, and comparing buffers

from minires import random, writes
from minires.backend import Array
from minires.engine import Op, no_grad, raw
from minires.nn.module import Module
from minires.observers import observe
from minires.source_lines import calling_line, line_of
from minires.tensors import Tensor


class RecordingError(ValueError):
    """The model does something that a list of operations cannot repeat."""


class Ref(int):
    """The number of a value in a recording, where an argument may also be a number."""


@dataclass(frozen=True)
class Leaf:
    """A tensor of the model that an operation reads: its value is looked up when it is needed."""

    name: str
    tensor: Tensor


@dataclass(frozen=True)
class Recorded:
    """One operation.

    Attributes
    ----------
    op : Op
    inputs : list
        For each argument a Ref, a Leaf, or a constant: an array or a number.
    constants : dict
        The operation's keywords.
    out : Ref
    shape, dtype
        Of its result.
    where : (code, instruction)
        The line that called it: see `source_lines`.
    """

    op: Op
    inputs: list[Any]
    constants: dict[str, Any]
    out: Ref
    shape: tuple[int, ...]
    dtype: Any
    where: tuple[CodeType, int]


@dataclass(frozen=True)
class Recording:
    """What a model does to an input: `inputs` and `outputs` say which values these are.

    `outputs` has the structure of what the model returned, with Refs for Tensors; `results` are
    the arrays that came out.
    """

    inputs: list[Ref]
    steps: list[Recorded]
    outputs: Any
    results: list[Array]


class Traced(Tensor):
    """A result while a model is recorded: it does not tell what its numbers are."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise RecordingError(
            f"{line_of(*calling_line())} looks at the numbers of a result, which a list of "
            "operations cannot repeat for other inputs"
        )

    data = property(_refuse, _refuse)
    __bool__ = __float__ = __int__ = __index__ = __array__ = _refuse
    item = numpy = tolist = _refuse

    def __repr__(self) -> str:
        return f"Tensor(recorded, shape={self.shape}, dtype={self.dtype})"


def record(model: Callable[..., Any], examples: Sequence[Array]) -> Recording:
    """Run `model` once on the examples, without a graph, and write down what it does.

    Raises
    ------
    RecordingError
        If it looks at numbers, draws random ones, changes its state, has hooks, is in training
        mode, or returns something else than Tensors; the message names the line.
    """
    names = _leaves(model)
    numbers: dict[int, Ref] = {id(array): Ref(i) for i, array in enumerate(examples)}
    alive: list[Any] = [
        *examples,
        *(leaf.tensor.array for leaf in names.values()),
    ]  # ids are theirs
    steps: list[Recorded] = []

    def write(op: Op, arrays: Sequence[Any], constants: dict[str, Any], out: Tensor) -> None:
        inputs = [numbers.get(id(a), names.get(id(a), a)) for a in arrays]
        number = numbers[id(out.array)] = Ref(len(examples) + len(steps))
        out.__class__ = Traced
        alive.extend((arrays, out.array))
        where = calling_line()
        steps.append(
            Recorded(op, inputs, dict(constants), number, out.shape, out.array.dtype, where)
        )

    given = [Tensor(array) for array in examples]
    for tensor in given:
        tensor.__class__ = Traced
    with no_grad(), observe(write), _nothing_drawn(), _nothing_set(model):
        returned = model(*given)
    results: list[Array] = []
    outputs = _structure(returned, numbers, results)
    return Recording([Ref(i) for i in range(len(examples))], steps, outputs, results)


def _leaves(model: Any) -> dict[int, Leaf]:
    """The model's parameters and buffers, by the ids of their arrays."""
    if not isinstance(model, Module):
        return {}
    for name, module in model.named_modules():
        where = f"{name or 'the model'} ({type(module).__name__})"
        if module.training:
            raise RecordingError(f"{where} is in training mode: call eval() first")
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            raise RecordingError(f"{where} has hooks, which a list of operations does not call")
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {id(tensor.array): Leaf(name, tensor) for name, tensor in tensors}


def _structure(value: Any, numbers: dict[int, Ref], results: list[Array]) -> Any:
    """`value` with Refs in place of its Tensors, whose arrays are added to `results`."""
    if isinstance(value, Tensor):
        if id(value.array) not in numbers:
            raise RecordingError("the model returns a Tensor that no operation on its input made")
        results.append(value.array)
        return numbers[id(value.array)]
    if isinstance(value, tuple | list):
        return type(value)([_structure(v, numbers, results) for v in value])
    if isinstance(value, dict):
        return {key: _structure(v, numbers, results) for key, v in value.items()}
    raise RecordingError(f"the model returns a {type(value).__name__}, not Tensors")


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    """An error if random numbers are drawn inside the block."""
    mine, generator = threading.get_ident(), random.generator

    def refuse() -> np.random.Generator:
        if threading.get_ident() != mine:
            return generator()
        raise RecordingError(f"{line_of(*calling_line())} draws random numbers")

    before: Any = np.random.get_state()  # noqa: NPY002 (what a model's own code may use)
    random.generator = refuse
    try:
        yield
    finally:
        random.generator = generator
    after: Any = np.random.get_state()  # noqa: NPY002
    if before[2] != after[2] or not np.array_equal(before[1], after[1]):
        raise RecordingError("the model draws random numbers from np.random")


@contextmanager
def _nothing_set(model: Any) -> Iterator[None]:
    """An error if a module's attributes or the values of its tensors change inside the block."""
    modules = dict(model.named_modules()) if isinstance(model, Module) else {}
    tensors = {f"{n}.{k}": t for n, m in modules.items() for k, t in m._buffers.items()}
    before = {name: raw(tensor).copy() for name, tensor in tensors.items() if tensor is not None}
    mine, assign, time = threading.get_ident(), Module.__setattr__, writes.tick()

    def refuse(self: Module, name: str, value: Any) -> None:
        if threading.get_ident() != mine:
            assign(self, name, value)
            return
        raise RecordingError(
            f"{line_of(*calling_line())} sets {name} of a {type(self).__name__}: a list of "
            "operations does not repeat that"
        )

    Module.__setattr__ = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        Module.__setattr__ = assign  # type: ignore[method-assign]
    everything = dict(model.named_parameters()) if isinstance(model, Module) else {}
    changed = [n for n, a in before.items() if not np.array_equal(raw(a), raw(tensors[n]))]
    changed += [n for n, t in everything.items() if writes.since(t.array, time)]
    if changed:
        raise RecordingError(f"the model writes to its {', '.join(changed)}")
