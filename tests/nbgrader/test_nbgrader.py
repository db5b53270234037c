"""The release in nbgrader itself: generate_assignment, autograde, generate_feedback, export."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minires.coursework.assignment import load_assignments
from minires.coursework.build import build
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import parse_notebook
from minires.coursework.grading.grade import grade_question
from minires.coursework.sandbox.parent import isolation_problem

NAME = "04_batch_norm"
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "resnets"
c.CourseDirectory.root = {root!r}
c.ExecutePreprocessor.timeout = 300
"""
SAFE = """
from minires.coursework.in_nbgrader import preprocessors
c.Autograde.autograde_preprocessors = preprocessors()
"""
FAKED = [
    "import sys, types, builtins",
    "fake = types.ModuleType('minires.coursework.in_nbgrader')",
    "fake.points = lambda *a, **k: 100 if False else 2",
    "sys.modules['minires.coursework.in_nbgrader'] = fake",
    "open('it_ran', 'w').close()",
]


@pytest.fixture(scope="module", params=["", SAFE], ids=["in a kernel", "without a kernel"])
def course(tmp_path_factory, request):
    """A course with four submissions: the solution, the blank, a known mistake, a faked module."""
    root = tmp_path_factory.mktemp("course")
    assignment = load_assignments(name=NAME)[0]
    build(assignment, root / "built", 0)
    (root / "nbgrader_config.py").write_text(CONFIG.format(root=str(root)) + request.param)
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
    faked = json.loads(released)
    cell = {"cell_type": "code", "id": "fake", "metadata": {}, "outputs": [], "execution_count": 1}
    faked["cells"].insert(0, cell | {"source": "\n".join(FAKED)})
    for other in faked["cells"]:
        if other["metadata"].get("nbgrader", {}).get("grade"):
            data = {"text/plain": "2"}
            kind = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
            other["outputs"] = [kind | {"data": data}]
    place(root, "submitted/eve", json.dumps(faked))
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


def earned(course):
    with (course / "grades.csv").open() as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert {float(row["max_score"]) for row in rows.values()} == {20}
    return {name: float(row["score"]) for name, row in rows.items()}


def test_points(course):
    """Cyd, with a known mistake, has what `minires grade` gives for the same notebook."""
    bundle = make_bundle(load_assignments(name=NAME)[0], 0)
    cells = parse_notebook((course / "submitted" / "cyd" / NAME / f"{NAME}.ipynb").read_text())
    sandboxed = isolation_problem() is None
    own = [
        grade_question(question, bundle.given, cells, sandboxed=sandboxed).earned
        for question in bundle.questions
    ]
    assert 14 < sum(own) < 20
    grades = earned(course)
    assert (grades["ada"], grades["bob"]) == (20, 0)
    assert grades["cyd"] == pytest.approx(sum(own), abs=1e-3)


def test_what_the_documentation_claims(course):
    """Safe, nothing runs and a faked module gains nothing; in a kernel nothing protects points."""
    safe = "preprocessors" in (course / "nbgrader_config.py").read_text()
    assert (earned(course)["eve"] == 0) is safe
    assert bool(list((course / "autograded").rglob("it_ran"))) is not safe


def test_feedback_names_the_mistake(course):
    text = (course / "feedback" / "cyd" / NAME / f"{NAME}.html").read_text()
    assert "your dx equals that of a known mistake: gamma missing" in text
