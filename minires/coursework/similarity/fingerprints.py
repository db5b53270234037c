"""An answer as fragments of its syntax tree, whatever its names, numbers, texts and comments are.

A fragment is `LENGTH` tokens in a row, in which the student's own names are numbered as they come.
So it says what is done, and which of the things in it are the same. See `normalised`, and
Schleimer, Wilkerson and Aiken, Winnowing: local algorithms for document fingerprinting (2003).
Answers are short, so all fragments are kept and none is chosen.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Sequence

from minires.coursework.cells import Cell
from minires.coursework.sandbox.script import is_blank
from minires.coursework.similarity.normalised import Code, Function, Own, Statement, Token, Writer

LENGTH = 6
"""Tokens of a fragment: an operation and what goes into it.

Of this course's 595 pairs of right ways to answer one question, 95% have less than 34% of such
fragments in common; of 236 mistakes that are one edit of the solution, half have more than 89% of
it.
"""

MOST_TOKENS = 5_000
"""Of an answer; what comes later is not looked at."""

Fragments = frozenset[int]


class HandedOut:
    """What students get: its names stay, and its fragments are nobody's own.

    Parameters
    ----------
    sources : iterable of str
        The code cells.
    questions : sequence of str
        Names that students are told to use.
    """

    def __init__(self, sources: Iterable[str], questions: Sequence[str]) -> None:
        self.code = Code((f"given {i}", source) for i, source in enumerate(sources))
        self.questions = list(questions)
        nodes = [one.node for one in self.code.statements]
        self.names = {node.name for node in nodes if isinstance(node, Function | ast.ClassDef)}
        self.names |= set(questions)
        self.fragments: Fragments = frozenset()
        self.fragments = self.own_fragments(self.code, self.code.statements)

    def own_fragments(self, code: Code, statements: Iterable[Statement]) -> Fragments:
        """The fragments of statements that are not of what was handed out."""
        found: set[int] = set()
        left = MOST_TOKENS
        for one in statements:
            tokens = Writer(one, code, self.code, self.names).tokens(left)
            left -= len(tokens)
            found |= _fragments(tokens)
        return frozenset(found - self.fragments)


class Work:
    """A submission.

    Attributes
    ----------
    unread : list of str
        Which of its cells are no Python.
    text : str
        A hash of its code as it stands, but for the space around cells.
    """

    def __init__(self, cells: Sequence[Cell], given: HandedOut) -> None:
        own = [c for c in cells if c.kind == "code" and c.role not in ("given", "check")]
        self._code = Code((f"cell {c.number}", c.source) for c in own)
        self._given = given
        self.unread = self._code.unread
        whole = "\0".join(text for cell in own if (text := cell.source.strip()))
        self.text = hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()

    def answers(self, questions: Iterable[str]) -> dict[str, Fragments]:
        """Those to some questions."""
        return {question: self.answer(question) for question in questions}

    def answer(self, question: str) -> Fragments:
        """The fragments of the last answer and of all that it uses; none if there is no answer."""
        answers = [
            one for one in self._code.statements if question in one.gives and not is_blank(one.node)
        ]
        wanted = answers[-1:]
        others = [one for one in self._code.statements if question not in one.gives]
        needed = set().union(*(one.uses for one in wanted)) - self._given.names
        while new := [one for one in others if one.gives & needed]:
            others = [one for one in others if not one.gives & needed]
            needed |= set().union(*(one.uses for one in new)) - self._given.names
            wanted = wanted + new
        return self._given.own_fragments(self._code, wanted)


def _fragments(tokens: Sequence[Token]) -> set[int]:
    """Every row of tokens, as a number; a short code is one."""
    found = set()
    for start in range(max(1, len(tokens) - LENGTH + 1)):
        numbers: dict[str, int] = {}
        row = [
            f"${numbers.setdefault(token.name, len(numbers))}" if isinstance(token, Own) else token
            for token in tokens[start : start + LENGTH]
        ]
        digest = hashlib.blake2b("\0".join(row).encode("utf-8", "replace"), digest_size=8)
        found.add(int.from_bytes(digest.digest(), "big"))
    return found if tokens else set()
