"""The release in nbgrader itself: generate_assignment, autograde, generate_feedback, export."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minires.coursework.assignment import load_assignments
from minires.coursework.build import build

NAME = "04_batch_norm"
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "resnets"
c.CourseDirectory.root = {root!r}
c.ExecutePreprocessor.timeout = 300
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with three submissions: the solution, the blank, one with a known mistake."""
    root = tmp_path_factory.mktemp("course")
    assignment = load_assignments(name=NAME)[0]
    build(assignment, root / "built")
    (root / "nbgrader_config.py").write_text(CONFIG.format(root=str(root)))
    solved = (root / "built" / "instructor" / NAME / f"{NAME}.ipynb").read_text()
    place(root, "source", solved)
    nbgrader(root, "generate_assignment", "--create")
    released = (root / "release" / NAME / f"{NAME}.ipynb").read_text()
    assert "BEGIN" not in released
    assert "raise NotImplementedError" in released
    place(root, "submitted/ada", solved)
    place(root, "submitted/bob", released)
    assert solved.count("h = g * gamma") == 1
    place(root, "submitted/cyd", solved.replace("h = g * gamma", "h = g"))
    nbgrader(root, "autograde", "--create")
    nbgrader(root, "generate_feedback")
    nbgrader(root, "export")
    return root


def place(root, folder, text):
    path = root / folder / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def nbgrader(root, command, *options):
    names = [] if command == "export" else [NAME]
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", command, *names, *options],
        cwd=root,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "MINIRES_COURSEWORK": str(root / "built" / "bundle"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
    )
    assert done.returncode == 0, done.stderr


def test_points(course):
    with (course / "grades.csv").open() as file:
        grades = {row["student_id"]: row for row in csv.DictReader(file)}
    assert {name: float(row["score"]) for name, row in grades.items()} == {
        "ada": 20,
        "bob": 0,
        "cyd": 17,
    }
    assert {float(row["max_score"]) for row in grades.values()} == {20}


def test_feedback_names_the_mistake(course):
    text = (course / "feedback" / "cyd" / NAME / f"{NAME}.html").read_text()
    assert "your dx equals that of a known mistake: gamma missing" in text
