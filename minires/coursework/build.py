"""Build an assignment: the students' notebook, the instructor's, and the bundle for grading.

    DIR/student/NAME/NAME.ipynb          without solutions and hidden tests
    DIR/student/NAME/NAME.checks         the bundle's visible cases, for `minires check`
    DIR/instructor/NAME/NAME.ipynb       everything, in nbgrader's format
    DIR/instructor/seed.txt              of which the hidden inputs are drawn: `course_seed`
    DIR/bundle/NAME.bundle               for `minires grade`

Equal sources and seeds give equal bytes: cell ids come from names, and nothing holds a date.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minires.coursework.assignment import (
    BEGIN,
    BEGIN_HIDDEN,
    END,
    END_HIDDEN,
    Assignment,
)
from minires.coursework.bundle import SUFFIX, Bundle, make_bundle
from minires.coursework.cells import Cell, parse_percent
from minires.files import atomic_write

CHECKS = ".checks"
SEED = "seed.txt"


def course_seed(folder: Path, seed: int | None = None) -> int:
    """The seed of the course that is built in a folder, kept in the instructor's part of it.

    Without one that is given or kept it is random: 128 bits, which nobody guesses.

    Raises
    ------
    ValueError
        If another one is kept there, or the file holds none.
    """
    place = folder / "instructor" / SEED
    kept = read_seed(place) if place.exists() else None
    if seed is not None and kept is not None and seed != kept:
        raise ValueError(
            f"{folder} was built with another seed ({place}); build into another folder, or remove "
            "that file to draw other hidden inputs"
        )
    made = sorted((folder / "bundle").glob("*.bundle"))
    if seed is None and kept is None and made:
        raise ValueError(
            f"{place} is gone, so a new seed would be drawn and {made[0]} replaced: put it back, "
            "give --seed N, or build into another folder"
        )
    chosen = seed if seed is not None else kept if kept is not None else secrets.randbits(128)
    _write(place, f"{chosen}\n")
    return chosen


def read_seed(place: Path) -> int:
    """The seed in a file.

    Raises
    ------
    ValueError
        If it holds none.
    """
    try:
        return int(place.read_text(encoding="ascii"))
    except ValueError as error:
        raise ValueError(f"{place} holds no seed, which is a whole number") from error


def build(assignment: Assignment, folder: Path, seed: int) -> Bundle:
    """Write everything of an assignment below a folder; the bundle is returned too."""
    bundle = make_bundle(assignment, seed)
    name = assignment.name
    _write(folder / "student" / name / f"{name}.ipynb", student_notebook(assignment))
    bundle.visible_only().save(folder / "student" / name / f"{name}{CHECKS}")
    _write(folder / "instructor" / name / f"{name}.ipynb", instructor_notebook(assignment))
    bundle.save(folder / "bundle" / f"{name}{SUFFIX}")
    return bundle


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())


def student_notebook(assignment: Assignment) -> str:
    """The notebook with a `NotImplementedError` where each solution was."""
    return notebook(assignment, [_blank(cell) for cell in _with_tests(assignment)])


def instructor_notebook(assignment: Assignment) -> str:
    """The notebook with solutions and, behind each check, the hidden test for nbgrader."""
    return notebook(assignment, list(_with_tests(assignment)))


def written(folder: Path) -> list[Cell]:
    """The cells of the assignment in a folder, with solutions; nothing is run."""
    return parse_percent((folder / "assignment.py").read_text(encoding="utf-8"))


def handed_out(cells: Iterable[Cell]) -> list[str]:
    """Of an assignment's cells the code that students get."""
    return [_blank(cell).source for cell in cells if cell.kind == "code"]


def _blank(cell: Cell) -> Cell:
    lines = cell.source.splitlines()
    if cell.role == "question":
        lines = list(_replaced(lines, BEGIN, END, f'raise NotImplementedError("{cell.name}")'))
    lines = list(_replaced(lines, BEGIN_HIDDEN, END_HIDDEN, None))
    return Cell(cell.kind, "\n".join(lines), cell.role, cell.name, cell.number)


def _replaced(lines: list[str], begin: str, end: str, by: str | None) -> Iterator[str]:
    """The lines, with everything between two markers replaced."""
    inside = False
    for line in lines:
        if line.strip() == begin:
            inside = True
            if by is not None:
                yield line[: len(line) - len(line.lstrip())] + by
        elif line.strip() == end:
            inside = False
        elif not inside:
            yield line


def _with_tests(assignment: Assignment) -> Iterator[Cell]:
    """The cells, and behind each check one whose value nbgrader takes as the points earned.

    It is a cell of its own, so that a check that fails does not lose the partial credit.
    """
    for cell in assignment.cells:
        yield cell
        if cell.role == "check":
            lines = [
                "# When this is graded, the hidden tests run here.",
                BEGIN_HIDDEN,
                "from minires.coursework.in_nbgrader import points",
                f'points("{assignment.name}", "{cell.name}")',
                END_HIDDEN,
            ]
            yield Cell("code", "\n".join(lines), "test", cell.name)


def notebook(assignment: Assignment, cells: list[Cell]) -> str:
    """Cells as the text of a notebook, format 4.5."""
    document = {
        "cells": [_json_cell(assignment, cell, place) for place, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            "minires": {"assignment": assignment.name},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _json_cell(assignment: Assignment, cell: Cell, place: int) -> dict[str, Any]:
    name = f"{cell.role}-{cell.name}" if cell.role else f"{cell.kind}-{place}"
    if cell.role == "question":
        name = cell.name
    identity = hashlib.sha256(f"{assignment.name}/{name}".encode()).hexdigest()[:12]
    written: dict[str, Any] = {"cell_type": cell.kind, "id": identity, "metadata": {}}
    if cell.role:
        written["metadata"] = {"nbgrader": _metadata(assignment, cell, name)}
    if cell.kind == "code":
        written |= {"execution_count": None, "outputs": []}
    return written | {"source": cell.source.splitlines(keepends=True)}


def _metadata(assignment: Assignment, cell: Cell, grade_id: str) -> dict[str, Any]:
    """nbgrader's, schema 3."""
    values: dict[str, Any] = {
        "grade": cell.role == "test",
        "grade_id": grade_id,
        "locked": cell.role != "question",
        "schema_version": 3,
        "solution": cell.role == "question",
        "task": False,
    }
    if cell.role == "test":
        values["points"] = assignment.questions[cell.name].points
    return dict(sorted(values.items()))
