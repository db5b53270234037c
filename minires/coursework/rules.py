"""What an instructor decides beside the tests: small files in the folder of the results.

course.toml      due dates, what being late costs, points of questions
adjustments.csv  student, question, points, comment: given or taken by hand
extensions.csv   student, due: another date for somebody
times.csv        student, submitted: when somebody handed in, where no file tells it

All are optional and are only read. A column `assignment` says which one, where there are several.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from minires.coursework.late import Penalty, later, read_moment
from minires.coursework.people import HEADINGS, People
from minires.coursework.result import ADJUSTMENT, Change
from minires.coursework.tables import Row, read_table
from minires.files import FileError, read_small
from minires.text import shown

COURSE, ADJUSTMENTS = "course.toml", "adjustments.csv"
EXTENSIONS, TIMES = "extensions.csv", "times.csv"
FILES = (COURSE, ADJUSTMENTS, EXTENSIONS, TIMES)
SUBMITTED = ("submitted", "lastmodifiedsubmission", "submissiontime", "submittedat")
MOST_POINTS = 10_000


@dataclass(frozen=True)
class Known:
    """What is graded of an assignment: its questions' points as graded, and its students."""

    questions: Mapping[str, float]
    people: People


Whose = tuple[str, str]
"""An assignment and a student."""


@dataclass
class Rules:
    """What the files say; without any, nothing.

    Attributes
    ----------
    zone : tzinfo or None
        Of the course's clock; this computer's without one.
    due : dict
        By assignment.
    penalties : dict
        By assignment.
    points : dict
        By assignment, other points of questions.
    adjustments : dict of list of Change
        By assignment and student.
    extensions, times : dict
        By assignment and student.
    notes : list of str
        What may be a slip and is no error.
    """

    zone: tzinfo | None = None
    due: dict[str, datetime] = field(default_factory=dict)
    penalties: dict[str, Penalty] = field(default_factory=dict)
    points: dict[str, dict[str, float]] = field(default_factory=dict)
    adjustments: dict[Whose, list[Change]] = field(default_factory=lambda: defaultdict(list))
    extensions: dict[Whose, datetime] = field(default_factory=dict)
    times: dict[Whose, datetime] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_rules(folders: Iterable[Path], known: Mapping[str, Known]) -> Rules:
    """The rules in folders, for assignments that are known; what is in several adds up.

    Raises
    ------
    FileError
        If something is wrong in a file; the message names the file and the line.
    """
    rules, places = Rules(), list(folders)
    for path in (folder / COURSE for folder in places):
        if path.exists():
            _course(path, known, rules)
    for folder in places:
        rules.notes += _misnamed(folder)
        for row in _rows(folder / ADJUSTMENTS, ["question"], ["points"], ["comment"]):
            _adjustment(row, known, rules)
        for row in _rows(folder / EXTENSIONS, ["due"]):
            for whose in _whose(row, known, rules):
                due = _moment(row, "due")
                due = later(rules.extensions.get(whose), due, rules.zone) or due
                rules.extensions[whose] = due
        for row in _rows(folder / TIMES, SUBMITTED):
            if row.get(*SUBMITTED) not in ("", "-"):
                for whose in _whose(row, known, rules):
                    rules.times[whose] = _moment(row, *SUBMITTED)
    return rules


def _rows(path: Path, *wanted: Sequence[str]) -> Iterable[Row]:
    """The rows of a table, if there is one, that says who somebody is."""
    return read_table(path, HEADINGS, *wanted) if path.exists() else ()


def _misnamed(folder: Path) -> list[str]:
    """A note for each file whose name is nearly one of rules, such as `adjustments.xlsx`."""
    return [
        f"{shown(path.name)} is not read; is it {near[0]}?"
        for path in sorted(folder.iterdir())
        if path.name not in FILES
        and (near := get_close_matches(path.name.lower(), FILES, 1, cutoff=0.8))
    ]


def _moment(row: Row, *headings: str) -> datetime:
    try:
        return read_moment(row.get(*headings))
    except ValueError as error:
        raise row.wrong(str(error)) from error


