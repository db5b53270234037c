"""Mechanical mutants of a solution: every small change of its syntax tree, without duplicates.

Nobody chose them, so they say whether the tests go with the meaning of a question or only with a
list of mistakes. Expressions, statements and state are each changed in a module of that name.

See DeMillo, Lipton and Sayward 1978, "Hints on test data selection".
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from minires.coursework.mutation.expressions import expressions
from minires.coursework.mutation.statements import blocks, statements
from minires.coursework.mutation.states import state
from minires.coursework.mutation.syntax import places, whole_numbers


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
    """The lines of each that the other has not, without indentation."""
    a, b = ([line.strip() for line in text.splitlines() if line.strip()] for text in (old, new))
    changed = [c for c in SequenceMatcher(None, a, b, False).get_opcodes() if c[0] != "equal"]
    before = [line for _, i, j, _, _ in changed for line in a[i:j]]
    after = [line for _, _, _, i, j in changed for line in b[i:j]]
    return "\n".join(before), "\n".join(after)


def _changes(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Change the tree, yield what was changed, and change it back, again and again."""
    whole = whole_numbers(tree)
    for place in places(tree, whole):
        old = place.node
        for change, new in expressions(place):
            place.put(new)
            yield change, old.lineno
            place.put(old)
    for block, function in blocks(tree):
        kept = list(block)
        for change, line, new_block in statements(block, function, whole):
            block[:] = new_block
            yield change, line
            block[:] = kept
    kept = list(tree.body)
    for change, line, body in state(tree):
        tree.body[:] = body
        yield change, line
        tree.body[:] = kept
