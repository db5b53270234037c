"""What the solutions take from the notebooks: definitions with all that these need."""

import ast
import os
from functools import cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent.parent / "notebooks" / "src"
FULL = os.environ.get("MINIRES_SOLUTIONS") == "full"


def sized(small: Any, full: Any) -> Any:
    """`small` in tests, `full` where `MINIRES_SOLUTIONS=full` is set: steps, seeds, images."""
    return full if FULL else small


@cache
def statements(number: str) -> list[ast.stmt]:
    """All statements of a notebook's source, outside of functions."""
    (path,) = SOURCES.glob(f"{number}_*.py")
    return ast.parse(path.read_text(encoding="utf-8"), str(path)).body


def _names(node: ast.AST, kind: type) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, kind)}


def _free(statement: ast.stmt) -> set[str]:
    """The names that a statement takes from outside: what a function binds itself is its own."""
    own = {n.arg for n in ast.walk(statement) if isinstance(n, ast.arg)}
    return _names(statement, ast.Load) - _names(statement, ast.Store) - own


def defined(statement: ast.stmt) -> set[str]:
    """The names that a statement binds where it stands."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).partition(".")[0] for a in statement.names}
    return _names(statement, ast.Store) if isinstance(statement, ast.Assign) else set()


def from_notebook(number: str, *wanted: str) -> list[Any]:
    """Objects of these names, as a notebook defines them first, and nothing else of it run.

    Only imports, functions, classes and plain assignments are taken, and of each name the first
    definition: an experiment that reuses a name later changes nothing.

    Raises
    ------
    KeyError
        If the notebook defines no such name.
    """
    first: dict[str, int] = {}
    for place, statement in enumerate(statements(number)):
        for name in defined(statement):
            first.setdefault(name, place)
    if unknown := [name for name in wanted if name not in first]:
        raise KeyError(f"notebook {number} defines no {', '.join(unknown)}")
    needed: set[int] = set()
    open_names = list(wanted)
    while open_names:
        place = first.get(open_names.pop())
        if place is not None and place not in needed:
            needed.add(place)
            open_names += _free(statements(number)[place])
    space: dict[str, Any] = {"__name__": f"notebook_{number}"}
    body = [statements(number)[place] for place in sorted(needed)]
    exec(compile(ast.Module(body, []), f"notebook {number}", "exec"), space)
    return [space[name] for name in wanted]
