"""The modules and tensors that a function uses: its closure, its globals, what it is bound to."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

from minires.nn import Module
from minires.tensors import Tensor

DEPTH = 4
"""How many functions, objects and containers are looked into, one inside the other."""


def reachable(model: Any) -> dict[str, Module | Tensor]:
    """Modules and tensors that `model` can reach, by a name for each; a module is one itself."""
    found: dict[str, Module | Tensor] = {}
    seen: set[int] = set()
    stack: list[tuple[str, Any, int]] = [("", model, 0)]
    while stack:
        name, value, depth = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Module | Tensor):
            found[name] = value
        if depth < DEPTH and not isinstance(value, Tensor):
            parts = _inside(value)
            stack += [(f"{name}.{key}" if name else key, part, depth + 1) for key, part in parts]
    return found


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Module):  # which knows its parameters, buffers and modules itself
        for name, module in value.named_modules():
            own = {k: v for k, v in vars(module).items() if not k.startswith("_")}
            yield from ((f"{name}.{key}" if name else key, part) for key, part in own.items())
    elif isinstance(value, MethodType):
        yield from (("self", value.__self__), ("function", value.__func__))
    elif isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
        for name, cell in cells:
            try:
                yield name, cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue
        known = value.__globals__
        yield from ((name, known[name]) for name in value.__code__.co_names if name in known)
        yield from (("defaults", d) for d in value.__defaults__ or ())
    elif isinstance(value, functools.partial):
        yield from (("function", value.func), ("arguments", value.args), ("", value.keywords))
    elif isinstance(value, dict):
        yield from ((str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((str(i), part) for i, part in enumerate(value))
    elif not isinstance(value, type | ModuleType):
        yield from getattr(value, "__dict__", {}).items()
        if callable(value) and hasattr(value, "__dict__"):
            yield "call", type(value).__call__
