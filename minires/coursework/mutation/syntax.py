"""Syntax trees, for mutants: where expressions stand, how to write new ones, what is whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Function = ast.FunctionDef | ast.Lambda
Block = list[ast.stmt]


@dataclass(frozen=True)
class Place:
    """Where an expression stands.

    Attributes
    ----------
    node : ast.expr
    owners : tuple of ast.AST
        Around it, the innermost last.
    field : str
        Of the innermost owner.
    index : int or None
        In the field, where that is a list.
    whole : set of str
        The names that are `whole_numbers`.
    """

    node: ast.expr
    owners: tuple[ast.AST, ...]
    field: str
    index: int | None
    whole: set[str]

    @property
    def owner(self) -> ast.AST:
        """What it is a part of."""
        return self.owners[-1]

    def put(self, node: ast.expr) -> None:
        """Set another node there."""
        if self.index is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.index] = node

    @property
    def parameters(self) -> list[str]:
        """Of the functions around it."""
        functions = (owner for owner in self.owners if isinstance(owner, Function))
        return [a.arg for function in functions for a in arguments(function)]

    @property
    def called(self) -> bool:
        """Whether it is what a call calls."""
        return isinstance(self.owner, ast.Call) and self.field == "func"


def arguments(function: Function) -> list[ast.arg]:
    """Without `self`."""
    args = function.args
    return [a for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg != "self"]


def places(node: ast.AST, whole: set[str], around: tuple[ast.AST, ...] = ()) -> Iterator[Place]:
    """Every expression that is read, with its place."""
    owners = (*around, node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.expr) and isinstance(getattr(child, "ctx", LOAD), ast.Load):
                yield Place(child, owners, field, index, whole)
            yield from places(child, whole, owners)


LOAD = ast.Load()


def parsed(text: str, **parts: ast.expr) -> ast.expr:
    """An expression in which names stand for others."""
    return _Filled(parts).visit(ast.parse(text, mode="eval").body)  # type: ignore[no-any-return]


class _Filled(ast.NodeTransformer):
    def __init__(self, parts: dict[str, ast.expr]) -> None:
        self.parts = parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.parts.get(node.id, node)


def code(text: str, **parts: ast.expr) -> list[ast.stmt]:
    """Statements in which names stand for expressions."""
    tree = _Filled(parts).visit(ast.parse(text))
    return tree.body  # type: ignore[no-any-return]


def read(target: Any) -> ast.expr:
    """What an assignment sets, as a value."""
    return copied(target, ctx=ast.Load())  # type: ignore[no-any-return]


def stored(value: Any) -> Any:
    """A value's place, to be set."""
    return copied(value, ctx=ast.Store())


def swapped(items: list[Any], i: int) -> list[Any]:
    """A list with a pair of neighbours exchanged."""
    return [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def without(items: list[Any], i: int) -> list[Any]:
    """A list without an item."""
    return [*items[:i], *items[i + 1 :]]


def copied(node: Any, **fields: Any) -> Any:
    """A node with other fields."""
    return type(node)(**(dict(ast.iter_fields(node)) | fields))


def is_module(node: ast.AST) -> bool:
    """Whether it is a module, or a part of one."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("np", "math", "itertools", "functools")


def called_name(node: ast.AST) -> str:
    """The last part of what is called."""
    called = getattr(node, "func", None)
    return str(getattr(called, "attr", getattr(called, "id", "")))


# --------------------------------------------------------------------------- whole numbers

SIZES = ("shape", "ndim", "size")
OF_SIZES = ("range", "slice", "zeros", "ones", "empty", "ndindex", "arange", "reshape", "pad")
COUNTING = ("range", "len", "ndindex", "enumerate", "divmod", "id", "int", "permutation", "argmax")
NO_CHANGE = (ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.Starred, ast.keyword)


def whole_numbers(function: ast.AST) -> set[str]:
    """The names in a function that count, index or give a size, as far as one sees.

    They are what stands in indices and in sizes of arrays and loops, what is taken from a shape,
    and what these are reckoned from.
    """
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript):
            found |= _reckoned_from(node.slice)
        elif isinstance(node, ast.Slice):
            for bound in (node.lower, node.upper, node.step):
                found |= _reckoned_from(bound)
        elif isinstance(node, ast.Call) and called_name(node) in OF_SIZES:
            skipped = 1 if called_name(node) == "pad" else 0
            for part in node.args[skipped:]:
                found |= _reckoned_from(part)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv | ast.Mod):
            found |= _reckoned_from(node)
        elif isinstance(node, ast.For | ast.comprehension) and _counts(node.iter):
            targets = node.target
            if called_name(node.iter) == "enumerate" and isinstance(targets, ast.Tuple):
                targets = targets.elts[0]
            found |= _reckoned_from(targets)
    while True:
        new: set[str] = set()
        for node in ast.walk(function):
            for target, value in _assigned(node):
                names = _reckoned_from(target)
                if names and (names <= found or is_whole(value, found)):
                    new |= names | _reckoned_from(value)
        if new <= found:
            return found
        found |= new


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Single targets and what they are set to."""
    if isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            yield from zip(target.elts, value.elts, strict=False)
        elif isinstance(target, ast.Name | ast.Tuple):
            yield target, value


def is_whole(node: ast.AST, names: set[str]) -> bool:
    """Whether an expression is a whole number, or several, if these names are."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    if isinstance(node, ast.Attribute):
        return node.attr in SIZES
    if isinstance(node, ast.Subscript):
        return is_whole(node.value, names)
    if isinstance(node, ast.Call):
        return _counts(node)
    if isinstance(node, NO_CHANGE):
        parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        return bool(parts) and all(is_whole(part, names) for part in parts)
    return False


def _counts(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and called_name(node) in COUNTING


def _reckoned_from(node: ast.AST | None) -> set[str]:
    """The names in sums and products; not those that are called, indexed or compared."""
    if isinstance(node, ast.Name):
        return {node.id}
    if not isinstance(node, NO_CHANGE):
        return set()
    return set().union(*map(_reckoned_from, ast.iter_child_nodes(node)))
