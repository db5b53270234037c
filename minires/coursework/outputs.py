"""Results as files: CSV, what Gradescope, Moodle and Canvas read, and a page a student."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from minires.coursework.collect import Submission
from minires.coursework.page import page
from minires.coursework.result import Result
from minires.coursework.show import case_feedback, feedback
from minires.files import atomic_write

Pairs = Sequence[tuple[Submission, Result]]


def write_all(folder: Path, pairs: Pairs) -> None:
    """Write every form of the results below a folder."""
    _write(folder / "grades.csv", grades_csv(pairs))
    _write(folder / "moodle.csv", moodle_csv(pairs))
    _write(folder / "canvas.csv", canvas_csv(pairs))
    _write(folder / "grades.json", _json([result.to_json() for _, result in pairs]))
    for submission, result in pairs:
        name = submission.file_name
        _write(folder / "gradescope" / name / "results.json", _json(gradescope(result)))
        _write(folder / "pages" / f"{name}.html", page(result))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())


def gradescope(result: Result) -> dict[str, Any]:
    """What Gradescope reads as `results.json` (its autograder specification).

    Hidden tests show after the due date.
    """
    tests = [
        {
            "name": f"{question.name}: {case.name}",
            "score": round(case.earned, 4),
            "max_score": round(case.points, 4),
            "status": "passed" if case.passed else "failed",
            "output": "\n".join(case_feedback(case)),
            "visibility": "visible" if case.visible else "after_due_date",
        }
        for question in result.questions
        for case in question.cases
    ]
    output = result.problem or f"{result.title}: {result.earned:g} of {result.points:g} points"
    return {"score": result.earned, "output": output, "output_format": "text", "tests": tests}


def grades_csv(pairs: Pairs) -> str:
    """A row a student, a column a question."""
    names = list(dict.fromkeys(q.name for _, result in pairs for q in result.questions))
    rows: list[list[object]] = [["student", *names, "earned", "points", "problem"]]
    for _, result in pairs:
        earned = {q.name: round(q.earned, 2) for q in result.questions}
        sums = [result.earned, result.points, result.problem]
        rows.append([result.student, *(earned.get(n, "") for n in names), *sums])
    return _csv(rows)


MOODLE = re.compile(r"^(?P<name>.+?)_(?P<id>\d+)_assignsubmission_file")
CANVAS = re.compile(r"^(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_")


def moodle_csv(pairs: Pairs) -> str:
    """The columns of Moodle's grading worksheet; names and numbers from its folders' names."""
    rows: list[list[object]] = [
        ["Identifier", "Full name", "Grade", "Maximum Grade", "Feedback comments"]
    ]
    for _, result in pairs:
        match = MOODLE.match(result.student)
        name = match["name"] if match else result.student
        identifier = f"Participant {match['id']}" if match else ""
        rows.append([identifier, name, result.earned, result.points, feedback(result)])
    return _csv(rows)


def canvas_csv(pairs: Pairs) -> str:
    """Canvas's gradebook: a row of possible points, then the students, by the ids in file names."""
    title = pairs[0][1].title if pairs else "Assignment"
    points = pairs[0][1].points if pairs else 0
    rows: list[list[object]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title],
        ["    Points Possible", "", "", "", "", points],
    ]
    for submission, result in pairs:
        match = CANVAS.match(submission.path.name)
        name, number = (match["name"], match["id"]) if match else (result.student, "")
        rows.append([name, number, "", "" if match else result.student, "", result.earned])
    return _csv(rows)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
