"""Builds: reproducible, without solutions, as nbgrader wants them."""

import gzip
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from small_assignment import GRADING, SOURCE, write

from minires.coursework.assignment import (
    AssignmentError,
    assignments_folder,
    load_assignment,
    load_assignments,
)
from minires.coursework.build import build, course_seed, instructor_notebook, student_notebook
from minires.coursework.bundle import Bundle, make_bundle

NAMES = [path.parent.name for path in sorted(assignments_folder().glob("*/grading.py"))]


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_equal_sources_give_equal_bytes(tmp_path, assignment):
    build(assignment, tmp_path / "a", 5)
    build(load_assignment(assignments_folder() / assignment.name), tmp_path / "b", 5)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) == 4


def test_courses_share_no_hidden_input_but_all_that_students_see(tmp_path):
    grading = GRADING + (
        '\n@double.hidden("a row")\ndef row(draw):\n    return [draw.normal(draw.size(2, 5))]\n'
    )
    small = load_assignment(write(tmp_path / "08_new", grading=grading))
    for seed in (5, 6):
        build(small, tmp_path / str(seed), seed)
    one, other = files(tmp_path / "5"), files(tmp_path / "6")
    assert [path.name for path in one if one[path] != other[path]] == ["08_new.bundle"]
    hidden = [make_bundle(small, seed).questions[0].cases[1] for seed in (5, 6)]
    assert [case.name for case in hidden] == ["a row", "a row"]
    assert not np.array_equal(hidden[0].arguments["x"], hidden[1].arguments["x"])
    assert (hidden[0].expected[0] == 2 * hidden[0].arguments["x"]).all()


def test_a_course_keeps_its_seed(tmp_path):
    first = course_seed(tmp_path / "a")
    assert course_seed(tmp_path / "a") == first != course_seed(tmp_path / "b")
    assert first.bit_length() > 64
    assert course_seed(tmp_path / "c", 7) == course_seed(tmp_path / "c") == 7
    with pytest.raises(ValueError, match="was built with another seed"):
        course_seed(tmp_path / "c", 8)
    (tmp_path / "c" / "instructor" / "seed.txt").write_text("seven")
    with pytest.raises(ValueError, match="holds no seed"):
        course_seed(tmp_path / "c")


def source_lines(cells):
    return {line.strip() for cell in cells for line in "".join(cell["source"]).split("\n")}


@pytest.mark.parametrize("name", NAMES)
def test_the_students_notebook_holds_no_solution(name):
    """Every line of a solution is searched for, save those that the given code contains too."""
    assignment = load_assignment(assignments_folder() / name)
    text = student_notebook(assignment)
    solutions, given = set(), set()
    for cell in assignment.cells:
        before, begin, rest = cell.source.partition("### BEGIN SOLUTION")
        solution, _, after = rest.partition("### END SOLUTION")
        given |= {line.strip() for line in (before + after).split("\n")}
        if begin:
            solutions |= {line.strip() for line in solution.split("\n")}
    assert len(solutions - given) > 10
    assert not source_lines(json.loads(text)["cells"]) & (solutions - given)
    assert "BEGIN" not in text
    assert "import points" not in text
    for question in assignment.questions:
        assert f'raise NotImplementedError(\\"{question}\\")' in text


