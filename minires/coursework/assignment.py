"""An assignment: its source notebook and its questions, as its folder holds them.

04_batch_norm/assignment.py    what students read and write, in percent format
04_batch_norm/grading.py       the questions: see `question`
04_batch_norm/mistakes.py      wrong solutions that must lose points, with a hint each
04_batch_norm/right_ways.py    other right solutions, which must not

The last two run in the names of `grading.py`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import minires
from minires.coursework.cells import Cell, parse_percent
from minires.coursework.question import Question, Variant
from minires.gradcheck.own_file import told

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


class AssignmentError(ValueError):
    """An assignment's folder is not as it should be."""


@dataclass(frozen=True)
class Assignment:
    """One assignment.

    Attributes
    ----------
    name : str
        Of its folder.
    title : str
        The first heading.
    cells : list of Cell
        With solutions.
    questions : dict of Question
        By name, in the order of the notebook.
    """

    name: str
    title: str
    cells: list[Cell]
    questions: dict[str, Question]

    def solution(self, question: str) -> str:
        """The source of a question's cell, without markers."""
        cell = next(c for c in self.cells if c.role == "question" and c.name == question)
        return "\n".join(line for line in cell.source.splitlines() if line.strip() not in MARKERS)

    def given(self) -> list[Cell]:
        """The cells that students get as they are and must not change."""
        return [cell for cell in self.cells if cell.role == "given"]

    def with_variant(self, question: Question, variant: Variant) -> str:
        """A question's solution in another form.

        Raises
        ------
        AssignmentError
            If what the variant replaces does not occur exactly once.
        """
        if variant.old is None:
            return variant.source
        solution = self.solution(question.name)
        if solution.count(variant.old) != 1:
            raise AssignmentError(
                f"{self.name}, {question.name}: the mistake {variant.name!r} replaces a text that "
                f"occurs {solution.count(variant.old)} times in the solution: {variant.old!r}"
            )
        return solution.replace(variant.old, variant.source)


MARKERS = (BEGIN, END)


def assignments_folder() -> Path:
    """Where this project's own assignments are.

    Raises
    ------
    AssignmentError
        If minires was installed without its checkout.
    """
    folder = Path(minires.__file__).resolve().parent.parent / "notebooks" / "assignments"
    if not folder.is_dir():
        raise AssignmentError(
            "the assignments hold solutions and are not installed with minires: name them with "
            "--source, as a clone of minires's repository or the source archive "
            f"minires-{minires.__version__}.tar.gz, which is released beside the wheel"
        )
    return folder


def find_assignments(folder: Path | None = None) -> dict[str, Path]:
    """Every assignment in a folder, by default the project's, in order: names and places.

    Raises
    ------
    AssignmentError
        If there is none.
    """
    folder = assignments_folder() if folder is None else folder
    places = sorted(path.parent for path in folder.glob("*/grading.py"))
    if not places:
        raise AssignmentError(f"{folder} holds no assignment: no folder in it has a grading.py")
    return {place.name: place for place in places}


def question_names(folder: Path) -> list[str]:
    """The names of an assignment's questions, of which nothing is run."""
    try:
        cells = parse_percent((folder / "assignment.py").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [cell.name for cell in cells if cell.role == "question"]


def load_assignments(folder: Path | None = None, name: str | None = None) -> list[Assignment]:
    """Every assignment in a folder, or only the one that is named.

    Raises
    ------
    AssignmentError
        If there is none, or one is not as it should be.
    """
    places = find_assignments(folder)
    if name is None:
        return [load_assignment(place) for place in places.values()]
    if name not in places:
        raise AssignmentError(f"no assignment {name!r}, only {', '.join(places)}")
    return [load_assignment(places[name])]


def load_assignment(folder: Path) -> Assignment:
    """The assignment in a folder, whose files are run.

    Raises
    ------
    AssignmentError
        If something is missing, or questions and notebook do not agree.
    """
    name = folder.name
    source = folder / "assignment.py"
    if not source.is_file():
        raise AssignmentError(f"{source} is missing")
    cells = parse_percent(source.read_text(encoding="utf-8"))
    title = next(
        (m[1] for c in cells if (m := re.match(r"# (.+)", c.source)) and c.kind == "markdown"), name
    )
    found = {
        value.name: value for value in vars(_run(folder)).values() if isinstance(value, Question)
    }
    asked = [cell.name for cell in cells if cell.role == "question"]
    for problem in _disagreements(cells, asked, found):
        raise AssignmentError(f"{name}: {problem}")
    return Assignment(name, title, cells, {q: found[q] for q in asked})


def _disagreements(
    cells: list[Cell], asked: list[str], found: dict[str, Question]
) -> Iterator[str]:
    if sorted(asked) != sorted(found):
        yield f"the notebook asks {asked}, grading.py has {list(found)}"
    checked = [cell.name for cell in cells if cell.role == "check"]
    if checked != asked:
        yield f"each question needs one check, in the same order: {asked} and {checked}"
    for cell in cells:
        if cell.role == "question" and (
            cell.source.count(BEGIN) != 1 or cell.source.count(END) != 1
        ):
            yield f"{cell.name}: one {BEGIN} and one {END} are wanted"
    for question in found.values():
        if not any(case.visible for case in question.fixed_cases):
            yield f"{question.name} needs cases, and a visible one"


def _run(folder: Path) -> ModuleType:
    """A module of all that a folder's files define; nothing is written beside them."""
    name = f"minires_assignment_{re.sub(r'[^0-9A-Za-z]', '_', os.fspath(folder.resolve()))}"
    module = ModuleType(name)
    sys.modules[name] = module
    for part in ("grading.py", "mistakes.py", "right_ways.py"):
        path = folder / part
        if part == "grading.py" or path.is_file():
            module.__file__ = str(path)
            try:
                exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
            except (Exception, SystemExit) as error:
                reason = told(error, path) or error
                raise AssignmentError(f"{path} cannot be run: {reason}") from error
    return module
