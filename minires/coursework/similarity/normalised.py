"""Code as rows of tokens that stay whatever names, numbers, texts and comments are.

A token is a kind of a syntax tree's node, or a name; the tree is written from its root on. Names
that students chose are marked as their own; those of NumPy, of Python and of the given code stay,
whatever they are imported as. Code is read and never run.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from minires.coursework.sandbox.script import parsed

MOST_TEXT = 100_000
"""Characters of a cell; longer ones hold no answer that somebody wrote."""

MOST_CODE = 400_000
"""Characters of all cells that are read."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

KNOWN = {
    name
    for kind in (np.ndarray, list, dict, set, tuple, str, np.random.Generator)
    for name in dir(kind)
}
"""Attributes that nobody could name otherwise."""


@dataclass(frozen=True)
class Own:
    """A token: a name that the student chose."""

    name: str


Token = str | Own
Part = Token | ast.AST


@dataclass(eq=False)
class Statement:
    """A statement of a cell: the names that it binds for others, those that it uses, all it binds.

    Attributes
    ----------
    node : ast.stmt
    gives, uses, binds : set of str
    """

    node: ast.stmt
    gives: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)


class Code:
    """Code cells, read once.

    Attributes
    ----------
    statements : list of Statement
    modules : dict of str
        What imports bind, by their own name: `np` to `numpy`, `root` to `numpy.sqrt`.
    attributes : set of str
    names : set of str
        That its statements bind for others.
    unread : list of str
        Which cells are no Python.
    """

    def __init__(self, cells: Iterable[tuple[str, str]]) -> None:
        self.statements: list[Statement] = []
        self.modules: dict[str, str] = {}
        self.attributes: set[str] = set()
        self.unread: list[str] = []
        left = MOST_CODE
        for name, source in cells:
            try:
                body = _body(source, name, min(left, MOST_TEXT))
            except UNREADABLE as error:
                self.unread.append(f"{name}: {_reason(error)}")
                continue
            left -= len(source)
            self.statements += [self._read(node) for node in body]
        self.names = {name for one in self.statements for name in one.gives}

    def _read(self, top: ast.stmt) -> Statement:
        found = Statement(top)
        inside: list[tuple[ast.AST, bool]] = [(top, True)]
        while inside:
            node, outside = inside.pop()
            bound = list(self._bound(node))
            found.binds.update(bound)
            if outside:
                found.gives.update(bound)
            if isinstance(node, ast.Name):
                found.uses.add(node.id)
            elif isinstance(node, ast.Attribute):
                self.attributes.add(node.attr)
            if isinstance(node, Function | ast.Lambda | ast.ClassDef):
                outside = False
            inside += [(child, outside) for child in ast.iter_child_nodes(node)]
        if isinstance(top, Function | ast.ClassDef):
            found.uses -= found.binds - {top.name}  # what is local is nobody else's
        return found

    def _bound(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                self.modules[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self.modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id


def _body(source: str, name: str, most: int) -> list[ast.stmt]:
    if len(source) > most:
        raise ValueError("too much code")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a backslash too many
        return parsed(source, name)[0].body


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return str(error) if isinstance(error, ValueError) else "nested too deeply"


class Writer:
    """A statement as tokens, without recursion.

    Parameters
    ----------
    statement : Statement
    code : Code
        That it is from.
    given : Code
        What students get.
    names : set of str
        Those of the given code, which stay.
    """

    def __init__(self, statement: Statement, code: Code, given: Code, names: Set[str]) -> None:
        self._modules = given.modules | code.modules
        self._own = statement.binds | (code.names - self._modules.keys())
        self._own -= names
        self._attributes = KNOWN | given.attributes
        self._selves = {
            method.args.args[0].arg
            for node in ast.walk(statement.node)
            if isinstance(node, ast.ClassDef)
            for method in node.body
            if isinstance(method, Function) and method.args.args
        }
        self._node = statement.node

    def tokens(self, most: int) -> list[Token]:
        """At most so many."""
        node = self._node
        waiting: list[Part] = [node]
        if isinstance(node, Function | ast.ClassDef):  # of an answer the head is given
            waiting = self._block(node.body)[::-1]
        found: list[Token] = []
        while waiting and len(found) < most:
            part = waiting.pop()
            if isinstance(part, ast.AST):
                waiting += self._parts(part)[::-1]
            else:
                found.append(part)
        return found

    def _parts(self, node: ast.AST) -> list[Part]:
        """A node's token and what is in it."""
        if isinstance(node, ast.Name):
            return [self._name(node.id)]
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Constant):
            kept = node.value is None or isinstance(node.value, bool)
            return [repr(node.value) if kept else type(node.value).__name__]
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.AnnAssign):
            return ["Assign", node.target, node.value] if node.value else []
        if isinstance(node, ast.arg):
            return [self._name(node.arg)]
        if isinstance(node, Function | ast.ClassDef):
            inside = [node.args] if isinstance(node, Function) else [*node.bases, *node.keywords]
            return [type(node).__name__, self._name(node.name), *inside, *self._block(node.body)]
        parts: list[Part] = [type(node).__name__]
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "returns", "type_comment"):
                continue
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                parts += self._block(value)
            elif isinstance(value, list):
                parts += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.operator | ast.unaryop | ast.boolop):
                parts[0] = type(value).__name__ + "=" * isinstance(node, ast.AugAssign)
            elif isinstance(value, ast.AST):
                parts.append(value)
        return parts

    def _name(self, name: str) -> Token:
        if name in self._own:
            return Own(name)
        return self._modules.get(name, name)

    def _attribute(self, node: ast.Attribute) -> list[Part]:
        names, at = [node.attr], node.value
        while isinstance(at, ast.Attribute) and len(names) < 8:
            names.append(at.attr)
            at = at.value
        if isinstance(at, ast.Name) and at.id in self._modules and at.id not in self._own:
            return [".".join([self._modules[at.id], *reversed(names)])]
        kept = node.attr in self._attributes
        if isinstance(node.value, ast.Name) and node.value.id in self._selves:
            kept = False
        return [f".{node.attr}" if kept else Own(f".{node.attr}"), node.value]

    def _call(self, node: ast.Call) -> list[Part]:
        is_own = isinstance(node.func, ast.Name) and node.func.id in self._own
        parts: list[Part] = ["Call", node.func, *node.args]
        for keyword in node.keywords:
            name = keyword.arg or "**"
            parts += [Own(name) if is_own else f"{name}=", keyword.value]
        return parts

    @staticmethod
    def _block(body: Sequence[ast.stmt]) -> list[Part]:
        kept = [node for node in body if not _is_nothing(node)]
        return ["{", *kept, "}"]


def _is_nothing(node: ast.stmt) -> bool:
    """A statement that does nothing: a text, a number, `pass`; or an import, which names undo."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass | ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal)
