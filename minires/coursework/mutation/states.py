"""Mutants in which something outlives the call or the instance that it belongs to.

Each operator yields a few words, the line, and the cell's statements anew.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

from minires.coursework.mutation.syntax import Block, arguments, code, copied, parsed

Change = tuple[str, int, Block]

KEPT = "_kept"


def state(tree: ast.Module) -> Iterator[Change]:
    """All of them."""
    yield from first_results(tree)
    yield from first_values(tree)
    yield from class_attributes(tree)
    yield from globals_for_closures(tree)


def first_results(tree: ast.Module) -> Iterator[Change]:
    """What was returned first is returned for ever, or for arguments of the same shapes."""
    for owner, function in _functions(tree):
        name = function.name if owner is None else f"{owner.name}.{function.name}"
        if function.name == "__init__":
            continue
        for change, key in (
            ("the first result for ever", "0"),
            ("the first result for each shape", "str([getattr(a, 'shape', a) for a in args])"),
        ):
            text = f"""
def _first(function, kept):
    def first(*args):
        key = {key}
        if key not in kept:
            kept[key] = function(*args)
        return kept[key]
    return first

{name} = _first({name}, {{}})
"""
            yield change, function.lineno, [*tree.body, *code(text)]


def first_values(tree: ast.Module) -> Iterator[Change]:
    """A variable or attribute keeps its first value for ever, shared by all."""
    for i, statement in enumerate(_assignments(tree)):
        new = copy.deepcopy(tree)
        copied_statement = list(_assignments(new))[i]
        pairs = _pairs(statement)
        for j, (target, _) in enumerate(pairs):
            name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
            values = copied_statement.value
            old = copied(copied_statement)
            text = f"{KEPT}.setdefault({name!r}, a)"
            if len(pairs) == 1:
                copied_statement.value = parsed(text, a=values)
            else:
                assert isinstance(values, ast.Tuple)
                elements = list(values.elts)
                elements[j] = parsed(text, a=elements[j])
                copied_statement.value = ast.Tuple(elements, ast.Load())
            yield f"the first {name} for ever", statement.lineno, _with_kept(new)
            copied_statement.value = old.value


def class_attributes(tree: ast.Module) -> Iterator[Change]:
    """An attribute of the class in the place of the instance's."""
    for i, one in enumerate(tree.body):
        if not isinstance(one, ast.ClassDef):
            continue
        names = dict.fromkeys(
            node.attr
            for node in ast.walk(one)
            if isinstance(node, ast.Attribute) and _is_own(node) and _is_stored(node)
        )
        for name in names:
            new = copy.deepcopy(one)
            for node in ast.walk(new):
                if isinstance(node, ast.Attribute) and _is_own(node) and node.attr == name:
                    node.value = ast.Name(one.name, ast.Load())
            body = [*tree.body[:i], new, *tree.body[i + 1 :]]
            yield f"{name} of the class", one.lineno, body


def globals_for_closures(tree: ast.Module) -> Iterator[Change]:
    """What an inner function uses of the outer one's is kept where all calls share it."""
    for _, outer in _functions(tree):
        local = {argument.arg for argument in arguments(outer)} | _names(outer, _is_stored)
        for i, statement in enumerate(outer.body):
            inner = [node for node in ast.walk(statement) if isinstance(node, _INNER)]
            own = {argument.arg for node in inner for argument in arguments(node)}
            own |= {name for node in inner for name in _names(node, _is_stored)}
            used = {name for node in inner for name in _names(node, _is_read)}
            free = sorted((used & local) - own)
            for names in [[name] for name in free] + ([free] if len(free) > 1 else []):
                new = copy.deepcopy(statement)
                _Shared(names).visit(new)
                before = [s for name in names for s in code(f"{KEPT}[{name!r}] = {name}")]
                kept = list(outer.body)
                outer.body[i : i + 1] = [*before, new]
                yield f"{', '.join(names)} in a global", statement.lineno, _with_kept(tree)
                outer.body[:] = kept


_INNER = (ast.FunctionDef, ast.Lambda)


class _Shared(ast.NodeTransformer):
    """Reads names, in inner functions, from what is shared."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.inside = names, False

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _INNER):
            before, self.inside = self.inside, True
            self.generic_visit(node)
            self.inside = before
            return node
        if self.inside and isinstance(node, ast.Name) and _is_read(node) and node.id in self.names:
            return parsed(f"{KEPT}[{node.id!r}]")
        return self.generic_visit(node)


def _functions(tree: ast.Module) -> Iterator[tuple[ast.ClassDef | None, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield None, node
        elif isinstance(node, ast.ClassDef):
            yield from ((node, part) for part in node.body if isinstance(part, ast.FunctionDef))


def _assignments(tree: ast.Module) -> Iterator[ast.Assign]:
    for _, function in _functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and _pairs(node):
                yield node


def _pairs(node: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    """Names and attributes with what they are set to; none if it is anything else."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=False))
    else:
        pairs = [(target, value)]
    return pairs if all(isinstance(t, ast.Name | ast.Attribute) for t, _ in pairs) else []


def _is_own(node: ast.Attribute) -> bool:
    """Whether it is an attribute of `self`."""
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _names(tree: ast.AST, kind: Callable[[ast.AST], bool]) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and kind(node)}


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _is_read(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Load)


def _with_kept(tree: ast.Module) -> Block:
    return [*code(f"{KEPT} = {{}}"), *tree.body]
