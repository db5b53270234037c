"""The table of what was not graded, which is kept from run to run."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from minires.coursework.csv_output import as_csv, cell, write_csv
from minires.coursework.submissions.collect import Collected, LeftOut
from minires.coursework.tables import read_rows
from minires.files import whole

COLUMNS = ["student", "file", "why", "given"]


def not_elsewhere(left_out: Sequence[LeftOut], graded: Container[tuple[str, str]]) -> list[LeftOut]:
    """What was left out, without what is for another assignment and graded there.

    `graded` has each assignment with each file, or each student.
    """
    return [
        one
        for one in left_out
        if not one.other
        or ((one.other, one.file) not in graded and (one.other, one.student) not in graded)
    ]


def write_not_graded(
    path: Path,
    found: Collected,
    places: Sequence[Path],
    graded: Container[tuple[str, str]] = frozenset(),
) -> None:
    """Write what was left out, and why, below what earlier runs left out.

    A row of an earlier run stays unless its file was given again, or all the places that were given
    then: what is not there any more is missed by nobody. What an earlier run said of a file for
    another assignment stays.
    """
    given = [str(cell(whole(place).as_posix())) for place in places]
    names = [one.file for mine in found.submissions.values() for one in mine]
    others = {_written(one.file): one.why for one in found.left_out if one.other}
    again = {*map(_written, names)}
    again |= {_written(one.file) for one in found.left_out if not one.other}
    rows: list[list[str]] = []
    for _, cells in read_rows(path)[1:] if path.exists() else ():
        _, file, why, before = row = [*cells, "", "", "", ""][: len(COLUMNS)]
        same = bool(before) and set(before.split("\n")) <= set(given)
        stays = why != others[file] if file in others else not same
        if file not in again and stays:
            rows.append(row)
    told = {row[1] for row in rows}
    rows += [
        [one.student, one.file, one.why, "\n".join(given)]
        for one in not_elsewhere(found.left_out, graded)
        if not one.other or _written(one.file) not in told
    ]
    write_csv(path, as_csv([COLUMNS, *rows]))


def _written(name: str) -> str:
    """A name as it is read again."""
    return str(cell(name)).strip()
