"""Builds: reproducible, without solutions, as nbgrader wants them."""

import json

import pytest
from small_assignment import GRADING, SOURCE, write

from minires.coursework.assignment import AssignmentError, load_assignment
from minires.coursework.build import build, instructor_notebook, student_notebook
from minires.coursework.bundle import Bundle


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_equal_sources_give_equal_bytes(tmp_path, assignment):
    build(assignment, tmp_path / "a")
    build(load_assignment_again(assignment), tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) == 4


def load_assignment_again(assignment):
    from minires.coursework.assignment import assignments_folder

    return load_assignment(assignments_folder() / assignment.name)


def test_the_students_notebook_holds_no_solution(assignment):
    text = student_notebook(assignment)
    notebook = json.loads(text)
    shown = {
        line.strip() for cell in notebook["cells"] for line in "".join(cell["source"]).split("\n")
    }
    solutions = {
        line.strip()
        for cell in assignment.cells
        if cell.role == "question"
        for line in cell.source.partition("### BEGIN SOLUTION")[2]
        .partition("### END")[0]
        .split("\n")
    }
    assert len(solutions) > 20
    assert shown & solutions == {""}
    assert "HIDDEN" not in text
    for name in assignment.questions:
        assert f'raise NotImplementedError(\\"{name}\\")' in text


def test_metadata_are_nbgraders(assignment):
    cells = json.loads(instructor_notebook(assignment))["cells"]
    mine = {c["metadata"]["nbgrader"]["grade_id"]: c for c in cells if c["metadata"]}
    assert mine["batch_norm_eval"]["metadata"]["nbgrader"] == {
        "grade": False,
        "grade_id": "batch_norm_eval",
        "locked": False,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }
    assert mine["check-batch_norm_eval"]["metadata"]["nbgrader"]["grade"] is False
    test = mine["test-batch_norm_eval"]
    assert test["metadata"]["nbgrader"]["grade"] is True
    assert test["metadata"]["nbgrader"]["points"] == 2
    assert "### BEGIN HIDDEN TESTS" in "".join(test["source"])
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_a_bundle_survives_its_file(bundle):
    again = Bundle.from_bytes(bundle.to_bytes())
    assert again.to_bytes() == bundle.to_bytes()
    assert again.points == 20
    with pytest.raises(ValueError, match="no bundle"):
        Bundle.from_bytes(b"something else")


def test_students_get_visible_cases_only(bundle):
    visible = bundle.visible_only()
    assert all(case.visible for question in visible.questions for case in question.cases)
    assert all(question.cases for question in visible.questions)
    assert len(visible.to_bytes()) < len(bundle.to_bytes())
    for question in visible.questions:
        assert all(len(m.outputs) == len(question.cases) for m in question.mistakes)


@pytest.mark.parametrize(
    ("source", "grading", "text"),
    [
        (SOURCE.replace("### END SOLUTION", ""), GRADING, "one ### BEGIN SOLUTION and one ### END"),
        (SOURCE.replace('check="double"', ""), GRADING, "each question needs one check"),
        (SOURCE.replace('question="double"', 'question="d"'), GRADING, "the notebook asks"),
        (SOURCE, GRADING.replace(", visible=True", ""), "needs cases, and a visible one"),
        (SOURCE, GRADING.replace('"2 * x"', '"x"'), "occurs 2 times in the solution"),
        (SOURCE, GRADING.replace('"y")', '"y z")'), "is not 2 values: y, z"),
    ],
)
def test_mistakes_of_authors_are_told(tmp_path, source, grading, text):
    folder = write(tmp_path / "08_new", source, grading)
    with pytest.raises(AssignmentError, match=text):
        build(load_assignment(folder), tmp_path / "out")


def test_a_new_assignment_takes_two_files(tmp_path):
    bundle = build(load_assignment(write(tmp_path / "08_new")), tmp_path / "out")
    assert bundle.title == "Doubling"
    # the one case cannot tell 2 * 2 from 2 + 2, which `minires coursework mutants` would say
    assert bundle.questions[0].mistakes[0].outputs[0][0].tolist() == [4.0]
