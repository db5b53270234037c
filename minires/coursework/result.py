"""What grading found, as plain values that are stored as JSON."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

from minires.typed_json import build

FORMAT = 3
"""Of stored results; those of format 1 said neither this nor what a question's result is of, those
of format 2 not when it was handed in."""

FAILED = "the grader failed here, which is not your fault; tell your instructor: "
"""How the text begins of what is no mistake of the student's."""

DAMAGED = "the stored result is damaged: grade what was handed in again"
"""The problem of who has a row and no points, since nobody can tell them."""

KNOWN_MISTAKE = " equals that of a known mistake: "
"""What stands in a hint before the mistake's name; behind it are a full stop and what to do."""

T = TypeVar("T")


@dataclass(frozen=True)
class OutputResult:
    """One returned value in one case.

    Attributes
    ----------
    name : str
    share : float
        Of its points: 1 if it is right.
    text : str
        What is wrong.
    hint : str
        The mistake that it looks like.
    pictures : dict of str
        Heat maps of what was got, expected, and the error: PNG in base64.
    """

    name: str
    share: float
    text: str = ""
    hint: str = ""
    pictures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseResult:
    """One test of a question; `text` is what kept it from being judged, such as an exception."""

    name: str
    visible: bool
    points: float
    earned: float
    text: str = ""
    outputs: list[OutputResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return self.earned == self.points


@dataclass(frozen=True)
class QuestionResult:
    """One question.

    Attributes
    ----------
    name : str
    points, earned : float
    cases : list of CaseResult
    hints : list of str
        Mistakes recognised, each once.
    printed : str
        The beginning of what the student's code printed.
    seconds : float
    key : str
        Of what was graded: equal keys, equal results. Empty if it must be graded again.
    """

    name: str
    points: float
    earned: float
    cases: list[CaseResult]
    hints: list[str]
    printed: str
    seconds: float
    key: str = ""

    @property
    def passed(self) -> bool:
        """Whether all points were earned."""
        return all(case.passed for case in self.cases)

    @property
    def unanswered(self) -> str:
        """That there is no answer, in a few words; empty if there is one."""
        heads = {case.text.partition("\n")[0] for case in self.cases}
        if heads and heads <= {"NotImplementedError", f"NotImplementedError: {self.name}"}:
            return "not answered"
        missing = f"NameError: {self.name} is not defined"
        if missing in heads and heads <= {"NameError", missing}:
            return f"not answered: nothing here is named {self.name}"
        return ""

    def worth(self, points: float) -> Self:
        """The same of a question that counts so many points: everything in proportion."""
        if points == self.points:
            return self
        scale = points / self.points
        cases = [
            replace(case, points=scale * case.points, earned=scale * case.earned)
            for case in self.cases
        ]
        return replace(self, points=points, earned=scale * self.earned, cases=cases)


ADJUSTMENT, PENALTY = "adjustment", "penalty"


@dataclass(frozen=True)
class Change:
    """Points that an instructor's rule gave or took, and why.

    Attributes
    ----------
    kind : str
        `ADJUSTMENT` or `PENALTY`.
    points : float
        Less than 0 if they are taken.
    why : str
        What the student reads.
    question : str
        Whose points these are; empty for the whole assignment's.
    """

    kind: str
    points: float
    why: str
    question: str = ""

    def told(self) -> str:
        """In a line."""
        points = round(self.points, 2)
        whose = f"{self.question}, " if self.question else ""
        why = f": {self.why}" if self.why else ""
        return f"{whose}{self.kind} {f'{points:+g}' if points else '0'}{why}"


@dataclass(frozen=True)
class Result:
    """One submission.

    Attributes
    ----------
    student : str
        Whose, after its file or folder; unique in a class.
    assignment, title : str
    questions : list of QuestionResult
    problem : str
        Why nothing could be graded.
    key : str
        Of the submission's content.
    file : str
        What was graded, from the folder of the class on.
    name, number, platform : str
        The student's name and number as a learning platform, such as Moodle, has them.
    submitted, clock : str
        When it was handed in, and who says so: see `platforms.came`.
    due : str
        When it was due.
    changes : list of Change
        What the instructor's rules did: see `marks`. Those of a question are in its points already.

    Notes
    -----
    What is stored is of the tests alone: times are in ISO 8601, and neither `due` nor `changes` are
    set. What is published went through `marks.marked`.
    """

    student: str
    assignment: str
    title: str
    questions: list[QuestionResult]
    problem: str = ""
    key: str = ""
    file: str = ""
    name: str = ""
    number: str = ""
    platform: str = ""
    submitted: str = ""
    clock: str = ""
    due: str = ""
    changes: list[Change] = field(default_factory=list)

    @property
    def unanswered(self) -> bool:
        """Whether no question has an answer."""
        return bool(self.questions) and all(question.unanswered for question in self.questions)

    @property
    def damaged(self) -> bool:
        """Whether the stored result could not be read; then nothing is known but whose it is."""
        return self.problem == DAMAGED

    @property
    def points(self) -> float:
        """That could be earned."""
        return float(sum(question.points for question in self.questions))

    @property
    def before(self) -> float:
        """Of all questions, rounded to a hundredth, before what is of the whole assignment."""
        return round(math.fsum(question.earned for question in self.questions), 2)

    @property
    def earned(self) -> float:
        """Of everything, rounded to a hundredth, never below 0."""
        return round(max(0.0, math.fsum((self.before, *(c.points for c in self.of_all())))), 2)

    def of_all(self) -> list[Change]:
        """The changes of the whole assignment."""
        return [change for change in self.changes if not change.question]

    @property
    def file_name(self) -> str:
        """The student as a name that is safe for a file."""
        return file_name(self.student)

    def of(self, whose: Any) -> Self:
        """The same, as that of somebody: whatever has `student`, `name`, `number`, `platform`."""
        names = ("student", "name", "number", "platform")
        return replace(self, **{name: getattr(whose, name) for name in names})

    def tidy(self) -> Self:
        """The same, with texts that can be written to any file."""
        return _tidy(self)

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the sums and the format's version."""
        return {"format": FORMAT} | asdict(self) | {"points": self.points, "earned": self.earned}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """From plain values.

        Raises
        ------
        LaterFormat
            If a later version of minires wrote them.
        ValueError
            If something is missing, or of another type.
        """
        if not isinstance(value, dict):
            raise ValueError("results are an object")
        version = value.get("format", 1)
        if not isinstance(version, int) or version > FORMAT:
            raise LaterFormat(f"results of format {version}, of which only {FORMAT} is known")
        own = {field.name for field in fields(cls)}
        known = own | {"format", "points", "earned"}
        result = build(cls, {n: v for n, v in value.items() if n in own or n not in known})
        return result if version > 1 else replace(result, key="")


class LaterFormat(ValueError):
    """Results that a later version of minires wrote."""


def file_name(student: str) -> str:
    """A student as a name that is safe for a file, and no other student's.

    Neither where files whose names differ in case only are one, as on macOS and Windows.
    """
    safe = re.sub(r"[^\w.-]", "_", student).strip(".")
    while len(safe.encode()) > 80:
        safe = safe[:-1]
    if safe == student == student.casefold() and safe.split(".")[0].upper() not in DEVICES:
        return safe
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{safe}-{digest[:8]}"


DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{i}" for d in ("COM", "LPT") for i in range(10))}
"""What no file may be named on Windows."""


def _tidy(value: T) -> T:
    """With a backslash and digits for what no encoding has, such as half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # type: ignore[return-value]
    if isinstance(value, list):
        return [_tidy(v) for v in value]  # type: ignore[return-value]
    if isinstance(value, dict):
        return {k: _tidy(v) for k, v in value.items()}  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _tidy(getattr(value, f.name)) for f in fields(value)})
    return value
