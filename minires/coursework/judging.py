"""Does a mutant lose points, and if not, is it the solution in other words?

A mutant that survives the tests is compared with the solution on inputs drawn from the question's
domain, its hidden cases. One that agrees on all of them is held for equivalent.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minires.coursework import child
from minires.coursework.assignment import load_assignment
from minires.coursework.bundle import (
    GradedCase,
    GradedQuestion,
    copied,
    expected_of,
    make_bundle,
    outputs_of,
    task_of,
)
from minires.coursework.forked import LostError, forked
from minires.coursework.grade import is_right
from minires.coursework.guard import Direct
from minires.coursework.mutants import Mutant
from minires.coursework.question import Case
from minires.text import bounded

KILLED, EQUIVALENT, SURVIVES = "killed", "equivalent", "SURVIVES"


@dataclass(frozen=True)
class Judgement:
    """What became of a mutant.

    Attributes
    ----------
    verdict : str
        `KILLED`, `EQUIVALENT` or `SURVIVES`.
    why : str
        Which case killed it, or on which input it differs.
    """

    verdict: str
    why: str


class Judge:
    """Judges the mutants of one question.

    Parameters
    ----------
    folder : Path
        The assignment's.
    name : str
        The question's.
    seed : int
        Of the course.
    inputs : int
        So many are drawn to tell equivalent mutants.
    """

    def __init__(self, folder: Path, name: str, seed: int, inputs: int) -> None:
        self.assignment = load_assignment(folder)
        self.declared = self.assignment.questions[name]
        bundle = make_bundle(self.assignment, seed)
        self.question, self.given = bundle.question(name), list(bundle.given.values())
        self.seed, self.inputs = seed, inputs
        self.solution = self.assignment.solution(name)
        begin = time.process_time()
        if list(_wrong(self._session(self.solution), self.question, self.question.cases)):
            raise ValueError(f"{self.assignment.name}, {name}: the solution loses points")
        self.seconds = min(self.question.seconds, 1 + 20 * (time.process_time() - begin))

    def judge(self, mutant: Mutant) -> Judgement:
        """Try the tests; if it passes them, drawn inputs."""
        failed = self._tried(mutant, lambda: self.question.cases, self.seconds)
        if failed is not None:
            return Judgement(KILLED, failed)
        if not self.declared.hidden_cases:
            return Judgement(SURVIVES, "no domain is declared")
        begin = time.process_time()
        drawn = self.drawn
        seconds = 30 + 20 * (time.process_time() - begin + self.taken)
        failed = self._tried(mutant, lambda: drawn, seconds)
        if failed is None:
            return Judgement(EQUIVALENT, f"agrees on {self.inputs} drawn inputs")
        return Judgement(SURVIVES, failed)

    def _tried(
        self, mutant: Mutant, cases: Callable[[], list[GradedCase]], seconds: float
    ) -> str | None:
        """The first case that a mutant fails, None if there is none."""

        def first() -> str | None:
            return next(_wrong(self._session(mutant.source), self.question, cases()), None)

        try:
            found: str | None = forked(first, seconds=seconds, memory=self.question.limits.memory)
        except LostError as lost:
            return str(lost)
        return found

    def _session(self, source: str) -> child.Session:
        cells = [{"name": "mutant", "source": source, "definitions": False}]
        return child.Session(task_of(self.question, self.given, cells), Direct())

    @functools.cached_property
    def drawn(self) -> list[GradedCase]:
        """Inputs of the domain, with what the solution makes of them."""
        begin = time.process_time()
        session, hidden = self._session(self.solution), self.declared.hidden_cases
        cases = []
        for i in range(self.inputs):
            case = self.declared.drawn(hidden[i % len(hidden)], self.seed, i)
            expected = self._expected(case, session)
            name = f"input {i}, {case.name}: {bounded(repr(case.arguments), 600)}"
            cases.append(GradedCase(name, False, 1.0, case.arguments, expected))
        self.taken = time.process_time() - begin
        return cases

    def _expected(self, case: Case, session: child.Session) -> list[Any]:
        """The solution's results; where they are judged otherwise than by equality, the answer."""
        tagged = any(isinstance(v, dict) for v in self.question.cases[0].expected)
        if tagged:
            return expected_of(self.assignment, self.declared, case)
        answer = session.answer(copied(case.arguments))
        session.release()
        values = outputs_of(answer.get("result"), len(self.question.returns))
        if values is None:
            raise ValueError(f"{self.declared.name}: the solution fails on {case.name}: {answer}")
        return [copied(value) for value in values]


def _wrong(
    session: child.Session, question: GradedQuestion, cases: list[GradedCase]
) -> Iterator[str]:
    """The cases that code fails."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in cases:
            answer = session.answer(copied(case.arguments))
            session.release()
            if not is_right(question, case, answer):
                yield case.name
