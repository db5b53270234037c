"""What an instructor decides beside the tests: small files in the folder of the results.

course.toml      due dates, what being late costs, points of questions
adjustments.csv  student, points, perhaps question, comment: given or taken by hand
extensions.csv   student, due: another date for somebody
times.csv        student, submitted: when somebody handed in, where no file tells it

All are optional and are only read. A column `assignment` says which one, where there are several.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from minires.coursework.dates_and_times import changed_clock, instant, read_moment
from minires.coursework.marks import slips
from minires.coursework.marks.late import Penalty
from minires.coursework.result import ADJUSTMENT, Change
from minires.coursework.submissions.people import HEADINGS, People
from minires.coursework.tables import Row, plain_name, read_table
from minires.files import FileError, read_small
from minires.text import shown

COURSE, ADJUSTMENTS = "course.toml", "adjustments.csv"
EXTENSIONS, TIMES = "extensions.csv", "times.csv"
FILES = (COURSE, ADJUSTMENTS, EXTENSIONS, TIMES)
SUBMITTED = (
    *("submitted", "lastmodifiedsubmission", "submissiontime", "submittedat"),
    *("zuletztgeandertabgabe", "dernieremodificationtravailremis", "ultimamodificacionentrega"),
)
MOST_POINTS = 10_000


@dataclass(frozen=True)
class Known:
    """What is graded of an assignment: its questions' points as graded, and its students.

    Those of `beside` are in the class, and have no row: what a file says of them is no slip.
    """

    questions: Mapping[str, float]
    people: People
    beside: People = field(default_factory=lambda: People(()))


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
    by_hand: list[tuple[Row, Whose, Change]] = []
    for path in (folder / COURSE for folder in places):
        if path.exists():
            _course(path, known, rules)
    for folder in places:
        rules.notes += _misnamed(folder)
        for row in _rows(folder / ADJUSTMENTS, ["points"]):
            by_hand += _adjustment(row, known, rules)
    rules.notes += slips.repeated(by_hand)
    for name, headings, moments in (
        (EXTENSIONS, ("due",), rules.extensions),
        (TIMES, SUBMITTED, rules.times),
    ):
        said: dict[Whose, Row] = {}
        for folder in places:
            for row in _rows(folder / name, headings):
                if name == EXTENSIONS or row.get(*headings) not in ("", "-"):
                    _moment_of(row, headings, known, rules, moments, said)
        if name == EXTENSIONS:
            rules.notes += slips.idle(moments, said, rules.due, rules.zone)
    return rules


def _moment_of(
    row: Row,
    headings: Sequence[str],
    known: Mapping[str, Known],
    rules: Rules,
    moments: dict[Whose, datetime],
    said: dict[Whose, Row],
) -> None:
    """Note when something of somebody is due or came, which no two rows may say differently."""
    moment = _moment(row, *headings)
    if odd := changed_clock(moment, rules.zone):
        rules.notes.append(f"{row.path.name}, line {row.line}: {odd}")
    for whose in _whose(row, known, rules):
        before = moments.setdefault(whose, moment)
        first = said.setdefault(whose, row)
        if instant(before, rules.zone) != instant(moment, rules.zone):
            place = "" if first.path == row.path else f"{first.path}, "
            place += f"line {first.line}"
            raise row.wrong(
                f"{shown(row.get(*headings))!r} for {shown(whose[1])}, and {place} says "
                f"{shown(first.get(*headings))!r}"
            )


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
    """Whom a row is of; nobody, and a note, if it is of who or what is known and not graded."""
    assignment = _assignment(row, known, rules)
    if not assignment:
        return
    try:
        yield assignment, known[assignment].people.find(row)
    except LookupError as error:
        others = [one.people for name, one in known.items() if name != assignment]
        if not any(_is_among(row, people) for people in (known[assignment].beside, *others)):
            raise row.wrong(f"{error}{known[assignment].people.near(row)}") from error
        rules.notes.append(f"{row.path.name}, line {row.line}: {error}")


def _is_among(row: Row, people: People) -> bool:
    try:
        people.find(row)
    except LookupError:
        return False
    except FileError:  # more than one may be meant
        return True
    return True


def _near(name: str, known: Iterable[str]) -> str:
    """The assignment that a name may be a slip of; of other numbers it is another assignment."""
    numbers = [int(n) for n in re.findall(r"\d+", name, re.ASCII)]
    same = {
        plain_name(one): one
        for one in known
        if not numbers or numbers == [int(n) for n in re.findall(r"\d+", one, re.ASCII)]
    }
    same |= {re.sub(r"\d", "", plain): one for plain, one in same.items()}
    plain = plain_name(name)
    near = get_close_matches(plain, same, 1, cutoff=0.8) or get_close_matches(
        re.sub(r"\d", "", plain), same, 1, cutoff=0.8
    )
    return same[near[0]] if near else ""


def _assignment(row: Row, known: Mapping[str, Known], rules: Rules, question: str = "") -> str:
    """Which assignment a row is of: the one that it names, or the only one that it can be.

    Of one that is not graded yet, nothing, and a note.
    """
    named = row.get("assignment")
    if named:
        if named not in known:
            if near := _near(named, known):
                raise row.wrong(f"no results of an assignment {shown(named)!r}; is it {near}?")
            rules.notes.append(
                f"{row.path.name}, line {row.line}: there are no results of {shown(named)}"
            )
            return ""
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


def _adjustment(
    row: Row, known: Mapping[str, Known], rules: Rules
) -> Iterable[tuple[Row, Whose, Change]]:
    slips.misspelt(row, "question", "comment")
    question = row.get("question")
    only_said = row.get("comment") and not row.get("points")
    points = 0.0 if only_said else row.number("points")
    if abs(points) > MOST_POINTS:
        raise row.wrong(f"{points:g} points are a slip")
    assignment = _assignment(row, known, rules, question)
    if not assignment:
        return
    people = known[assignment].people
    try:
        student = people.find(row)
    except LookupError as error:
        raise row.wrong(f"{error}{people.near(row)}") from error
    change = Change(ADJUSTMENT, points, row.get("comment"), question)
    rules.adjustments[assignment, student].append(change)
    yield row, (assignment, student), change


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
                if near := _near(name, known):
                    raise ValueError(f"no results of [{shown(name)}]; is it {near}?")
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
        if odd := changed_clock(rules.due[name], rules.zone):
            rules.notes.append(f"{COURSE}: [{shown(name)}]: {odd}")
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
