"""What an instructor's notebook calls in its hidden tests when nbgrader runs it.

nbgrader runs a student's notebook in one process together with the tests. The tests here do not
trust what is in that process: they read the notebook's file, and grade the question in a child, as
`minires grade` does. The bundle is found in the folder that `MINIRES_COURSEWORK` names (a
build calls it `bundle`), or made from the checkout that minires runs from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import SUFFIX, Bundle, load_bundle, make_bundle
from minires.coursework.cells import read_submission
from minires.coursework.grade import grade_question
from minires.coursework.result import Result
from minires.coursework.sandbox import isolation_problem
from minires.coursework.show import feedback


def points(assignment: str, question: str, folder: str = ".") -> float:
    """Grade a question of the notebook in the current folder, and print the feedback.

    Parameters
    ----------
    assignment, question : str
    folder : str
        Where the notebook is.

    Returns
    -------
    float
        The points earned, which nbgrader takes as partial credit.

    Raises
    ------
    AssertionError
        If there are none, which nbgrader shows as a failed test.
    FileNotFoundError
        If the notebook is not there.
    """
    bundle = _bundle(assignment)
    cells = read_submission(_notebook(Path(folder), assignment))
    sandboxed = isolation_problem() is None or not os.environ.get("MINIRES_UNSAFE_NO_SANDBOX")
    graded = grade_question(bundle.question(question), bundle.given, cells, sandboxed=sandboxed)
    print(feedback(Result("", assignment, bundle.title, [graded])))
    assert graded.earned > 0, f"{question}: no test passes"
    return round(graded.earned, 4)


def _bundle(assignment: str) -> Bundle:
    folder = os.environ.get("MINIRES_COURSEWORK")
    if folder:
        return load_bundle(Path(folder) / f"{assignment}{SUFFIX}")
    return make_bundle(load_assignments(name=assignment)[0])


def _notebook(folder: Path, assignment: str) -> Path:
    """The notebook that says that it is for this assignment."""
    for path in _notebooks(folder):
        try:
            own = json.loads(path.read_bytes())["metadata"]["minires"]["assignment"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if own == assignment:
            return path
    raise FileNotFoundError(2, f"no notebook of {assignment} here", str(folder.resolve()))


def _notebooks(folder: Path) -> Iterable[Path]:
    return sorted(folder.glob("*.ipynb"))
