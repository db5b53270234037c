"""What a grader needs of an assignment, as data: inputs, right answers, what known mistakes return.

A bundle is made once from an assignment's questions, by running their answers and every mistake. To
grade with it, nothing of the assignment's own code is run but drivers, in a child. Its file holds
one message in `wire`'s format (a JSON text and arrays), compressed by gzip without a time, so equal
contents are equal bytes.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from minires.coursework.answers import mixed
from minires.coursework.answers.compare import compare
from minires.coursework.assignment import Assignment, AssignmentError
from minires.coursework.question import (
    Accuracy,
    Case,
    Causes,
    Order,
    Question,
    Repaired,
    ResNet8,
    Separate,
)
from minires.coursework.sandbox import child, wire
from minires.coursework.sandbox.guard import Direct
from minires.coursework.sandbox.parent import Limits
from minires.coursework.sandbox.values import plain
from minires.files import atomic_write

FORMAT = 3
SUFFIX = ".bundle"
OTHER_VERSION = (
    "a bundle of another version of minires: build it again (minires coursework build DIR)"
)


@dataclass(frozen=True)
class GradedCase:
    """A case with its right answer, one value for each output."""

    name: str
    visible: bool
    weight: float
    arguments: dict[str, Any]
    expected: list[Any]


@dataclass(frozen=True)
class KnownMistake:
    """A mistake, and for each case what it returns; None where it fails or is not compared."""

    number: int
    name: str
    hint: str
    outputs: list[list[Any] | None]


@dataclass(frozen=True)
class GradedQuestion:
    """A question as data; see `question.Question` for what its parts mean."""

    name: str
    points: float
    returns: dict[str, float]
    modules: list[str]
    rtol: float
    seconds: float
    limits: Limits
    driver: str | None
    needs: list[str]
    parts: list[str]
    cases: list[GradedCase]
    mistakes: list[KnownMistake]

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """From plain values."""
        cases = [GradedCase(**case) for case in fields["cases"]]
        mistakes = [KnownMistake(**mistake) for mistake in fields["mistakes"]]
        limits = Limits(**fields["limits"])
        return cls(**(fields | {"cases": cases, "mistakes": mistakes, "limits": limits}))

    def visible_only(self) -> Self:
        """Without hidden cases, and without the solutions of earlier parts."""
        shown = [i for i, case in enumerate(self.cases) if case.visible]
        mistakes = [replace(m, outputs=[m.outputs[i] for i in shown]) for m in self.mistakes]
        cases = [self.cases[i] for i in shown]
        return replace(self, cases=cases, mistakes=mistakes, parts=[])

    def own_parts(self) -> list[str]:
        """The earlier parts that are the student's own here: no right ones are at hand."""
        return [] if self.parts else self.needs


