"""A student's objects as a driver sees them: what is done with them happens in their own thread.

A driver reads like any Python. `student.Node(x)` calls the class, `optimiser.step()` the method;
both give plain values and arrays as they are and a `Handle` for everything else. Of an instance of
a given class the attributes are read and written in its `__dict__`, whatever a student made of the
class.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

from numpy import ndarray

from minires.coursework.sandbox.guard import Direct, Worker
from minires.coursework.sandbox.values import SCALARS

_MISSING = object()
_set = object.__setattr__


class Hands:
    """What wraps and unwraps.

    Parameters
    ----------
    worker : Direct or Worker
        Who calls.
    """

    def __init__(self, worker: Direct | Worker) -> None:
        self.worker = worker
        self._fields: list[Callable[[Any], dict[str, Any]]] = []
        self._known: dict[int, Handle] = {}

    def given(self, kind: type) -> None:
        """Read the attributes of this class's instances without asking the class."""
        own = type.__dict__["__dict__"].__get__(kind).get("__dict__")
        if own is not None:
            self._fields.append(own.__get__)

    def fields(self, value: Any) -> dict[str, Any] | None:
        """The attributes of an instance of a given class, None of any other."""
        for get in self._fields:
            try:
                fields = get(value)
            except TypeError:
                continue
            for name in dict.keys(fields):
                if type(name) is not str:  # whose == might be a student's
                    raise TypeError("an attribute's name must be a str")
            return fields
        return None

    def call(self, function: Any, *args: Any, **options: Any) -> Any:
        """What a student's function returns, wrapped."""
        plain_args = [self.unwrap(a) for a in args]
        plain_options = {k: self.unwrap(v) for k, v in options.items()}
        return self.wrap(self.worker.call(self.unwrap(function), *plain_args, **plain_options))

    def wrap(self, value: Any, depth: int = 0) -> Any:
        """Plain values and arrays as they are, in lists too; a handle of all else."""
        kind = type(value)
        if value is None or kind is ndarray or kind is bool or kind is int or kind is float:
            return value
        if kind is str or kind is Handle:
            return value
        for scalar in SCALARS:
            if kind is scalar:
                return value
        if (kind is list or kind is tuple) and depth < 5:
            items = [self.wrap(v, depth + 1) for v in value]
            return items if kind is list else tuple(items)
        known = self._known.get(id(value))
        if known is None:  # which keeps the value, so that no other gets its id
            known = self._known[id(value)] = Handle(self, value)
        return known

    def unwrap(self, value: Any) -> Any:
        """What `wrap` was given."""
        kind = type(value)
        if kind is Handle:
            return value._value
        if kind is list:
            return [self.unwrap(v) for v in value]
        if kind is dict:
            return {k: self.unwrap(v) for k, v in value.items()}
        return tuple([self.unwrap(v) for v in value]) if kind is tuple else value

    def release(self) -> None:
        """Forget every object."""
        self.worker.call(self._known.clear)
        self.worker.release()

    def define(self, source: str) -> Any:
        """The value of an expression, made on the student's side."""
        return self.call(eval, source, {"__builtins__": builtins})


class Handle:
    """An object of a student's."""

    __slots__ = ("_hands", "_value")

    def __init__(self, hands: Hands, value: Any) -> None:
        _set(self, "_hands", hands)
        _set(self, "_value", value)

    def __getattr__(self, name: str) -> Any:
        fields = self._hands.fields(self._value)
        found = _MISSING if fields is None else dict.get(fields, name, _MISSING)
        if found is not _MISSING:
            return self._hands.wrap(found)
        return self._hands.call(getattr, self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self._hands.fields(self._value)
        if fields is None:
            self._hands.call(setattr, self, name, value)
        else:
            dict.__setitem__(fields, name, self._hands.unwrap(value))

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._hands.call(self._value, *args, **options)

    def __enter__(self) -> Any:
        return self._hands.call(self.__getattr__("__enter__"))

    def __exit__(self, *error: object) -> None:
        self._hands.call(self.__getattr__("__exit__"), None, None, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._hands.call(list, self))

    def __getitem__(self, index: Any) -> Any:
        return self._hands.call(_item, self, index)

    def __len__(self) -> int:
        return len(self._hands.call(list, self))


def _item(value: Any, index: Any) -> Any:
    return value[index]


class Student:
    """The names that a student's code defined, as attributes.

    Parameters
    ----------
    hands : Hands
    names : dict
    """

    def __init__(self, hands: Hands, names: dict[str, Any]) -> None:
        self._hands, self._names = hands, names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise NameError(f"{name} is not defined")
        return self._hands.wrap(self._names[name])
