"""What a call may change beside its result: modules' state and random generators.

Batch norm moves its running statistics, dropout advances a generator, a student's layer appends to
a list. A numerical derivative calls a function hundreds of times and must see the same function
each time; and afterwards everything must be as it was, bit for bit.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, Self

import numpy as np  # host arithmetic in float64

from minires import random
from minires.engine import Op
from minires.tensors import Tensor


def is_module(value: Any) -> bool:
    """Whether it has a Module's methods."""
    methods = ("modules", "named_parameters")
    return not isinstance(value, type) and all(callable(getattr(value, m, None)) for m in methods)


@dataclass
class Found:
    """What a function works with beside its arguments.

    Attributes
    ----------
    modules : dict
        Modules by the name that the function knows them by; "" for itself.
    tensors : dict
        Tensors likewise, those inside modules and objects left out.
    objects : list
        Other objects whose attributes a call may change.
    """

    modules: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    objects: list[Any] = field(default_factory=list)


def look_around(fn: Callable[..., Any]) -> Found:
    """What `fn` is, is bound to and refers to: also by way of helpers in its file and containers.

    Objects count if their class is defined in the function's file; minires' own are left alone.
    """
    found = Found()
    home = getattr(fn, "__module__", None) or ""
    _look("", fn, "" if home.startswith("minires.") else home, found, set())
    return found


def _look(name: str, value: Any, home: str, found: Found, seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    inside: dict[str, Any] = {}
    if is_module(value):
        found.modules[name] = value
    elif isinstance(value, Tensor):
        found.tensors[name] = value
    elif isinstance(value, functools.partial):
        inside = {f"argument {i}": item for i, item in enumerate(value.args)} | value.keywords
        inside |= {name: value.func}
    elif inspect.ismethod(value):
        inside = {"self": value.__self__, name: value.__func__}
    elif inspect.isfunction(value):
        if (value.__module__ or "") == home:
            inside = _referred_to(value)
    elif isinstance(value, Op):
        inside = {name: value.forward}
    elif type(value) in (list, tuple):
        inside = {f"{name}[{i}]": item for i, item in enumerate(value)}
    elif type(value) is dict:
        inside = {f"{name}[{key!r}]": item for key, item in value.items()}
    elif type(value).__module__ == home and hasattr(value, "__dict__"):
        found.objects.append(value)
        inside = {f"{name}.{key}".lstrip("."): item for key, item in vars(value).items()}
        inside |= {name: inspect.getattr_static(value, "__call__", None)}
    for label, item in inside.items():
        _look(label, item, home, found, seen)


def _referred_to(function: FunctionType) -> dict[str, Any]:
    """The variables from outside that a function's body names, by name."""
    named: dict[str, Any] = {}
    for variable, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True
    ):
        with suppress(ValueError):  # a variable that has no value yet
            named[variable] = cell.cell_contents
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for instruction in dis.get_instructions(code):  # co_names would list attributes too
            variable = instruction.argval
            if instruction.opname == "LOAD_GLOBAL" and variable in function.__globals__:
                named.setdefault(variable, function.__globals__[variable])
    return named


class Surroundings:
    """Modules in float64 and random generators, wound back before each call; a context manager.

    Parameters
    ----------
    found : Found
    """

    def __init__(self, found: Found) -> None:
        modules = found.modules.values()
        unique = {id(inner): inner for module in modules for inner in module.modules()}
        unique |= {id(value): value for value in found.objects}
        self._tables = [(vars(m), dict(vars(m))) for m in unique.values()]
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        tensors = {id(t): t for t in found.tensors.values()}
        arrays: dict[int, Any] = {}
        for _, attributes in self._tables:
            for value in _values(attributes, self._lists, self._dicts):
                if isinstance(value, Tensor):
                    tensors[id(value)] = value
                elif isinstance(value, np.ndarray):
                    arrays[id(value)] = value
        self._originals = [(t, t.data, t.node) for t in tensors.values()]
        self._working = [(t, _float64(t.data)) for t in tensors.values()]
        self._start = [(t, data.copy()) for t, data in self._working]
        self._arrays = [(a, a.copy()) for a in arrays.values()]
        self._generator_state = random.generator().bit_generator.state
        self._numpy_state: Any = np.random.get_state()  # noqa: NPY002 (what students' dropout may use)
        self._draws = True  # whether a call may have advanced a generator

    def rewind(self) -> None:
        """Bring everything back to where the check started."""
        self._restore_containers()
        for (tensor, data), (_, start) in zip(self._working, self._start, strict=True):
            data[...] = start
            tensor.data = data
        if self._draws:
            self._restore_generators()

    def watch_draws(self) -> None:
        """After a first call: if it has drawn nothing, spare all later calls the winding back."""
        same = random.generator().bit_generator.state == self._generator_state
        ours: Any = self._numpy_state
        now: Any = np.random.get_state()  # noqa: NPY002
        self._draws = not (same and ours[2:] == now[2:] and np.array_equal(ours[1], now[1]))

    def __enter__(self) -> Self:
        for tensor, _, _ in self._originals:
            if not tensor.is_leaf:  # a constant here: no gradient is to go where it came from
                tensor.node = None
        self.rewind()
        return self

    def __exit__(self, *_: object) -> None:
        self._restore_containers()
        for tensor, data, node in self._originals:
            tensor.data, tensor.node = data, node
        self._restore_generators()

    def _restore_containers(self) -> None:
        for table, entries in [*self._tables, *self._dicts]:
            table.clear()
            table.update(entries)
        for container, items in self._lists:
            container[:] = items
        for array, values in self._arrays:
            array[...] = values

    def _restore_generators(self) -> None:
        random.generator().bit_generator.state = self._generator_state
        np.random.set_state(self._numpy_state)  # noqa: NPY002


def _values(
    attributes: dict[str, Any],
    lists: list[tuple[list[Any], list[Any]]],
    dicts: list[tuple[dict[Any, Any], dict[Any, Any]]],
) -> Iterator[Any]:
    """A module's attributes and what is in its lists and dicts, which are noted with a copy."""
    for value in attributes.values():
        yield value
        if type(value) is list:
            lists.append((value, list(value)))
            yield from value
        elif type(value) is dict:
            dicts.append((value, dict(value)))
            yield from value.values()


def _float64(array: Any) -> Any:
    """A copy, in float64 if it is floating."""
    return array.astype(np.float64 if array.dtype.kind == "f" else array.dtype)  # astype copies
