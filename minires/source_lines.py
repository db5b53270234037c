"""The line of a user's program that called an operation: errors and steppers name it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType

_PACKAGE = Path(__file__).parent
_CALLED_BY_USERS = {
    *("ops", "nn", "from_pytorch"),
    *("engine.py", "tensors.py", "creation.py", "torch_methods.py", "torch_functions.py"),
}
_inside: dict[str, bool] = {}


def calling_line() -> tuple[CodeType, int]:
    """The line outside the engine, operations, tensor and layers that called an operation."""
    frame = sys._getframe(2)  # of what called `Op.__call__`
    while True:
        name = frame.f_code.co_filename
        inside = _inside.get(name)
        if inside is None:
            inside = _inside[name] = _is_inside(name)
        if not inside or frame.f_back is None:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back


def _is_inside(name: str) -> bool:
    path = Path(name)
    return path.is_relative_to(_PACKAGE) and path.relative_to(_PACKAGE).parts[0] in _CALLED_BY_USERS


def line_of(code: CodeType, instruction: int) -> str:
    """The line of an instruction, as `file:line`."""
    lines = [line for start, end, line in code.co_lines() if start <= instruction < end]
    return f"{code.co_filename}:{lines[0] if lines else code.co_firstlineno}"
