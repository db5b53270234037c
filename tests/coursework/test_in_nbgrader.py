"""What nbgrader gets from minires; `tests/nbgrader` tries it in nbgrader itself."""

import json

import pytest

from minires.coursework import in_nbgrader
from minires.coursework.build import build, instructor_notebook, student_notebook


@pytest.fixture
def built(assignment, tmp_path, monkeypatch, sandboxed):
    build(assignment, tmp_path, 0)
    monkeypatch.setenv("MINIRES_COURSEWORK", str(tmp_path / "bundle"))
    if not sandboxed:
        monkeypatch.setenv("MINIRES_UNSAFE_NO_SANDBOX", "1")


def outputs(text, assignment):
    """The tests' outputs, whatever outputs and other assignment the notebook came with."""
    notebook = json.loads(text)
    notebook["metadata"]["minires"]["assignment"] = "01_engine"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": "100"}}]
    in_nbgrader.put_in_outputs(notebook, assignment.name)
    tests = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade")]
    others = [c for c in notebook["cells"] if c["cell_type"] == "code" and c not in tests]
    assert all(cell["outputs"] == [] for cell in others)
    assert len(tests) == len(assignment.questions)
    return [cell["outputs"] for cell in tests]


@pytest.mark.usefixtures("built")
def test_solutions_get_their_points_and_blanks_an_error(assignment):
    solved = outputs(instructor_notebook(assignment), assignment)
    wanted = [repr(float(question.points)) for question in assignment.questions.values()]
    assert [repr(float(last["data"]["text/plain"])) for _, last in solved] == wanted
    blank = outputs(student_notebook(assignment), assignment)
    assert all(last["output_type"] == "error" for _, last in blank)
    assert ", not answered" in blank[-1][0]["text"]


def test_a_test_of_no_question_is_told(built, assignment):
    notebook = json.loads(instructor_notebook(assignment))
    test = next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade"))
    test["metadata"]["nbgrader"]["grade_id"] = "test-nothing"
    with pytest.raises(ValueError, match="has no question 'nothing'"):
        in_nbgrader.put_in_outputs(notebook, assignment.name)
