"""Which answers of a class are more alike than usual: a hint where to read, never a verdict.

Of two answers the share in common is that of their fragments (Dice 1945). How much that means
depends on the question: of a line that everybody writes all have all in common. So beside it stand
how much two of the class's answers usually have in common, and how many of the fragments are rare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minires.coursework.similarity.fingerprints import Fragments

FEWEST = 10
"""Answers from which on there is something usual."""

SHORT = 20
"""Fragments; of two shorter answers it says little that they are alike."""

LEAST_SHARE = 0.6
LEAST_RARE = 8
"""What two answers have in common that are told of: this share, and so many rare fragments."""

AT_A_TIME = 4096
"""Fragments, which bounds the memory."""


@dataclass(frozen=True)
class Answered:
    """Whose answers these are, in which file; fragments by question, and a hash of the text."""

    student: str
    path: Path
    answers: Mapping[str, Fragments]
    text: str = ""


@dataclass(frozen=True)
class Usual:
    """One question in the class.

    Attributes
    ----------
    question : str
    answers : int
    fragments : float
        The median of an answer's.
    share : float or None
        The median of what two answers have in common; None with fewer than `FEWEST` answers.
    rare : int
        At most so many answers have a fragment that is rare.
    equal : int
        The largest number of answers that are one and the same.
    """

    question: str
    answers: int
    fragments: float
    share: float | None
    rare: int
    equal: int

    @property
    def short(self) -> bool:
        """Whether it says little that two answers are alike."""
        return self.fragments < SHORT


@dataclass(frozen=True)
class Shared:
    """What two answers to a question have in common: a share of them, and rare fragments."""

    usual: Usual
    share: float
    rare: int


@dataclass(frozen=True)
class Pair:
    """Two submissions, and the questions in which they have more in common than usual."""

    student: str
    other: str
    questions: list[Shared]

    @property
    def rare(self) -> int:
        """Rare fragments in all these questions."""
        return sum(one.rare for one in self.questions)


def identical(submissions: Sequence[Answered]) -> list[list[str]]:
    """Who handed in the same code to the letter, names and comments too; not of one file."""
    groups: dict[str, dict[Path, str]] = {}
    for one in submissions:
        if one.text and any(one.answers.values()):
            groups.setdefault(one.text, {}).setdefault(one.path, one.student)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def similar(
    submissions: Sequence[Answered], questions: Sequence[str]
) -> tuple[list[Usual], list[Pair]]:
    """What is usual for each question, and the pairs with more than that, the most striking first.

    Two students with one file, as of a group, are no pair.
    """
    usual = []
    numbers = {path: i for i, path in enumerate(dict.fromkeys(one.path for one in submissions))}
    found: dict[tuple[int, int], list[Shared]] = {}
    for question in questions:
        which = [i for i, one in enumerate(submissions) if one.answers.get(question)]
        answers = [submissions[i].answers[question] for i in which]
        files = np.array([numbers[submissions[i].path] for i in which])
        common, rare, limit = _common(answers)
        sizes = np.array([len(answer) for answer in answers], np.float32)
        share = 2 * common / (sizes[:, None] + sizes)
        pairs = np.triu(files[:, None] != files, 1)
        one = Usual(
            question,
            len(answers),
            float(np.median(sizes)) if answers else 0.0,
            float(np.median(share[pairs])) if len(answers) >= FEWEST and pairs.any() else None,
            limit,
            max(Counter(answers).values(), default=0),
        )
        usual.append(one)
        more = (share >= LEAST_SHARE) & (share > (one.share or 0.0))
        for i, j in np.argwhere(pairs & more & (rare >= LEAST_RARE)):
            shared = Shared(one, float(share[i, j]), int(rare[i, j]))
            found.setdefault((which[i], which[j]), []).append(shared)
    told = [
        Pair(submissions[i].student, submissions[j].student, shared)
        for (i, j), shared in found.items()
    ]
    return usual, sorted(told, key=lambda pair: (-pair.rare, pair.student, pair.other))


def _common(answers: Sequence[Fragments]) -> tuple[Any, Any, int]:
    """How many fragments each two answers share, how many of these are rare, and what rare is.

    Fragments that one answer has are shared by none, and left out.
    """
    having = Counter(fragment for answer in answers for fragment in answer)
    limit = max(3, round(0.05 * len(answers)))
    columns = {f: i for i, f in enumerate(sorted(f for f, n in having.items() if n > 1))}
    is_rare = np.array([having[f] <= limit for f in columns], bool)
    at = [np.array([columns[f] for f in answer if f in columns], int) for answer in answers]
    common = np.zeros((len(answers), len(answers)), np.float32)
    rare = np.zeros_like(common)
    for first in range(0, len(columns), AT_A_TIME):
        table = np.zeros((len(answers), min(AT_A_TIME, len(columns) - first)), np.float32)
        for row, mine in zip(table, at, strict=True):
            row[mine[(mine >= first) & (mine < first + len(row))] - first] = 1
        common += table @ table.T
        table = table[:, is_rare[first : first + table.shape[1]]]
        rare += table @ table.T
    return common, rare, limit
