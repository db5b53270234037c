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
from minires.engine import Op, raw
from minires.grad_mode import no_grad
from minires.nn.module import Module, Parameter, dotted
from minires.observers import observe
from minires.reachable import reachable
from minires.source_lines import calling_line, line_of
from minires.structures import leaves, mapped
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
    check_modules(model)
    names = {id(leaf.tensor.array): leaf for leaf in model_leaves(model)}
    examples, time = [array.copy() for array in examples], writes.tick()  # each an array of its own
    numbers: dict[int, Ref] = {id(array): Ref(i) for i, array in enumerate(examples)}
    alive: list[Any] = [
        *examples,
        *(leaf.tensor.array for leaf in names.values()),
    ]  # ids are theirs
    steps: list[Recorded] = []
    results_of: set[int] = {id(writes.owner(array)) for array in examples}

    def write(op: Op, arrays: Sequence[Any], constants: dict[str, Any], out: Tensor) -> None:
        inputs = [numbers.get(id(a), names.get(id(a), a)) for a in arrays]
        constants = {
            name: numbers.get(id(value.array), value.array) if isinstance(value, Tensor) else value
            for name, value in constants.items()
        }
        taken = [a for a in (*inputs, *leaves(list(constants.values()))) if hasattr(a, "strides")]
        if any(id(writes.owner(array)) in results_of for array in taken):
            raise RecordingError(
                f"{line_of(*calling_line())} computes with the numbers of a result outside of any "
                "operation (such as an index, or which of several is the largest), which a list "
                "of operations cannot repeat for other inputs"
            )
        owned = writes.owner(out.array)
        results_of.add(id(owned))
        alive.append(owned)
        number = numbers[id(out.array)] = Ref(len(examples) + len(steps))
        out.__class__ = Traced
        alive.extend((arrays, out.array))
        where = calling_line()
        steps.append(Recorded(op, inputs, constants, number, out.shape, out.array.dtype, where))

    given = [Tensor(array) for array in examples]
    for tensor in given:
        tensor.__class__ = Traced
    with no_grad(), observe(write), _nothing_drawn(), _nothing_set(model):
        returned = model(*given)
    results: list[Array] = []

    def reference(value: Any) -> Ref:
        if not isinstance(value, Tensor):
            raise RecordingError(f"the model returns a {type(value).__name__}, not Tensors")
        if id(value.array) not in numbers:
            raise RecordingError("the model returns a Tensor that no operation on its input made")
        results.append(value.array)
        return numbers[id(value.array)]

    outputs = mapped(reference, returned)
    used = {
        *leaves(outputs),
        *(i for s in steps for i in (*s.inputs, *s.constants.values()) if type(i) is Ref),
    }
    for i, array in enumerate(examples):
        if writes.since(array, time):
            raise RecordingError(f"the model writes to its input {i}")
        if array.dtype.kind != "f" and Ref(i) not in used:
            raise RecordingError(
                f"input {i}, of {array.dtype}, takes no part in any operation: what its numbers "
                "say (labels, an index) a list of operations cannot repeat for others"
            )
    return Recording([Ref(i) for i in range(len(examples))], steps, outputs, results)


def alike(one: Recording, other: Recording) -> bool:
    """Whether both do the same, with the same tensors of the model and the same constants."""

    def what(recording: Recording) -> list[dict[str, Any]]:
        # but for the lines: an instruction's place changes as Python specialises it
        return [{k: v for k, v in vars(s).items() if k != "where"} for s in recording.steps]

    return same(what(one), what(other)) and same(one.outputs, other.outputs)


def same(a: Any, b: Any) -> bool:
    """Whether two constants, arguments or structures of them are equal."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Leaf):
        return a.tensor is b.tensor
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if hasattr(a, "strides"):
        fits = (a.shape, a.dtype) == (b.shape, b.dtype)
        return fits and bool(((a == b) | ((a != a) & (b != b))).all())  # NaN is NaN
    return bool(a == b)


def model_leaves(model: Any) -> list[Leaf]:
    """The parameters and buffers of the modules that `model` is or uses, and its own tensors."""
    found = []
    for prefix, value in reachable(model).items():
        if isinstance(value, Tensor):
            found.append(Leaf(prefix, value))
            continue
        for name, module in value.named_modules(prefix):
            tensors = module._parameters | module._buffers
            found += [Leaf(dotted(name, key), t) for key, t in tensors.items() if t is not None]
    return found


def check_modules(model: Any) -> None:
    """Raise a RecordingError if a module of the model is in training mode or has hooks."""
    for prefix, value in reachable(model).items():
        for name, module in value.named_modules(prefix) if isinstance(value, Module) else ():
            where = f"{name or 'the model'} ({type(module).__name__})"
            if module.training:
                raise RecordingError(f"{where} is in training mode: call eval() first")
            if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
                raise RecordingError(f"{where} has hooks, which a list of operations does not call")


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
    tensors = model_leaves(model)
    before = [(leaf, leaf.tensor.array.copy()) for leaf in tensors if _is_buffer(leaf)]
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
    changed = [f.name for f, array in before if not same(array, raw(f.tensor))]
    changed += [f.name for f in tensors if writes.since(f.tensor.array, time)]
    if changed:
        raise RecordingError(f"the model writes to its {', '.join(dict.fromkeys(changed))}")


def _is_buffer(leaf: Leaf) -> bool:
    return not isinstance(leaf.tensor, Parameter)
