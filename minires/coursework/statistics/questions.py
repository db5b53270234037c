"""What a class's results say of each question: how hard it is, what it tells, what goes wrong.

Difficulty is the mean share of the points; discrimination the correlation of a question's points
with the rest of the total, its own part taken out (Ebel and Frisbie, Essentials of Educational
Measurement, 1991).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minires.coursework.result import (
    FAILED,
    KNOWN_MISTAKE,
    CaseResult,
    QuestionResult,
    Result,
)
from minires.coursework.sandbox.parent import TIMED_OUT

Numbers = Sequence[float]

FEWEST = 3
"""Students for a correlation: of two it is 1 or -1, whatever they did."""

BLANK = "not implemented"


@dataclass(frozen=True)
class QuestionStatistics:
    """One question.

    Attributes
    ----------
    assignment, question : str
    points : float
    graded : int
        Students whose answer was graded.
    full, none : int
        How many of them have all points, and none.
    mean, median : float
        Of the points.
    difficulty : float
        The mean share of the points: 1 where everybody has all.
    discrimination : float or None
        From -1 to 1.
    undefined : str
        Why there is no discrimination.
    mistakes : list of (str, int)
        What went wrong and with how many students, the most frequent first.
    """

    assignment: str
    question: str
    points: float
    graded: int
    full: int
    none: int
    mean: float
    median: float
    difficulty: float
    discrimination: float | None
    undefined: str
    mistakes: list[tuple[str, int]]


def readable(results: Sequence[Result]) -> list[Result]:
    """Those of which something could be graded."""
    return [result for result in results if not result.problem]


def statistics(results: Sequence[Result]) -> list[QuestionStatistics]:
    """Of one assignment's results, question by question in the order of the notebook.

    Submissions that could not be read, and questions on which the grader failed, do not count.
    """
    results = readable(results)
    names = dict.fromkeys(q.name for result in results for q in result.questions)
    return [found for name in names if (found := _of(name, results)) is not None]


def _of(name: str, results: Sequence[Result]) -> QuestionStatistics | None:
    mine: list[QuestionResult] = []
    rest: list[float | None] = []
    for result in results:
        graded = [q for q in result.questions if not _failed(q)]
        for question in graded:
            if question.name == name:
                mine.append(question)
                rest.append(_share([q for q in graded if q is not question]))
    if not mine:
        return None
    points = Counter(question.points for question in mine).most_common(1)[0][0]
    shares = [_share([question]) or 0.0 for question in mine]
    pairs = [(share, other) for share, other in zip(shares, rest, strict=True) if other is not None]
    discrimination, undefined = correlation([s for s, _ in pairs], [o for _, o in pairs])
    wrong = Counter(mistake for question in mine for mistake in mistakes(question))
    return QuestionStatistics(
        results[0].assignment,
        name,
        points,
        len(mine),
        sum(question.passed for question in mine),
        sum(share == 0 for share in shares),
        points * float(np.mean(shares)),
        points * float(np.median(shares)),
        float(np.mean(shares)),
        discrimination,
        undefined,
        sorted(wrong.items(), key=lambda item: (-item[1], item[0])),
    )


def _failed(question: QuestionResult) -> bool:
    return not question.key and any(case.text.startswith(FAILED) for case in question.cases)


def _share(questions: Sequence[QuestionResult]) -> float | None:
    points = sum(question.points for question in questions)
    return sum(question.earned for question in questions) / points if points > 0 else None


def correlation(own: Numbers, rest: Numbers) -> tuple[float | None, str]:
    """Pearson's, of shares from 0 to 1; or None and why there is none."""
    if not own:
        return None, "there is no other question to compare with"
    if len(own) < FEWEST:
        return None, f"fewer than {FEWEST} students were graded"
    x, y = np.asarray(own, float), np.asarray(rest, float)
    if np.ptp(x) < 1e-9:
        return None, "all students have the same points here"
    if np.ptp(y) < 1e-9:
        return None, "all students have the same points in the rest"
    x, y = x - x.mean(), y - y.mean()
    value = float(x @ y) / float(np.sqrt((x @ x) * (y @ y)))
    return min(1.0, max(-1.0, value)), ""


def mistakes(question: QuestionResult) -> list[str]:
    """What went wrong in an answer, each once: what was recognised, else the tests that fail."""
    failed = [case for case in question.cases if not case.passed]
    found = [text for case in failed for text in _recognised(case, question.name)]
    return list(dict.fromkeys(found or [f'fails "{case.name}"' for case in failed]))


def _recognised(case: CaseResult, question: str) -> Iterator[str]:
    if case.text:
        yield _kind(case.text, question)
    for output in case.outputs:
        _, known, mistake = output.hint.partition(KNOWN_MISTAKE)
        if known:
            yield mistake.partition(". ")[0].removesuffix(".")
        elif output.hint:
            yield output.hint.removeprefix("your ").partition(". ")[0]


def _kind(text: str, question: str) -> str:
    """What kept a case from being judged, without what differs from student to student."""
    first = text.partition("\n")[0]
    if first in ("NotImplementedError", f"NotImplementedError: {question}"):
        return BLANK
    if first.startswith(TIMED_OUT):
        return "took too long"
    if changed := re.match(r"your code (changed its argument .*) in place", first):
        return f"{changed[1]} in place"
    if first.startswith("you returned "):
        return "returned something else than the values that are wanted"
    if exception := re.match(r"(\w+)(?::|$)", first):
        return f"raised {exception[1]}"
    return first