@dataclass(frozen=True)
class Bundle:
    """An assignment as a grader needs it.

    `course` says of which seed hidden inputs were drawn, see `course_of`; it is empty where none
    were, or where an earlier version of minires made the bundle.
    """

    assignment: str
    title: str
    given: dict[str, str]
    questions: list[GradedQuestion]
    course: str = ""

    @functools.cached_property
    def digest(self) -> bytes:
        """A hash of everything."""
        return hashlib.sha256(self.to_bytes()).digest()

    @functools.cached_property
    def question_digests(self) -> dict[str, bytes]:
        """A hash of all that a question's result depends on but its points, by its name.

        Of other points nothing has to be graded again: see `QuestionResult.worth`.
        """
        alone = [replace(question, points=1.0) for question in self.questions]
        parts = [replace(self, title="", course="", questions=[question]) for question in alone]
        return {part.questions[0].name: part.digest for part in parts}

    @property
    def points(self) -> float:
        """Of all questions together."""
        return sum(question.points for question in self.questions)

    def question(self, name: str) -> GradedQuestion:
        """A question by its name.

        Raises
        ------
        ValueError
            If there is none of this name.
        """
        for question in self.questions:
            if question.name == name:
                return question
        names = ", ".join(question.name for question in self.questions)
        raise ValueError(f"{self.assignment} has no question {name!r}, only {names}")

    def visible_only(self) -> Self:
        """What students may have: the visible cases, and nothing that a seed can be tried on."""
        questions = [question.visible_only() for question in self.questions]
        return replace(self, course="", questions=questions)

    def to_bytes(self) -> bytes:
        """The file's content."""
        fields = asdict(self)
        if not self.course:
            del fields["course"]
        data = wire.packed({"format": FORMAT, **_plain(fields)})
        return gzip.compress(data, 9, mtime=0)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """From a file's content.

        Raises
        ------
        ValueError
            If it is no bundle, or of another version.
        """
        try:
            unpacked: Any = gzip.GzipFile(fileobj=io.BytesIO(data))
            message: Any = wire.read(unpacked, wire.LARGEST_BUNDLE, wire.LARGEST_BUNDLE >> 4)
            if unpacked.read(1):  # and only at its end is the checksum looked at
                raise ValueError("there is more in it than a bundle")
            if message.pop("format") != FORMAT:
                raise ValueError(OTHER_VERSION)
            message["questions"] = [GradedQuestion.of(q) for q in message["questions"]]
            return cls(**message)
        except wire.MessageError as error:
            old = _starts_as_format_1(data)
            raise ValueError(OTHER_VERSION if old else f"no bundle: {error}") from error
        except Exception as error:  # zlib, JSON and wrong types raise nearly anything
            raise ValueError(f"no bundle: {error}") from error

    def save(self, path: Path) -> None:
        """Write the file."""
        with atomic_write(path) as file:
            file.write(self.to_bytes())


def _starts_as_format_1(data: bytes) -> bool:
    """Whether its text is an object, which an older version wrote."""
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read(16)[4:] == b'{"format": 1'
    except Exception:
        return False


