"""Cells as statements: which of a notebook's run when one question is graded.

Of the answer's own cell ("all") every statement runs. Of other cells ("needed") those run that the
answer needs: imports, functions and classes, and what gives or changes a name that the answer uses,
directly or through others. So an experiment costs nothing, however long it takes. Of cells that had
been given ("missing"), whose right text runs already, only what gives a name that nothing else
does.

What IPython takes and Python does not, such as `%time` and `!ls`, is left out where the parser
trips over it.
"""

from __future__ import annotations
import __future__

import ast
import dis
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

LAZY = __future__.annotations.compiler_flag
"""Annotations are not evaluated: they may name what cannot be imported here."""

TIMING = re.compile(r"%%(time|timeit|capture|prun|memit|debug)\b")
"""Magics of cells whose rest is Python."""
TIMED = re.compile(r"^(\s*(?:[\w\s,.*]+=\s*)?)%time\s+(?=\w)")
IPYTHON = re.compile(r"\s*(%|!|\?)|\s*[\w.]+\?{1,2}\s*$|[\w\s,.*\[\]\"'()]+=\s*(%|!)")
NO_PYTHON = "IPython's commands are not run when work is graded"

FLOAT32 = frozenset({"float32", "single", "f4", "<f4"})


@dataclass
class Statement:
    """One statement of a cell.

    Attributes
    ----------
    cell : str
    code : CodeType or None
        None where there is an `error` instead.
    error : BaseException or None
    how : str
        Of the cell: "all", "needed" or "missing".
    gives : set of str
        The names that it binds.
    changes, touches : set of str
        The names of whose objects it sets attributes or items; that it perhaps changes by a call.
    uses : set of str
        Of all that it reads, when it runs and when its functions are called.
    calls : str
        The function that it is a call of, and nothing else.
    is_import, is_definition : bool
    blank : bool
        Whether it is a given function or class without the student's part.
    stars : bool
        Whether it imports names that are not said.
    """

    cell: str
    code: CodeType | None = None
    error: BaseException | None = None
    how: str = "all"
    gives: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    touches: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    calls: str = ""
    is_import: bool = False
    is_definition: bool = False
    blank: bool = False
    stars: bool = False


