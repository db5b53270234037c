"""What an instructor's rules say that is no error, and nearly always a slip: a note for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from difflib import get_close_matches

from minires.coursework.dates_and_times import instant, told
from minires.coursework.result import Change, Result
from minires.coursework.tables import Row
from minires.text import shown

Whose = tuple[str, str]


def repeated(rows: Sequence[tuple[Row, Whose, Change]]) -> list[str]:
    """That rows give points to one student for one question: they add up."""
    of_one: dict[tuple[Whose, str], list[tuple[Row, Change]]] = defaultdict(list)
    for row, whose, change in rows:
        if change.points:
            of_one[whose, change.question].append((row, change))
    notes = []
    for ((_, student), question), found in of_one.items():
        if len(found) > 1:
            total = round(sum(change.points for _, change in found), 2)
            what = f"{total:+g} in all for {shown(student)}, {question or 'the whole assignment'}"
            same = len({change for _, change in found}) == 1
            slip = "the same" if same else "of one question" if question else "of one student"
            why = "unless they are meant so" if same else "if it corrects another"
            places = _places([row for row, _ in found])
            notes.append(f"{places} are {slip}, and all count ({what}): remove one {why}")
    return notes


def _places(rows: Sequence[Row]) -> str:
    """Where rows are."""
    if len({row.path for row in rows}) > 1:
        return " and ".join(f"{row.path}, line {row.line}," for row in rows).rstrip(",")
    lines = [str(row.line) for row in rows]
    return f"{rows[0].path.name}, lines {', '.join(lines[:-1])} and {lines[-1]}"


def idle(
    extensions: Mapping[Whose, datetime],
    rows: Mapping[Whose, Row],
    due: Mapping[str, datetime],
    zone: tzinfo | None,
) -> list[str]:
    """That an extension changes nothing, as it is earlier than the due date or there is none."""
    without = dict.fromkeys(name for name, _ in extensions if name not in due)
    notes = [
        f"{next(row for (one, _), row in rows.items() if one == name).path.name}: course.toml has "
        f"no due date of {name}, so nothing is extended: write it there"
        for name in without
    ]
    for (name, student), moment in extensions.items():
        if name in due and instant(moment, zone) < instant(due[name], zone):
            row = rows[name, student]
            notes.append(
                f"{row.path.name}, line {row.line}: {told(moment, zone)} is earlier than "
                f"{told(due[name], zone)}, when {name} is due, so nothing is extended"
            )
    return notes


def misspelt(row: Row, *headings: str) -> None:
    """Refuse a row that says something under nearly the name of a column that may be missing.

    Raises
    ------
    FileError
        If it does.
    """
    for heading in headings:
        others = [one for one in row.cells if one not in headings]
        near = get_close_matches(heading, others, 1, cutoff=0.8)
        if near and heading not in row.cells:
            raise row.wrong(f"is the column {near[0]!r} meant as {heading!r}? Name it so")


def above(results: Sequence[Result]) -> list[str]:
    """That points given by hand are more than there are: a bonus, or a comma forgotten."""
    notes = []
    for result in results:
        given = {change.question for change in result.changes if change.points > 0}
        found = [
            f"{question.name} {round(question.earned, 2):g} of {question.points:g}"
            for question in result.questions
            if question.name in given and question.earned > question.points + 1e-9
        ]
        if not found and given and result.earned > result.points + 1e-9:
            found = [f"{result.assignment} {result.earned:g} of {result.points:g}"]
        if found:
            notes.append(
                f"{shown(result.student)}: {', '.join(found)} points, more than there are; right "
                "if it is a bonus"
            )
    return notes
