"""Results as files: CSV, what Gradescope, Moodle and Canvas read, and a page a student."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minires.coursework.csv_output import as_csv, write_csv
from minires.coursework.marks.page import page
from minires.coursework.marks.show import case_feedback, feedback
from minires.coursework.result import ADJUSTMENT, PENALTY, Result
from minires.files import atomic_write
from minires.text import plain

Results = Sequence[Result]


def write_all(folder: Path, results: Results) -> None:
    """Write every form of an assignment's results below a folder."""
    write_csv(folder / "grades.csv", grades_csv(results))
    _write(folder / "grades.json", _json([result.to_json() for result in results]))
    for result in results:
        if result.damaged:  # then there is what was written before
            continue
        name = result.file_name
        _write(folder / "gradescope" / name / "results.json", _json(gradescope(result)))
        _write(folder / "pages" / f"{name}.html", page(result))


def write_platforms(folder: Path, results: Results) -> None:
    """Write what learning platforms import, below a folder."""
    write_csv(folder / "moodle.csv", moodle_csv(results))
    write_csv(folder / "canvas.csv", canvas_csv(results))


def write_class(
    folder: Path,
    by_assignment: Mapping[str, Results],
    absent: Sequence[tuple[str, str, str]],
    names: Callable[[Result], Result] | None = None,
    private: Path | None = None,
) -> None:
    """Write the whole class's results: of several assignments each in a folder of its own.

    `grades.csv` and `grades.json` always have everything, and a row for each of the `absent`.
    Of results under identifiers, which `names` gives back their names, it is below a `private`
    folder that there is what platforms import.
    """
    everything = [result for results in by_assignment.values() for result in results]
    if len(by_assignment) == 1:
        write_all(folder, everything)
        if names is None:
            write_platforms(folder, everything)
    else:
        for name in ("moodle.csv", "canvas.csv", "gradescope", "pages"):
            _move_away(folder / name)  # of the time when there was one assignment
        for name, results in by_assignment.items():
            write_all(folder / name, results)
            if names is None:
                write_platforms(folder / name, results)
    if names is not None and private is not None:
        for name, results in by_assignment.items():
            write_platforms(private / name, list(map(names, results)))
    write_csv(folder / "grades.csv", grades_csv(everything, absent))
    _write(folder / "grades.json", _json([result.to_json() for result in everything]))


def remove_pages(folder: Path, result: Result) -> None:
    """Remove what `write_all` wrote of a student who has another name now."""
    for place in (folder, folder / result.assignment):
        _move_away(place / "pages" / f"{result.file_name}.html")
        _move_away(place / "gradescope" / result.file_name)


def _move_away(path: Path) -> None:
    """Remove what was written by `write_all`, and is now written elsewhere."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _json(value: Any) -> str:
    """JSON that can be read by people: what does not print is a code in it, of the same value."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def gradescope(result: Result) -> dict[str, Any]:
    """What Gradescope reads as `results.json` (its autograder specification).

    Hidden tests show after the due date.
    """
    tests = [
        {
            "name": plain(f"{question.name}: {case.name}"),
            "score": round(case.earned, 4),
            "max_score": round(case.points, 4),
            "status": "passed" if case.passed else "failed",
            "output": plain(question.unanswered) or "\n".join(map(plain, case_feedback(case))),
            "visibility": "visible" if case.visible else "after_due_date",
        }
        for question in result.questions
        for case in question.cases
    ]
    output = (
        plain(result.problem) or f"{result.title}: {result.earned:g} of {result.points:g} points"
    )
    output = "\n".join([output, *map(plain, (change.told() for change in result.changes))])
    return {"score": result.earned, "output": output, "output_format": "text", "tests": tests}


def grades_csv(results: Results, absent: Sequence[tuple[str, str, str]] = ()) -> str:
    """A row a student, a column a question; of several assignments a row for each.

    The absent, each a student, an assignment and the reason, have empty rows. Where rules changed
    points, and where there is a due date, there are columns that say how `earned` came of the
    questions.
    """
    names = list(dict.fromkeys(q.name for result in results for q in result.questions))
    several = len({result.assignment for result in results}) > 1
    head = ["student", "assignment"] if several else ["student"]
    ruled = any(result.changes or result.due for result in results)
    sums = [*(RULED if ruled else ()), "earned", "maximum", *(DATED if ruled else ()), "problem"]
    rows: list[list[object]] = [[*head, *names, *sums]]
    for result in results:
        earned = {q.name: round(q.earned, 2) for q in result.questions}
        first = [result.student, result.assignment] if several else [result.student]
        columns = _columns(result)
        rows.append([*first, *(earned.get(n, "") for n in names), *(columns[n] for n in sums)])
    for student, assignment, why in absent:
        first = [student, assignment] if several else [student]
        rows.append([*first, *[""] * (len(rows[0]) - len(first) - 1), why])
    return as_csv(rows)


RULED = ("questions", "penalty", "adjustment")
DATED = ("due", "submitted", "time from", "remarks")


def _columns(result: Result) -> dict[str, object]:
    """What stands behind the questions, by headings."""

    def total(kind: str) -> float:
        return round(math.fsum(c.points for c in result.of_all() if c.kind == kind), 2)

    return {
        "questions": "" if result.damaged else result.before,
        "penalty": total(PENALTY),
        "adjustment": total(ADJUSTMENT),
        "earned": _earned(result),
        "maximum": "" if result.damaged else result.points,
        "due": result.due,
        "submitted": result.submitted or ("unknown" if result.due else ""),
        "time from": result.clock if result.due else "",
        "remarks": "; ".join(change.told() for change in result.changes),
        "problem": result.problem or ("nothing was answered" if result.unanswered else ""),
    }


def _earned(result: Result) -> float | str:
    return "" if result.damaged else result.earned


def moodle_csv(results: Results) -> str:
    """The columns of Moodle's grading worksheet; names and numbers are from its own folders."""
    rows: list[list[object]] = [
        ["Identifier", "Full name", "Grade", "Maximum Grade", "Feedback comments"]
    ]
    most = next((result.points for result in results if not result.damaged), "")
    for result in results:
        number = result.number if result.platform == "Moodle" else ""
        identifier = f"Participant {number}" if number else ""
        name = result.name or result.student
        points = most if result.damaged else result.points
        rows.append([identifier, name, _earned(result), points, feedback(result)])
    return as_csv(rows)


def canvas_csv(results: Results) -> str:
    """Canvas's gradebook: a row of possible points, then the students, with its own numbers."""
    title = results[0].title if results else "Assignment"
    points = results[0].points if results else 0
    rows: list[list[object]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title],
        ["    Points Possible", "", "", "", "", points],
    ]
    for result in results:
        number = result.number if result.platform == "Canvas" else ""
        sis = result.number if result.platform == "Gradescope" and "@" not in result.number else ""
        login = result.number if result.platform == "Blackboard" else ""
        if not result.platform and " " not in result.student:  # a folder, perhaps named so
            login = result.student
        rows.append([result.name or result.student, number, sis, login, "", _earned(result)])
    return as_csv(rows)
