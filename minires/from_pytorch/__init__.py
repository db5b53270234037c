"""From PyTorch to minires: what to write here for a name that only PyTorch has.

An attribute that is not found asks for its error here, and that asks the table, which is also
docs/from-pytorch.md. The table is read when a name of PyTorch's may have been meant, never before.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from functools import wraps
from inspect import CO_VARKEYWORDS, isfunction
from types import ModuleType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
_KNOWING: set[Any] = set()
"""The functions that know PyTorch's keywords."""


def no_attribute(namespace: str, owner: Any, name: str) -> AttributeError:
    """The error for a name that `owner` lacks: Python's own, or a hint where PyTorch has it.

    Parameters
    ----------
    namespace : str
        Where PyTorch has such names: `"torch"`, `"Tensor"`, `"nn"`, `"nn.functional"`, ...
    owner : module or object
        What was looked into.
    name : str
    """
    is_module = isinstance(owner, ModuleType)
    if not name.startswith("_"):  # else a probe of Python's, NumPy's or IPython's
        from minires.from_pytorch.table import find

        if hint := find(namespace, name):
            where = owner.__name__ if is_module else type(owner).__name__
            return AttributeError(f"{where} has no `{name}`: {hint}")
    where = f"module {owner.__name__!r}" if is_module else f"{type(owner).__name__!r} object"
    return AttributeError(f"{where} has no attribute {name!r}", name=name, obj=owner)


def module_getattr(
    namespace: str, module: str, later: Collection[str] = ()
) -> Callable[[str], ModuleType]:
    """A module's `__getattr__`, which is called for the names that it lacks.

    Those in `later` are modules of its own, which are imported when they are first asked for. The
    module gets a path, below which Python looks for others: so `from ... import` has the hints too.
    """
    vars(sys.modules[module]).setdefault("__path__", [])

    def getattr_of_module(name: str) -> ModuleType:
        if name in later:
            return importlib.import_module(f"{module}.{name}")
        raise no_attribute(namespace, sys.modules[module], name)

    return getattr_of_module


def pytorchs_keywords(function: F) -> F:
    """`function`, which knows the keywords that only PyTorch's has.

    One whose value changes nothing is left out, and for any other the error says what to write
    instead. The table of them, `keywords`, is read when Python has refused a call, never before.
    A function that knows them already is given back as it is.
    """
    if function in _KNOWING:
        return function

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise  # by what the function does, not by the call itself
            from minires.from_pytorch.keywords import understood

            known = understood(function, args, kwargs, error)
        return function(*args, **known)

    _KNOWING.add(call)
    return cast(F, call)


class PyTorchsKeywords:
    """What has methods that know PyTorch's keywords, in this library: `forward` is the user's.

    Of a class whose methods are called often, such as Tensor, only those that have named parameters
    and leave it to Python which others they are given: `x.exp()` is not to pay for it, and
    `x.sum(axis=1, **torch)` looks at other names itself.
    """

    __slots__ = ()

    def __init_subclass__(cls, called_often: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("minires."):
            public = {name: f for name, f in vars(cls).items() if isfunction(f)}
            for name, function in public.items():
                told = not name.startswith("_") and name != "forward"
                if name == "__init__" or (told and (not called_often or _takes_names(function))):
                    setattr(cls, name, pytorchs_keywords(function))


def _takes_names(function: Any) -> bool:
    code = function.__code__
    named: bool = code.co_argcount + code.co_kwonlyargcount > 1  # beside self
    return named and not code.co_flags & CO_VARKEYWORDS


class KnownKeys(dict[str, Any]):
    """A dict whose KeyError says what to write for a key that only PyTorch's has."""

    whose = ""

    def __missing__(self, key: Any) -> Any:
        from minires.from_pytorch.keywords import table

        hint = table().get(f"{self.whose}.{key}")
        raise KeyError(f"no {key!r} here: {hint}" if hint else key)


def all_with_pytorchs_keywords(names: dict[str, Any], package: str) -> None:
    """Let the public functions of a module or package, among these names, know those keywords."""
    for name, value in names.items():
        own = isfunction(value) and value.__module__.startswith(package)
        if own and not name.startswith("_"):
            names[name] = pytorchs_keywords(value)
