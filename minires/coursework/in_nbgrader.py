"""Grading in nbgrader: what its configuration names, and what an instructor's notebook calls.

`preprocessors` are the safe way: nbgrader runs no notebook, and each test's output is put in here,
in nbgrader's own process, from the notebook's source, graded in a child as `minires grade` does.

`points` is what the hidden tests call where nbgrader runs the notebook in a kernel. It reads the
notebook's file and grades in a child too; but what it returns passes through the student's process,
who can put another `points` in its place. So it suits honest work only.

The bundle is found in the folder that `MINIRES_COURSEWORK` names (a build calls it `bundle`), or
made from the checkout that minires runs from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import SUFFIX, Bundle, load_bundle, make_bundle
from minires.coursework.cells import Cell, parse_notebook, read_submission
from minires.coursework.grading.grade import grade_question
from minires.coursework.marks.show import feedback
from minires.coursework.result import QuestionResult, Result
from minires.coursework.sandbox.parent import isolation_problem


def preprocessors() -> list[Any]:
    """For `c.Autograde.autograde_preprocessors` in `nbgrader_config.py`.

    Returns
    -------
    list of type
        In the place of nbgrader's, of which the one that runs the notebook is left out.

    Raises
    ------
    ModuleNotFoundError
        If nbgrader is not installed.
    """
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        LimitOutput,
        NbGraderPreprocessor,
        SaveAutoGrades,
    )

    class Graded(NbGraderPreprocessor):  # type: ignore[misc]
        """Puts in each test's output."""

        def preprocess(self, nb: Any, resources: Any) -> Any:
            """As nbconvert calls it."""
            put_in_outputs(nb, resources["nbgrader"]["notebook"])
            return nb, resources

    return [Graded, LimitOutput, SaveAutoGrades, CheckCellMetadata]


def put_in_outputs(notebook: dict[str, Any], assignment: str) -> None:
    """Grade a notebook, and write points and feedback as the outputs of its tests.

    Parameters
    ----------
    notebook : dict
        Of format 4, changed in place: nothing that it had as outputs stays.
    assignment : str
        Its name, which is never the notebook's to say.
    """
    bundle = _bundle(assignment)
    cells = parse_notebook(json.dumps(notebook))
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = []
        own = cell["metadata"].get("nbgrader", {})
        if own.get("grade"):
            name = str(own.get("grade_id")).partition("-")[2]
            graded = _graded(bundle, name, cells)
            text = feedback(Result("", assignment, bundle.title, [graded]))
            cell["outputs"] = [_stream(text), _value(graded.earned, name)]


def _graded(bundle: Bundle, question: str, cells: list[Cell]) -> QuestionResult:
    sandboxed = isolation_problem() is None or not os.environ.get("MINIRES_UNSAFE_NO_SANDBOX")
    return grade_question(bundle.question(question), bundle.given, cells, sandboxed=sandboxed)


def _stream(text: str) -> Any:
    return _node({"output_type": "stream", "name": "stdout", "text": f"{text}\n"})


def _value(earned: float, question: str) -> Any:
    """A number is taken as points, an error as none; a 0 would not be taken."""
    if earned > 0:
        data = {"text/plain": repr(round(earned, 4))}
        kind = {"output_type": "execute_result", "execution_count": None}
        return _node(kind | {"data": _node(data), "metadata": _node({})})
    text = f"{question}: no test passes"
    error = {"output_type": "error", "ename": "AssertionError", "evalue": text, "traceback": [text]}
    return _node(error)


def _node(value: dict[str, Any]) -> Any:
    """A dict as nbformat has them, where it is installed."""
    try:
        from nbformat import NotebookNode
    except ModuleNotFoundError:
        return value
    node: Any = NotebookNode
    return node(value)


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
    graded = _graded(bundle, question, read_submission(_notebook(Path(folder), assignment)))
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