@pytest.mark.parametrize("name", NAMES)
def test_what_students_get_holds_no_solution_and_no_hidden_test(name):
    """Not in the checks either, for which earlier parts are needed: unpacked, line by line."""
    assignment = load_assignment(assignments_folder() / name)
    visible = make_bundle(assignment).visible_only()
    text = gzip.decompress(visible.to_bytes())
    shown = [cell.source for cell in assignment.given()]
    shown += [question.driver or "" for question in visible.questions]
    shown += [mistake.hint for question in visible.questions for mistake in question.mistakes]
    for question in assignment.questions:
        for line in map(str.strip, assignment.solution(question).splitlines()):
            if len(line) >= 12 and line not in "\n".join(shown):
                assert json.dumps(line)[1:-1].encode() not in text
    assert all(not question.parts for question in visible.questions)
    assert all(case.visible for question in visible.questions for case in question.cases)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_visible_checks_pass_with_the_solutions(name):
    source = assignments_folder() / name / "assignment.py"
    done = subprocess.run([sys.executable, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_questions_have_cases_mistakes_and_five_right_ways(name):
    for question in load_assignment(assignments_folder() / name).questions.values():
        assert len(question.cases(0)) >= 2
        assert len(question.mistakes) >= 3
        assert len(question.correct_ways) >= 5
        numbers = [mistake.number for mistake in question.mistakes]
        assert len(set(numbers)) == len(numbers), question.name
        assert all(mistake.hint for mistake in question.mistakes)


def test_all_74_listed_mistakes_are_there_and_the_docs_show_every_one():
    assignments = load_assignments()
    mistakes = [m for a in assignments for q in a.questions.values() for m in q.mistakes]
    assert set(range(1, 75)) <= {mistake.number for mistake in mistakes}
    shown = (assignments_folder().parent.parent / "docs" / "coursework-mutants.md").read_text()
    assert "SURVIVES" not in shown
    for mistake in mistakes:
        assert f"{mistake.number:3} {mistake.name}" in shown


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


def test_a_bundle_of_an_older_version_says_what_to_do():
    text = b'{"format": 1, "assignment": "04_batch_norm"}'
    old = gzip.compress(len(text).to_bytes(4, "little") + text + bytes(4))
    with pytest.raises(ValueError, match=r"another version of minires: build it again \(minires"):
        Bundle.from_bytes(old)


def test_a_damaged_bundle_is_told(bundle, rng):
    """Cut off or changed anywhere, as a download may be: gzip, zlib and JSON each have errors."""
    whole = bundle.to_bytes()
    for place in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        for content in (whole[:place], bytes(damaged)):
            try:
                Bundle.from_bytes(content)
            except ValueError:
                pass  # any other error would be a traceback
            else:
                assert place < 10  # in gzip's head, such as the date


def test_what_a_known_mistake_warns_of_is_not_told(tmp_path):
    grading = GRADING.replace('"x * x"', '"np.var(x, ddof=x.size)"')
    given = '# %% given="imports"\nimport numpy as np\n\n# %% question'
    source = SOURCE.replace("# %% question", given)
    write(tmp_path / "source" / "08_one", source, grading)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made = make_bundle(load_assignments(tmp_path / "source")[0])
        assert np.isnan(made.questions[0].mistakes[0].outputs[0][0]), "it ran"
    assert told == []
    right = grading.replace("return x + x", "warnings.warn('of the answer')\n    return x + x")
    write(tmp_path / "right" / "08_one", source, "import warnings\n" + right)
    with pytest.warns(UserWarning, match="of the answer"):
        make_bundle(load_assignments(tmp_path / "right")[0])


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
        (SOURCE, "\nx = nowhere\n", r"grading.py cannot be run: NameError: .* \(line 2\)"),
        (SOURCE, "raise SystemExit(3)", "grading.py cannot be run: SystemExit: 3"),
        (SOURCE, "def f(:", "grading.py cannot be run: SyntaxError"),
    ],
)
def test_mistakes_of_authors_are_told(tmp_path, source, grading, text):
    folder = write(tmp_path / "08_new", source, grading)
    with pytest.raises(AssignmentError, match=text):
        build(load_assignment(folder), tmp_path / "out", 0)


def test_a_new_assignment_takes_two_files(tmp_path):
    bundle = build(load_assignment(write(tmp_path / "08_new")), tmp_path / "out", 0)
    assert bundle.title == "Doubling"
    # the one case cannot tell 2 * 2 from 2 + 2, which `minires coursework mutants` would say
    assert bundle.questions[0].mistakes[0].outputs[0][0].tolist() == [4.0]


def test_a_lost_seed_is_told_before_bundles_are_replaced(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/08_two.bundle").write_bytes(b"of the course")
    with pytest.raises(ValueError, match=r"seed.txt is gone, so a new seed .* give --seed N"):
        course_seed(tmp_path)
    assert not (tmp_path / "instructor").exists()
    assert course_seed(tmp_path, 5) == course_seed(tmp_path) == 5