def load_bundle(path: Path) -> Bundle:
    """The bundle in a file.

    Raises
    ------
    ValueError
        If it is none; the message names it.
    """
    try:
        return Bundle.from_bytes(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's, everything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def make_bundle(assignment: Assignment, seed: int = 0) -> Bundle:
    """Run an assignment's answers and mistakes.

    Parameters
    ----------
    assignment : Assignment
    seed : int
        The course's, of which hidden inputs are drawn; 0 is known to everybody.

    Raises
    ------
    AssignmentError
        If an answer has another number of outputs than the question says.
    """
    questions = assignment.questions.values()
    return Bundle(
        assignment.name,
        assignment.title,
        {cell.name: cell.source for cell in assignment.given()},
        [_graded(assignment, question, seed) for question in questions],
        course_of(seed) if any(question.hidden_cases for question in questions) else "",
    )


def course_of(seed: int) -> str:
    """What tells seeds apart without telling them; the same for all assignments of a course."""
    return hashlib.sha256(f"minires course {seed}".encode()).hexdigest()[:16]


def _graded(assignment: Assignment, question: Question, seed: int) -> GradedQuestion:
    cases = [
        GradedCase(
            case.name,
            case.visible,
            case.weight,
            {k: v for k, v in case.arguments.items() if k not in question.withheld},
            _expected(assignment, question, case),
        )
        for case in question.cases(seed)
    ]
    parts = [assignment.solution(name) for name in question.needs]
    graded = GradedQuestion(
        question.name,
        question.points,
        question.returns,
        question.modules,
        question.rtol,
        question.seconds,
        question.limits,
        question.driver,
        list(question.needs),
        parts,
        cases,
        [],
    )
    given = [cell.source for cell in assignment.given()]
    # what was trained wrongly is recognised by nothing, and takes long
    comparable = not any(
        isinstance(v, dict) and v.keys() & {"$accuracy", "$repaired", "$resnet8"}
        for case in cases
        for v in case.expected
    )
    mistakes = [
        KnownMistake(
            mistake.number,
            mistake.name,
            mistake.hint,
            _outputs(graded, given, assignment.with_variant(question, mistake))
            if comparable
            else [None] * len(cases),
        )
        for mistake in question.mistakes
    ]
    if comparable:
        mistakes += _mixed_channels(assignment, question, graded)
    return replace(graded, mistakes=mistakes)


def _mixed_channels(
    assignment: Assignment, question: Question, graded: GradedQuestion
) -> list[KnownMistake]:
    """See `mixed`: one argument's channels are mixed, or those of all, and of what is returned."""

    def outputs(case: GradedCase, names: list[str], back: bool) -> list[Any] | None:
        if not set(names) <= set(mixed.images(case.arguments)):
            return None
        arguments = {k: mixed.mixed(v) if k in names else v for k, v in case.arguments.items()}
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = _expected(
                    assignment, question, Case(case.name, arguments, case.visible, case.weight)
                )
        except Exception:  # an answer that cannot take them has no such mistake
            return None
        return [mixed.unmixed(value) for value in found] if back else found

    names = list(dict.fromkeys(n for case in graded.cases for n in mixed.images(case.arguments)))
    forms = [(f"{name}.reshape(C, -1).T", [name], False) for name in names]
    forms += [("reshape(C, -1).T", names, True)] if names else []
    return [
        KnownMistake(0, form, mixed.HINT, [outputs(case, own, back) for case in graded.cases])
        for form, own, back in forms
    ]


def _expected(assignment: Assignment, question: Question, case: Case) -> list[Any]:
    answer = question.answer(*(copied(v) for v in case.arguments.values()))
    values = outputs_of(answer, len(question.returns))
    if values is None:
        raise AssignmentError(
            f"{assignment.name}, {question.name}: the answer to {case.name!r} is not "
            f"{len(question.returns)} values: {', '.join(question.returns)}"
        )
    return [_expectation(value) for value in values]


def _expectation(value: Any) -> Any:
    if isinstance(value, Accuracy | Causes | Order | Repaired | ResNet8 | Separate):
        return {f"${type(value).__name__.lower()}": asdict(value)}
    return plain(value)


def copied(value: Any) -> Any:
    """Arguments that may be changed without harm."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copied(v) for v in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def outputs_of(result: Any, count: int) -> list[Any] | None:
    """A function's result as `count` outputs, None if it is not so many."""
    if count == 1:
        return [result]
    if isinstance(result, np.ndarray) and result.ndim == 0:
        return None
    several = isinstance(result, list | tuple | np.ndarray) and len(result) == count
    return list(result) if several else None


def _outputs(question: GradedQuestion, given: Sequence[str], source: str) -> list[list[Any] | None]:
    """What code that is trusted returns, case by case, in this process."""
    outputs: list[list[Any] | None] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a mistake's, which the author knows
        session = child.Session(task_of(question, given, _cells("own", [source])), Direct())
        for case in question.cases:
            answer = session.answer(copied(case.arguments))
            session.release()
            found = outputs_of(answer.get("result"), len(question.returns))
            pairs = zip(found, case.expected, strict=True) if found else ()
            outputs.append(None if found is None else [_kept(*pair) for pair in pairs])
    return outputs


def _kept(got: Any, expected: Any) -> Any:
    """What a mistake returned; of arrays' places, which differ each time, what is to be said."""
    if isinstance(expected, dict) and "$separate" in expected:
        wrong = bool(compare(got, expected, 0.0).text)
        return {"$separate": expected["$separate"] | {"wrong": wrong}}
    return got


def task_of(
    question: GradedQuestion, given: Iterable[str], cells: list[dict[str, Any]]
) -> dict[str, Any]:
    """A child's first message: see `child.Session`."""
    return {
        "given": _cells("given", given),
        "cells": cells,
        "parts": _cells("earlier part", question.parts),
        "modules": question.modules,
        "name": question.name,
        "driver": question.driver,
    }


def _cells(name: str, sources: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {"name": f"{name} {i}", "source": source, "how": "all"}
        for i, source in enumerate(sources, 1)
    ]
