"""What a submission gets, and what its author is told."""

import numpy as np
import pytest

from minires.coursework.answers.compare import compare
from minires.coursework.cells import parse_notebook, parse_percent, read_submission
from minires.coursework.grading.grade import grade_file, grade_question
from minires.coursework.question import Draws
from minires.coursework.result import Result

SOLUTION = {"grade": False, "locked": False, "solution": True, "schema_version": 3}


def test_the_solution_gets_full_points_and_a_blank_none(tmp_path, assignment, bundle, sandboxed):
    from minires.coursework.build import student_notebook

    (tmp_path / "blank.ipynb").write_text(student_notebook(assignment))
    blank = grade_file(tmp_path / "blank.ipynb", "blank", bundle, sandboxed=sandboxed)
    assert blank.earned == 0
    assert not any(case.passed for question in blank.questions for case in question.cases)
    case = blank.questions[0].cases[0]
    assert case.text.startswith("NotImplementedError: batch_norm_train\n  cell 3, line 3: raise")
    assert Result.from_json(blank.to_json()) == blank


def test_right_code_gets_full_points(graded, right):
    result = graded(right)
    assert result.passed
    assert result.earned == result.points == 2


def test_a_known_mistake_is_named(graded, right):
    result = graded(
        right.replace("(x - running_mean)", "(x - x.mean(axis=0))").replace(
            "running_var + eps", "x.var(axis=0) + eps"
        )
    )
    assert result.earned < result.points
    assert "your y equals that of a known mistake: the batch's statistics" in result.hints[0]


def test_an_unknown_mistake_is_described(graded, right):
    result = graded(right.replace("return ", "return 3 * (").replace("+ beta", "+ beta)"))
    assert result.hints[0].startswith("your y: off by a factor of 3: yours = 3 * right")
    text = result.cases[0].outputs[0].text
    assert text.startswith("15 of 15 entries wrong; worst at [")
    assert "expected" in text


def test_an_exception_shows_the_students_own_line(graded):
    result = graded(
        "def batch_norm_eval(*args):\n    return helper()\n\ndef helper():\n    return 1 / 0"
    )
    assert result.cases[0].text == (
        "ZeroDivisionError: division by zero\n  cell 1, line 5: return 1 / 0"
    )


def test_a_syntax_error_shows_its_line(graded):
    result = graded("def batch_norm_eval(x):\n    return (x")
    assert "SyntaxError: '(' was never closed" in result.cases[0].text
    assert "cell 1, line 2: return (x" in result.cases[0].text


def test_a_missing_function_is_named(graded):
    assert "batch_norm_eval is not defined" in graded("x = 1").cases[0].text


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ("None", "you returned None, wanted is an array of shape (5, 3)"),
        ("x.T", "your shape is (3, 5), wanted is (5, 3)"),
        ("x.tolist()[:-1] + [[1]]", "you returned a sequence of 5, wanted is"),
        ("x.astype(str)", "something of type array of str"),
        ("{'y': x}", "you returned a dict"),
        ("x.astype(complex)", "array of complex128"),
        ("'text'", "you returned a str"),
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_is_no_plain_array_is_refused(graded, returned, text):
    result = graded(f"def batch_norm_eval(x, *rest):\n    return {returned}")
    assert result.earned == 0
    assert text in result.cases[0].outputs[0].text


def test_a_wrong_number_of_values_is_told(graded):
    result = graded("def update_statistics(m, v, x, momentum):\n    return m", "update_statistics")
    assert "wanted are 2 values: running_mean, running_var" in result.cases[0].text


def test_partial_credit_by_output(graded):
    source = (
        "def batch_norm_train_backward(g, x, gamma, eps):\n"
        "    normal = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)\n"
        "    return 0 * x + 1, (g * normal).sum(0), g.sum(0)"
    )
    assert graded(source, "batch_norm_train_backward").earned == pytest.approx(2)


def test_changed_arguments_lose_the_case(graded, right):
    result = graded(right.replace("    return", "    x += 0.5\n    x -= 0.25\n    return"))
    assert "changed its argument x in place" in result.cases[0].text
    assert result.earned == 0


def test_prints_are_kept_apart_from_results(graded, right):
    result = graded(right.replace("    return", "    print('hello')\n    return"))
    assert result.passed
    assert result.printed == "hello\n", "of the visible case only"


# ---------------------------------------------------------------------- notebooks


def test_cells_may_be_anywhere_and_other_cells_run_only_their_definitions(
    bundle, sandboxed, right, notebook
):
    text = notebook(
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nwhile True: pass",
        (
            right.replace("np.sqrt", "root"),
            {"nbgrader": {"grade_id": "batch_norm_eval"} | SOLUTION},
        ),
        "raise SystemExit",
        "def root(x):\n    return x ** HALF\nHALF = 0.5\n!ls",
        ("while True: pass", {"nbgrader": {"grade_id": "batch_norm_train"} | SOLUTION}),
    )
    question = bundle.question("batch_norm_eval")
    cells = parse_notebook(text)
    assert grade_question(question, bundle.given, cells, sandboxed=sandboxed).passed