def statements(cells: Iterable[dict[str, Any]]) -> list[Statement]:
    """Cells, statement by statement; a syntax error loses its cell."""
    found: list[Statement] = []
    for cell in cells:
        name, how = cell["name"], cell["how"]
        try:
            tree, left_out = parsed(cell["source"], name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            found.append(Statement(name, error=error, how=how))
            continue
        found += [Statement(name, error=error, how=how) for error in left_out]
        for node, own in _flat(tree.body, how):
            try:
                found.append(_statement(node, name, own))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                found.append(Statement(name, error=error, how=own))
    return found


def parsed(source: str, name: str) -> tuple[ast.Module, list[SyntaxError]]:
    """A cell's syntax tree, and what of IPython's was left out of it.

    Raises
    ------
    SyntaxError
        If it is neither Python nor IPython; the lines have their own numbers.
    """
    lines = re.split("\r\n|\r|\n", source.removeprefix("\ufeff"))
    left_out: list[SyntaxError] = []
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines[first].lstrip().startswith("%%"):
        if not TIMING.match(lines[first].lstrip()):
            raise _not_python("this cell is not in Python", name, first + 1)
        lines[first] = ""
    while True:
        try:
            return ast.parse("\n".join(lines), name), left_out
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            if len(left_out) > 200 or not 0 <= at < len(lines) or not IPYTHON.match(lines[at]):
                raise
            line, lines[at] = lines[at], TIMED.sub(r"\1", lines[at])
            if lines[at] == line:
                lines[at] = line[: len(line) - len(line.lstrip())] + "pass"
                left_out.append(_not_python(NO_PYTHON, name, at + 1))


def _not_python(text: str, name: str, line: int) -> SyntaxError:
    return SyntaxError(text, (name, line, None, None))


def _flat(body: list[ast.stmt], how: str) -> Iterator[tuple[ast.stmt, str]]:
    """Statements; of what is for running a file by itself, only those that are needed."""
    for node in body:
        if isinstance(node, ast.If) and _is_main(node.test):
            yield from ((one, how if how == "missing" else "needed") for one in node.body)
        else:
            yield node, how


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and (
        [getattr(side, "id", getattr(side, "value", "")) for side in (test.left, *test.comparators)]
        in (["__name__", "__main__"], ["__main__", "__name__"])
    )


def _statement(node: ast.stmt, name: str, how: str) -> Statement:
    code = compile(ast.Module([node], []), name, "exec", flags=LAZY, dont_inherit=True)
    definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    gives, uses = names(code)
    return Statement(
        name,
        code,
        how=how,
        gives=gives,
        changes=set() if definition else set(_changed(node)),
        touches=set() if definition else {*_touched(node), *_named(code, uses)},
        uses=uses,
        calls=_called(node),
        is_import=isinstance(node, ast.Import | ast.ImportFrom),
        is_definition=definition,
        blank=definition and is_blank(node),
        stars=isinstance(node, ast.ImportFrom) and node.names[0].name == "*",
    )


def names(code: CodeType) -> tuple[set[str], set[str]]:
    """The global names that code binds, its functions included, and those that it reads."""
    gives: set[str] = set()
    uses: set[str] = set()
    own: set[str] = set()
    is_function = code.co_flags & 1  # CO_OPTIMIZED: with fast locals
    is_module = code.co_name == "<module>"
    for step in dis.get_instructions(code):
        operation, name = step.opname, step.argval
        if operation == "STORE_GLOBAL" or (operation == "STORE_NAME" and is_module):
            gives.add(name)
        elif operation == "STORE_NAME":
            own.add(name)  # of a class
        elif operation.startswith("LOAD_") and operation.endswith(("_NAME", "_GLOBAL", "_GLOBALS")):
            uses.add(name)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            more = names(constant)
            gives |= more[0]
            uses |= more[1]
    return gives, uses if is_function or is_module else uses - own | (uses & gives)


def _changed(node: ast.AST) -> Iterator[str]:
    for inner in _outside_functions(node):
        if isinstance(inner, ast.Attribute | ast.Subscript) and not isinstance(inner.ctx, ast.Load):
            yield from _root(inner)
        elif isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "setattr":
            yield from (name for one in inner.args[:1] for name in _root(one))


def _touched(node: ast.AST) -> Iterator[str]:
    """Of calls whose values nobody takes: `table.append(1)`, `np.copyto(table, 1)`."""
    for inner in _outside_functions(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            for part in (inner.value.func, *inner.value.args):
                yield from _root(part)


def _named(code: CodeType, uses: set[str]) -> Iterator[str]:
    """Names in texts, where a statement can bind what it says in a text: `globals()["x"] = 1`."""
    if uses & {"globals", "locals", "vars", "exec"}:
        for constant in code.co_consts:
            if isinstance(constant, str):
                yield from re.findall(r"\w+", constant)


def _called(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id
    return ""


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _outside_functions(inner)


def is_blank(node: ast.AST) -> bool:
    """Whether a function, or the last method of a class, is as it was handed out."""
    body = getattr(node, "body", [])
    if isinstance(node, ast.ClassDef):
        return bool(body) and _ends_blank(getattr(body[-1], "body", []), node.name)
    own = [one for one in body if not _is_text(one)]
    return len(own) == 1 and _ends_blank(own, getattr(node, "name", ""))


def _ends_blank(body: list[ast.stmt], name: str) -> bool:
    return (
        bool(body)
        and isinstance(body[-1], ast.Raise)
        and ast.unparse(body[-1]) == (f"raise NotImplementedError({name!r})")
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def chosen(
    given: list[Statement], own: list[Statement], wanted: set[str]
) -> tuple[list[Statement], set[str]]:
    """What of a student's statements runs, and the names that the wanted ones need.

    Parameters
    ----------
    given : list of Statement
        What runs before.
    own : list of Statement
        The student's.
    wanted : set of str
        Names that will be asked for.
    """
    written = {name for one in own if not one.blank for name in one.gives}
    own = [one for one in own if not (one.blank and one.gives <= written)]
    everything = (*given, *own)
    elsewhere = {name for one in everything if one.how != "missing" for name in one.gives}
    modules = {name for one in everything if one.is_import for name in one.gives}
    functions = {name: one.gives for one in everything if one.is_definition for name in one.gives}

    def gives(one: Statement) -> set[str]:
        if one.is_import:
            names = one.gives
        else:
            names = (one.gives | one.changes | one.touches - functions.keys()) - modules
            names |= functions.get(one.calls, set()) - {one.calls}
        return names - elsewhere if one.how == "missing" else names

    needed = set(wanted)
    waiting = [one for one in everything if one.code is not None]
    while found := [one for one in waiting if gives(one) & needed]:
        waiting = [one for one in waiting if not gives(one) & needed]
        needed.update(*(one.uses for one in found))

    def runs(one: Statement) -> bool:
        if one.how == "all" or one.error is not None or one.stars or gives(one) & needed:
            return True
        return one.how == "needed" and (one.is_import or one.is_definition)

    return [one for one in own if runs(one)], needed


def in_float32(code: CodeType) -> bool:
    """Whether code says somewhere that it computes in 32 bits."""
    if not FLOAT32.isdisjoint(code.co_names):
        return True
    return any(
        in_float32(one) if isinstance(one, CodeType) else isinstance(one, str) and one in FLOAT32
        for one in code.co_consts
    )
