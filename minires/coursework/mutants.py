"""Mechanical mutants of a solution: every small change of its syntax tree, without duplicates.

Nobody chose them, so they say whether the tests go with the meaning of a question or only with a
list of mistakes. `operators` has the changes; here they are applied one at a time.

See DeMillo, Lipton and Sayward 1978, "Hints on test data selection".
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from minires.coursework import operators
from minires.coursework.operators import Place


@dataclass(frozen=True)
class Mutant:
    """A changed solution.

    Attributes
    ----------
    source : str
        Of the whole cell, as `ast.unparse` writes it.
    change : str
        What was done.
    line : int
        Where, in the cell.
    before, after : str
        The lines that differ, as `ast.unparse` writes them, without indentation.
    """

    source: str
    change: str
    line: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """A hash of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        new = self.after.replace("\n", "; ") or f"without {self.before}"
        return f"line {self.line}, {self.change}: `{new}`"


def mutants(source: str) -> list[Mutant]:
    """All mutants of a cell, in a fixed order; none is equal to it or to another one."""
    tree = without_docstrings(ast.parse(source))
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for change, line in _changes(tree):
        text = ast.unparse(ast.fix_missing_locations(tree))
        if text == original or text in found or not _is_code(text):
            continue
        found[text] = Mutant(text, change, line, *difference(original, text))
    assert ast.unparse(tree) == original
    return list(found.values())


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree, in which nothing says what it does."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[:] = body[1:] or [ast.Pass()]
    return tree


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_code(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def difference(old: str, new: str) -> tuple[str, str]:
    """The lines of each that the other has not, from the first that differs to the last."""
    a, b = old.splitlines(), new.splitlines()
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    parts = a[first : len(a) - last], b[first : len(b) - last]
    old_lines, new_lines = ("\n".join(line.strip() for line in part) for part in parts)
    return old_lines, new_lines


def _changes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Change the tree, yield what was changed, and change it back, again and again."""
    for place in operators.places(tree):
        old = place.node
        for change, new in operators.expressions(place):
            place.put(new)
            yield change, old.lineno
            place.put(old)
    for block, function in operators.blocks(tree):
        kept = list(block)
        for change, line, new_block in operators.statements(block, function, tree):
            block[:] = new_block
            yield change, line
            block[:] = kept
    kept = list(tree.body)
    for change, line, extra in operators.additions(tree):
        tree.body[:] = extra
        yield change, line
        tree.body[:] = kept


__all__ = ["Mutant", "Place", "difference", "mutants"]