def test_of_two_cells_with_one_id_the_last_counts(bundle, sandboxed, right, notebook):
    metadata = {"nbgrader": {"grade_id": "batch_norm_eval"} | SOLUTION}
    question = bundle.question("batch_norm_eval")
    wrong = "def batch_norm_eval(*args): return 1"
    for sources, passes in ([(wrong, right), True], [(right, wrong), False]):
        cells = parse_notebook(notebook(*((source, metadata) for source in sources)))
        result = grade_question(question, bundle.given, cells, sandboxed=sandboxed)
        assert result.passed is passes


def test_deleted_edited_and_faked_tests_change_nothing(bundle, sandboxed, right, notebook):
    test = {"nbgrader": {"grade_id": "check-batch_norm_eval", "grade": True, "locked": True}}
    given = {"nbgrader": {"grade_id": "given-imports", "grade": False, "locked": True}}
    text = notebook(("np = None", given), right, ("def batch_norm_eval(*a): return 1", test))
    question = bundle.question("batch_norm_eval")
    cells = parse_notebook(text)
    assert grade_question(question, bundle.given, cells, sandboxed=sandboxed).passed


@pytest.mark.parametrize("name", ["a.ipynb", "a.py", "a.ipynb.txt", "a.json", "a"])
def test_what_a_file_holds_counts_and_not_its_name(tmp_path, right, notebook, name):
    for text in (right, "# %%\n" + right, notebook(right)):
        path = tmp_path / name
        path.write_text(text)
        (cell,) = read_submission(path)
        assert cell.source.strip() == right.strip()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "no valid JSON"),
        (b"<html><pre>\ndef f(x):\n", "no valid JSON"),
        (b"I could not do it", "no valid JSON"),
        (b"{", "no valid JSON"),
        (b"[" * 100_000, "no valid JSON: nested too deeply"),
        (b"[]", "no list of cells"),
        (b'{"cells": [3]}', "one of its cells is no object"),
        (b'{"cells": [{"cell_type": "code", "source": {"a": 1}}]}', "a cell's source is no text"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
    ],
)
def test_what_is_no_notebook_is_told(tmp_path, bundle, content, text):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    result = grade_file(path, "a", bundle)
    assert text in result.problem
    assert result.earned == 0
    assert result.points == bundle.points


def test_a_script_as_windows_writes_it(tmp_path):
    source = "def double(x):\n    return 2 * x"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = tmp_path / "a.PY"
        path.write_bytes(source.encode(encoding))
        assert [cell.source for cell in read_submission(path)] == [source]


def test_a_notebook_of_200_MB_is_refused_unread(tmp_path, bundle):
    path = tmp_path / "a.ipynb"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    assert (
        "200 MB, more than 50: clear the notebook's outputs"
        in grade_file(path, "a", bundle).problem
    )


# ---------------------------------------------------------------------- comparing


def test_comparison_of_arrays():
    right = np.array([1.0, np.inf, np.nan, -2.0])
    assert compare(right.copy(), right, 1e-7).share == 1
    assert compare(np.float32(right), right, 1e-7).share == 1
    assert compare(right + np.array([0, 0, 0, 3e-7]), right, 1e-7).share == 0
    assert compare(np.float32(right) + np.float32(1e-3), right, 1e-7).share == 0
    assert compare(np.array([1.0, np.nan, np.inf, -2.0]), right, 1e-7).share == 0
    assert compare(3.0, np.array(3.0), 1e-7).share == 1
    assert compare(np.ones((2, 1)), np.ones(2), 1e-7).share == 0


def test_comparison_of_plain_values():
    assert compare(["a", "b"], ["a", "b"], 1e-7).share == 1
    assert "at place 1: got 'c'" in compare(["a", "c"], ["a", "b"], 1e-7).text
    assert compare(1, True, 1e-7).share == 0
    assert compare(2, 2.0, 1e-7).share == 1
    assert compare(np.array(True), True, 1e-7).share == 1


def test_accuracy_earns_in_proportion():
    labels = np.arange(10)
    expected = {"$accuracy": {"labels": labels, "at_least": 0.8, "none_below": 0.4}}
    for wrong, share in [(0, 1.0), (2, 1.0), (4, 0.5), (6, 0.0), (10, 0.0)]:
        got = np.where(labels < wrong, -1, labels)
        assert compare(got, expected, 0).share == pytest.approx(share)


def test_draws_are_the_same_everywhere():
    assert Draws(seed=0).integers(3, below=1000).tolist() == [535, 700, 679]
    values = Draws(seed=1).normal(4000)
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05
    assert (values * 64 % 1 == 0).all()


def test_a_check_without_earlier_solutions_says_that_it_builds_on_ones_own(
    assignment, bundle, sandboxed
):
    """`minires check` has visible cases and no solutions; grading has right earlier parts."""
    own = assignment.solution("batch_norm_train").replace("np.sqrt(", "np.sqrt(2 * ")
    assert own != assignment.solution("batch_norm_train")
    names = ["update_statistics", "batch_norm_eval", "BatchNorm"]
    cells = parse_percent("\n\n".join([own, *(assignment.solution(name) for name in names)]))
    question = bundle.question("BatchNorm")
    graded = grade_question(question, bundle.given, cells, sandboxed=sandboxed)
    assert graded.passed
    checked = grade_question(question.visible_only(), bundle.given, cells, sandboxed=sandboxed)
    assert not checked.passed
    assert (
        "BatchNorm builds on batch_norm_train, update_statistics, batch_norm_eval: here on yours; "
        "graded, on right ones"
    ) in checked.hints
