"""The table of what was not graded, which is kept from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minires.coursework.csv_output import as_csv, cell, write_csv
from minires.coursework.submissions.collect import Collected
from minires.coursework.tables import read_rows
from minires.files import whole

COLUMNS = ["student", "file", "why", "given"]


def write_not_graded(path: Path, found: Collected, places: Sequence[Path]) -> None:
    """Write what was left out, and why, below what earlier runs left out.

    A row of an earlier run stays unless its file was given again, or all the places that were given
    then: what is not there any more is missed by nobody.
    """
    given = [str(cell(whole(place).as_posix())) for place in places]
    names = [one.file for mine in found.submissions.values() for one in mine]
    again = {str(cell(name)).strip() for name in [*names, *(one.file for one in found.left_out)]}
    rows: list[list[str]] = []
    for _, cells in read_rows(path)[1:] if path.exists() else ():
        _, file, _, before = row = [*cells, "", "", "", ""][: len(COLUMNS)]
        same = bool(before) and set(before.split("\n")) <= set(given)
        if file not in again and not same:
            rows.append(row)
    rows += [[one.student, one.file, one.why, "\n".join(given)] for one in found.left_out]
    write_csv(path, as_csv([COLUMNS, *rows]))
