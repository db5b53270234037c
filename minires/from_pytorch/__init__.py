"""From PyTorch to minires: what to write here for a name that only PyTorch has.

An attribute that is not found asks for its error here, and that asks the table, which is also
docs/from-pytorch.md. The table is read when a name of PyTorch's may have been meant, never before.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any


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

    Those in `later` are modules of its own, which are imported when they are first asked for.
    """

    def getattr_of_module(name: str) -> ModuleType:
        if name in later:
            return importlib.import_module(f"{module}.{name}")
        raise no_attribute(namespace, sys.modules[module], name)

    return getattr_of_module
