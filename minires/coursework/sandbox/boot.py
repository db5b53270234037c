"""Starts a child: loads its parts where a student's code does not find them, then serves.

The parts get a copy of the builtins, and leave `sys.modules` before the first line of a student's:
whoever sets `builtins.all` anew, or changes a module of the grader's name, changes nothing of them.
`ctypes` is not there, for NumPy neither, which can do without.
"""

from __future__ import annotations

import builtins
import sys
from types import ModuleType

PARTS = ("wire", "values", "guard", "handles", "script", "child")


def parts(folder: str) -> ModuleType:
    """The module `child` from a folder that holds the parts' files."""
    sys.modules["ctypes"] = None  # type: ignore[assignment]
    own = dict(vars(builtins))
    packages = ["minires", "minires.coursework", "minires.coursework.sandbox"]
    names = [*packages, *(f"{packages[-1]}.{part}" for part in PARTS)]
    for name in names:
        module = sys.modules[name] = ModuleType(name)
        if name not in packages:
            module.__dict__["__builtins__"] = own
            path = f"{folder}/{name.rpartition('.')[2]}.py"
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib imports ever so much
                exec(compile(file.read(), path, "exec"), module.__dict__)
    for name in names:
        del sys.modules[name]
    return module