def _whose(row: Row, known: Mapping[str, Known], rules: Rules) -> Iterable[Whose]:
    """Whom a row is of; nobody, and a note, if the student has handed nothing in."""
    assignment = _assignment(row, known)
    try:
        yield assignment, known[assignment].people.find(row)
    except LookupError as error:
        rules.notes.append(f"{row.path.name}, line {row.line}: {error}")


def _assignment(row: Row, known: Mapping[str, Known], question: str = "") -> str:
    """Which assignment a row is of: the one that it names, or the only one that it can be."""
    named = row.get("assignment")
    if named:
        if named not in known:
            graded = ", ".join(sorted(known))
            raise row.wrong(f"no results of an assignment {shown(named)!r}, only of {graded}")
        fitting = [named]
    else:
        fitting = list(known)
    if question:
        without = fitting
        fitting = [name for name in without if question in known[name].questions]
        if not fitting:
            names = dict.fromkeys(q for name in without for q in known[name].questions)
            raise row.wrong(f"no question {shown(question)!r}, only {', '.join(names)}")
    if len(fitting) != 1:
        raise row.wrong(
            f"which assignment it is of, a column 'assignment' must say: {', '.join(fitting)}"
        )
    return fitting[0]


def _adjustment(row: Row, known: Mapping[str, Known], rules: Rules) -> None:
    question = row.get("question")
    points = row.number("points")
    if abs(points) > MOST_POINTS:
        raise row.wrong(f"{points:g} points are a slip")
    assignment = _assignment(row, known, question)
    try:
        student = known[assignment].people.find(row)
    except LookupError as error:
        raise row.wrong(str(error)) from error
    change = Change(ADJUSTMENT, points, row.get("comment"), question)
    rules.adjustments[assignment, student].append(change)


# ---------------------------------------------------------------------- course.toml


def _course(path: Path, known: Mapping[str, Known], rules: Rules) -> None:
    try:
        tables = tomllib.loads(read_small(path).decode("utf-8-sig"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: {error} (dates may stand in quotes)") from error
    try:
        if (zone := tables.pop("zone", None)) is not None:
            rules.zone = _zone(zone)
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise ValueError(f"{shown(name)!r} is unknown; there are zone and [ASSIGNMENT]")
            if name not in known:
                rules.notes.append(f"{path.name}: there are no results of [{shown(name)}]")
            try:
                _section(name, table, known.get(name), rules)
            except ValueError as error:
                raise ValueError(f"[{shown(name)}]: {error}") from error
    except ValueError as error:
        raise FileError(f"{path}: {error}") from error


def _zone(name: object) -> tzinfo:
    try:
        return ZoneInfo(str(name))
    except (ValueError, OSError, LookupError) as error:
        raise ValueError(
            f"zone {shown(str(name))!r} is not known here; write one such as Europe/Berlin"
        ) from error


def _section(name: str, table: Mapping[str, Any], known: Known | None, rules: Rules) -> None:
    if unknown := set(table) - {"due", "penalty", "points"}:
        raise ValueError(f"{shown(min(unknown))!r} is unknown; there are due, penalty, points")
    if "due" in table:
        rules.due[name] = read_moment(table["due"])
    if "penalty" in table:
        rules.penalties[name] = Penalty.read(str(table["penalty"]))
        if "due" not in table:
            raise ValueError("there is a penalty, and no due date")
    points = table.get("points", {})
    if not isinstance(points, dict):
        raise ValueError(f"points are a table of their own, [{name}.points]: question = points")
    for question, value in points.items():
        if known is not None and question not in known.questions:
            names = ", ".join(known.questions)
            raise ValueError(f"no question {shown(question)!r}, only {names}")
        if type(value) not in (int, float) or not 0 <= value <= MOST_POINTS:
            raise ValueError(f"{shown(str(value))!r} is no number of points of {question}")
        if known is not None and value and not known.questions[question]:
            raise ValueError(f"{question} was graded without points, so there is nothing to scale")
    rules.points[name] = {question: float(value) for question, value in points.items()}
