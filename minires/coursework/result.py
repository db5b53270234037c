"""What grading found, as plain values that are stored as JSON."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

from minires.typed import build

FORMAT = 2
"""Of stored results; those of format 1 said neither this nor what a question's result is of."""

FAILED = "the grader failed here, which is not your fault; tell your instructor: "
"""How the text begins of what is no mistake of the student's."""

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

    @property
    def points(self) -> float:
        """That could be earned."""
        return float(sum(question.points for question in self.questions))

    @property
    def earned(self) -> float:
        """Rounded to a hundredth."""
        return round(sum(question.earned for question in self.questions), 2)

    @property
    def file_name(self) -> str:
        """The student as a name that is safe for a file."""
        return file_name(self.student)

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
    """A student as a name that is safe for a file, and no other student's."""
    safe = re.sub(r"[^\w.-]", "_", student).strip(".")
    while len(safe.encode()) > 80:
        safe = safe[:-1]
    if safe == student and safe.split(".")[0].upper() not in DEVICES:
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
