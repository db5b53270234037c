"""What the declared cases call: every operation with the very arrays and constants that it gets.

The declarations of `minires.gradcheck.cases` are functions and their inputs. Other tests want the
operation itself, to hold it against a definition, another library or another device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from minires import Tensor, ops
from minires.engine import Op, raw, registry
from minires.gradcheck.cases import OPERATIONS
from minires.scalars import as_array


class Call(NamedTuple):
    """One call of an operation: `function(name)(*args, **static)`.

    Attributes
    ----------
    name : str
    args : tuple
        Floating arrays are differentiable; lists and tuples may hold some.
    static : dict
    origin : str
        The declared case that made it.
    """

    name: str
    args: tuple[Any, ...]
    static: dict[str, Any]
    origin: str


def own() -> dict[str, Op]:
    """The differentiable operations by name, those that only gradients call among them."""
    return {o.name: o for key, o in registry.items() if key.startswith("minires.ops.") and o.rule}


def function(name: str) -> Callable[..., Any]:
    """The operation, or the public function of operations, of that name."""
    return own().get(name) or getattr(ops, name)


@cache
def calls(name: str) -> list[Call]:
    """Every call of `function(name)` in its declared cases."""
    seen: list[Call] = []
    target = function(name)

    def note(origin: str, args: Any, static: dict[str, Any]) -> None:
        seen.append(Call(name, mapped(args, lambda a: as_array(raw(a))), dict(static), origin))

    for case in OPERATIONS[name]:
        text = str(case)
        inputs = [Tensor(a) if is_floating(a) else a for a in case.inputs]
        if isinstance(target, Op):
            run = target.forward

            def noted(*args: Any, run: Any = run, text: str = text, **static: Any) -> Any:
                note(text, args, static)
                return run(*args, **static)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(target, "forward", noted)
                case.function(*inputs, **case.options)
        elif case.function is target:
            note(text, tuple(inputs), case.options)
        else:

            def called(*args: Any, text: str = text, **static: Any) -> Any:
                note(text, args, static)
                return target(*args, **static)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ops, name, called)
                case.function(*inputs, **case.options)
    return seen


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`change` of everything in nested tuples and lists."""
    if isinstance(value, tuple | list):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return change(value)


def leaves(value: Any) -> list[Any]:
    """Everything in nested tuples and lists, in order."""
    found: list[Any] = []
    mapped(value, found.append)
    return found


def is_floating(value: Any) -> bool:
    """Whether it is an array that has a gradient."""
    return isinstance(value, np.ndarray | Tensor) and value.dtype.kind == "f"
