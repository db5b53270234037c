"""Does a mutant lose points, and if not, is it the solution in other words?

A mutant that survives the tests is compared with the solution on inputs drawn from the question's
domain, its hidden cases. One that agrees on all of them is held for equivalent.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minires.coursework.assignment import load_assignment
from minires.coursework.bundle import (
    GradedCase,
    GradedQuestion,
    copied,
    make_bundle,
    outputs_of,
    task_of,
)
from minires.coursework.grading.grade import is_right
from minires.coursework.mutation.forked import Lost, forked
from minires.coursework.mutation.mutants import Mutant
from minires.coursework.question import Case
from minires.coursework.sandbox import child
from minires.coursework.sandbox.guard import Direct
from minires.text import bounded

KILLED, PASSES, EQUIVALENT, SURVIVES = "killed", "passes", "equivalent", "SURVIVES"

SHOWN = 500
"""So many characters of an input are told."""


@dataclass(frozen=True)
class Judgement:
    """What became of a mutant.

    Attributes
    ----------
    verdict : str
        `KILLED` by a test; where none does it is `EQUIVALENT`, `SURVIVES`, or only `PASSES` as long
        as it has not been compared with the solution.
    why : str
        Which test killed it, or on which input it differs.
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
        slow = self.declared.slow_cases
        self.cases = [case for case in self.question.cases if case.name not in slow]
        self.hidden = [case for case in self.declared.hidden_cases if case.name not in slow]
        self.seed, self.inputs = seed, min(inputs, self.declared.mutant_inputs or inputs)
        self.solution = self.assignment.solution(name)
        begin = time.process_time()
        if list(_wrong(self._session(self.solution), self.question, self.cases)):
            raise ValueError(f"{self.assignment.name}, {name}: the solution loses points")
        self.seconds = min(self.question.seconds, 1 + 20 * (time.process_time() - begin))

    def by_tests(self, mutants: Sequence[Mutant]) -> list[Judgement]:
        """Which of them lose points."""
        found = []
        for why in self._first_wrong(mutants, lambda: self.cases, self.seconds):
            reason = self.cases[why].name if type(why) is int else why
            found.append(Judgement(PASSES if why is None else KILLED, reason or ""))
        return found

    def by_drawn_inputs(self, mutant: Mutant) -> Judgement:
        """Whether a mutant that passes the tests does what the solution does everywhere else."""
        if not self.hidden:
            return Judgement(SURVIVES, "no domain is declared")
        cases, seconds = self.drawn
        (why,) = self._first_wrong([mutant], lambda: cases, 30 + 20 * seconds)
        if why is None:
            return Judgement(EQUIVALENT, f"agrees on {self.inputs} drawn inputs")
        if type(why) is int:
            arguments = bounded(" ".join(repr(cases[why].arguments).split()), SHOWN)
            why = f"differs on drawn input {why}, {cases[why].name}: {arguments}"
        return Judgement(SURVIVES, why)

    def _first_wrong(
        self, mutants: Sequence[Mutant], cases: Callable[[], list[GradedCase]], seconds: float
    ) -> Iterator[Any]:
        """For each mutant the first case that it fails, or why it is lost."""

        def call(mutant: Mutant) -> Callable[[], int | None]:
            return lambda: next(_wrong(self._session(mutant.source), self.question, cases()), None)

        memory = self.question.limits.memory
        for found in forked([call(m) for m in mutants], seconds=seconds, memory=memory):
            yield found.why if isinstance(found, Lost) else found

    def _session(self, source: str) -> child.Session:
        cells = [{"name": "mutant", "source": source, "how": "all"}]
        return child.Session(task_of(self.question, self.given, cells), Direct())

    @functools.cached_property
    def drawn(self) -> tuple[list[GradedCase], float]:
        """Inputs of the domain, with what is right, and in how many seconds that was found."""
        begin = time.process_time()
        count = len(self.hidden)
        cases = [
            self.declared.drawn(self.hidden[i % count], self.seed, i) for i in range(self.inputs)
        ]
        tagged = any(isinstance(value, dict) for value in self.question.cases[0].expected)
        found = self._answered(cases) if tagged else self._solved(cases)
        return found, time.process_time() - begin

    def _answered(self, cases: list[Case]) -> list[GradedCase]:
        """With answers, for questions that do not judge by equality with the solution."""
        question = replace(self.declared, fixed_cases=cases, hidden_cases=[], mistakes=[])
        alone = replace(self.assignment, questions={question.name: question})
        return make_bundle(alone, self.seed).question(question.name).cases

    def _solved(self, cases: list[Case]) -> list[GradedCase]:
        """With what the solution returns."""
        session, given = self._session(self.solution), self.question.cases[0].arguments
        found = []
        for case in cases:
            arguments = {k: v for k, v in case.arguments.items() if k in given}
            answer = session.answer(copied(arguments))
            session.release()
            values = outputs_of(answer.get("result"), len(self.question.returns))
            if values is None:
                raise ValueError(
                    f"{self.declared.name}: the solution fails on {case.name}: {answer}"
                )
            found.append(GradedCase(case.name, False, 1.0, arguments, copied(values)))
        return found


def _wrong(
    session: child.Session, question: GradedQuestion, cases: list[GradedCase]
) -> Iterator[int]:
    """The numbers of the cases that code fails."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for i, case in enumerate(cases):
            answer = session.answer(copied(case.arguments))
            session.release()
            if not is_right(question, case, answer):
                yield i
