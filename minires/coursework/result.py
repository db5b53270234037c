"""What grading found, as plain values that are stored as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from minires.typed import build


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
    """

    name: str
    points: float
    earned: float
    cases: list[CaseResult]
    hints: list[str]
    printed: str
    seconds: float

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
        Whose, after its file or folder.
    assignment, title : str
    questions : list of QuestionResult
    problem : str
        Why nothing could be graded.
    key : str
        Of the submission and the bundle: the same key needs no second grading.
    """

    student: str
    assignment: str
    title: str
    questions: list[QuestionResult]
    problem: str = ""
    key: str = ""

    @property
    def points(self) -> float:
        """That could be earned."""
        return sum(question.points for question in self.questions)

    @property
    def earned(self) -> float:
        """Rounded to a hundredth."""
        return round(sum(question.earned for question in self.questions), 2)

    def to_json(self) -> dict[str, Any]:
        """As plain values, with the sums."""
        return asdict(self) | {"points": self.points, "earned": self.earned}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """From plain values.

        Raises
        ------
        ValueError
            If something is missing, or of another type.
        """
        sums = ("points", "earned")
        return build(cls, {name: v for name, v in value.items() if name not in sums})
