"""What may stand in the place of a statement, in mutants."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from minires.coursework.mutation.expressions import ARITHMETIC
from minires.coursework.mutation.syntax import (
    Block,
    arguments,
    code,
    copied,
    parsed,
    read,
    stored,
)


def blocks(
    tree: ast.AST, function: ast.FunctionDef | None = None
) -> Iterator[tuple[Block, ast.FunctionDef | None]]:
    """Every block of statements, with the function that it is in."""
    if isinstance(tree, ast.FunctionDef):
        function = tree
    for field in ("body", "orelse"):
        block = getattr(tree, field, None)
        if isinstance(block, list) and block:
            yield block, function
            for statement in block:
                yield from blocks(statement, function)


def statements(
    block: Block, function: ast.FunctionDef | None, whole: set[str]
) -> Iterator[tuple[str, int, Block]]:
    """What may stand in the place of a block: a few words, the line, and another block."""
    if function is None:
        return
    top = block is function.body
    if top:
        for argument in arguments(function):
            for change, new in for_good(argument.arg, function, function.body, whole):
                yield change, function.lineno, [*new, *block]
    for i, statement in enumerate(block):
        line = statement.lineno
        before, after = block[:i], block[i + 1 :]
        if not isinstance(statement, ast.Pass):
            yield "a statement dropped", line, (before + after) or [ast.Pass()]
        for change, new in replacements(statement):
            yield change, line, before + new + after
        if isinstance(statement, ast.Assign):
            for name in _names(statement.targets):
                for change, new in for_good(name, function, after if top else function.body, whole):
                    yield change, line, [*before, statement, *new, *after]
        if top and 0 < i < len(block) - 1 and isinstance(block[-1], ast.Return):
            yield "an early return", line, [*before, block[-1], *block[i:]]


def replacements(statement: ast.stmt) -> Iterator[tuple[str, Block]]:
    """What may stand in the place of a statement."""
    if isinstance(statement, ast.AugAssign):
        target = read(statement.target)
        total = ast.BinOp(target, statement.op, statement.value)
        yield "not in place", [ast.Assign([statement.target], total)]
        yield "only the last", [ast.Assign([statement.target], statement.value)]
        for operation in ARITHMETIC.get(type(statement.op), ()):
            yield "another operator", [copied(statement, op=operation())]
    if isinstance(statement, ast.Return | ast.Assign) and isinstance(statement.value, ast.BinOp):
        left = statement.value.left
        if isinstance(left, ast.Name | ast.Attribute | ast.Subscript):
            change = ast.AugAssign(stored(left), statement.value.op, statement.value.right)
            yield "in place", [change, copied(statement, value=left)]
    if isinstance(statement, ast.For | ast.While):
        yield "only the first time", [copied(statement, body=[*statement.body, ast.Break()])]
    if isinstance(statement, ast.For):
        for text in ("list(a)[1:]", "list(a)[:-1]", "list(a)[::-1]"):
            yield "another range", [copied(statement, iter=parsed(text, a=statement.iter))]
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        yield "not in place", [copied(statement, targets=[stored(statement.targets[0].value)])]


def for_good(
    name: str, function: ast.FunctionDef, later: Block, whole: set[str]
) -> Iterator[tuple[str, Block]]:
    """What may be done to a variable once it is set, if it is used later."""
    for change, text in CHANGES.items():
        if used(name, later) and (name not in whole or change in OF_WHOLE):
            yield f"{name} {change}", code(f"{name} = {text.format(name)}")
    if name in whole:
        for other in (argument.arg for argument in arguments(function)):
            if other in whole and other != name and used(other, later):
                yield f"{other} at most {name}", code(f"{other} = np.minimum({other}, {name})")


def used(name: str, block: Block) -> bool:
    """Whether a variable is read there."""
    nodes = (node for statement in block for node in ast.walk(statement))
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for node in nodes
    )


CHANGES = {
    "without a sign": "abs({})",
    "at most 1": "np.minimum({}, 1)",
    "at least 1": "np.maximum({}, 1)",
    "at most 6": "np.minimum({}, 6)",
    "at least 0": "np.maximum({}, 0)",
    "within 100": "np.clip({}, -100, 100)",
    "within 1000": "np.clip({}, -1000, 1000)",
    "without a fraction": "np.trunc({})",
    "only its first row": "{}[:1]",
}
"""What is done to a variable for good."""

OF_WHOLE = ("at most 1", "at least 1")
"""What is done to one that counts or gives a size."""


def _names(targets: list[ast.expr]) -> list[str]:
    items = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return [item.id for item in items if isinstance(item, ast.Name)]
