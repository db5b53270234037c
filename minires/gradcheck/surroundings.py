"""What a call may change beside its result: modules' state and random generators.

Batch norm moves its running statistics, dropout advances a generator, a student's layer appends to
a list. A numerical derivative calls a function hundreds of times and must see the same function
each time; and afterwards everything must be as it was, bit for bit.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np  # host arithmetic in float64

from minires import random
from minires.tensor import Tensor


def is_module(value: Any) -> bool:
    """Whether it has a Module's methods."""
    methods = ("modules", "named_parameters")
    return not isinstance(value, type) and all(callable(getattr(value, m, None)) for m in methods)


def modules_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """The modules that a function works with, by the name that it knows them by.

    `fn` itself (the name is then empty), the module whose method it is, those that a
    `functools.partial` binds, and those that its body refers to.
    """
    found: dict[str, Any] = {}
    if is_module(fn):
        return {"": fn}
    if isinstance(fn, functools.partial):
        found |= modules_of(fn.func)
        values = {f"argument {i}": value for i, value in enumerate(fn.args)} | fn.keywords
    else:
        values = {"self": getattr(fn, "__self__", None)}
        plain = getattr(fn, "__func__", fn)
        if inspect.isfunction(plain):
            names = inspect.getclosurevars(plain)
            values |= {**names.globals, **names.nonlocals}
    found |= {name: value for name, value in values.items() if is_module(value)}
    return found


class Surroundings:
    """Modules in float64 and random generators, wound back before each call; a context manager.

    Parameters
    ----------
    modules : iterable
        Each with a method `modules()` that gives it and all inside.
    """

    def __init__(self, modules: list[Any]) -> None:
        unique = {id(inner): inner for module in modules for inner in module.modules()}
        self._tables = [(vars(m), dict(vars(m))) for m in unique.values()]
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        tensors: dict[int, Tensor] = {}
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
