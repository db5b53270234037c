"""Right answers in odd styles lose no point: `odd_answers.txt` has them, as cells of notebooks."""

import json
import re
from pathlib import Path

import pytest

from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import parse_notebook, parse_percent
from minires.coursework.grading.grade import grade_question

MARK = {"grade": False, "locked": True, "solution": False, "schema_version": 3}


def metadata(kind, question):
    """What a cell's metadata say in a notebook that was handed out."""
    if kind == "added":
        return {}
    if kind.startswith("answer"):
        own = kind.removeprefix("answer to ") if " " in kind else question
        return {"nbgrader": MARK | {"grade_id": own, "locked": False, "solution": True}}
    name = "given-imports" if kind == "given" else f"check-{question}"
    return {"nbgrader": MARK | {"grade_id": name}}


def cells_of(question, cells):
    """Pairs of a kind and a source, as a submission."""
    written = [
        {"cell_type": "code", "source": source, "metadata": metadata(kind, question)}
        for kind, source in cells
    ]
    return parse_notebook(json.dumps({"cells": written}))


def odd_answers():
    text = (Path(__file__).parent / "odd_answers.txt").read_text("utf-8")
    for part in re.split("(?m)^==== ", text)[1:]:
        head, *cells = re.split("(?m)^---- ", part)
        name, _, question = head.strip().rpartition(": ")
        yield name, question, [tuple(cell.split("\n", 1)) for cell in cells]


ANSWERS = {name: (question, cells) for name, question, cells in odd_answers()}


@pytest.fixture(scope="module")
def bundles():
    names = {question for question, _ in ANSWERS.values()}
    made = {}
    for assignment in load_assignments():
        if names & assignment.questions.keys():
            made |= dict.fromkeys(assignment.questions, make_bundle(assignment))
    return made


@pytest.fixture
def odd(bundles, sandboxed):
    def run(question, cells):
        bundle = bundles[question]
        chosen = bundle.question(question)
        return grade_question(chosen, bundle.given, cells_of(question, cells), sandboxed=sandboxed)

    return run


ALWAYS = ("a lambda", "a namedtuple", "a function under if", "math imported in the given cell")
ALWAYS += ("in the test's cell", "timed", "a shell's output", "a layer in 32 bits", "lists")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ALWAYS else pytest.mark.slow) for n in ANSWERS]
)
def test_odd_answers_lose_no_point(name, odd):
    question, cells = ANSWERS[name]
    result = odd(question, cells)
    assert result.passed, ([case.text for case in result.cases], result.hints, result.cases)


CODE = """def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
"""


@pytest.mark.parametrize(
    "source",
    [
        CODE.replace("\n", "\r\n"),
        CODE.replace("\n", "\r"),
        "\ufeff" + CODE,
        "\f" + CODE.replace("    ", "\t"),
        'TEXT = "a\u2028b\x1cc\x85d"\n' + CODE + "TEXT.x\n",
        "\n\n%%timeit -n 10\n" + CODE,
        CODE + "\n    \n%who\n\n",
    ],
    ids=["CRLF", "CR", "BOM", "tabs", "other ends of lines", "blank lines", "a magic at the end"],
)
def test_odd_characters_lose_no_point(source, odd):
    assert odd("batch_norm_eval", [("answer", source)]).passed
    assert odd("batch_norm_eval", [("added", source)]).passed


@pytest.mark.parametrize("head", ["# %%", "#%%", "# In[12]:", "# In[ ]:"])
def test_scripts_of_other_editors(head, bundles, sandboxed):
    source = f"{head}\nhalf = float('.5')\n{head}\n{CODE}{head}\nwhile True:\n    pass\n"
    source = source.replace("np.sqrt(running_var + eps)", "(running_var + eps) ** half")
    bundle = bundles["batch_norm_eval"]
    question = bundle.question("batch_norm_eval")
    graded = grade_question(question, bundle.given, parse_percent(source), sandboxed=sandboxed)
    assert graded.passed


# ---------------------------------------------------------------------- or it is said why not


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (
            [("added", "import torch.nn as nn"), ("answer", CODE.replace("np.sqrt", "nn.sqrt"))],
            "not run: ModuleNotFoundError: torch may not be used here, only numpy and the standard "
            "library;  cell 1, line 1: import torch.nn as nn",
        ),
        (
            [("added", "\nroot = !cat a.txt"), ("answer", CODE.replace("np.sqrt", "root"))],
            "not run: SyntaxError: IPython's commands are not run when work is graded;"
            "  cell 1, line 2: root = !cat a.txt",
        ),
        (
            [("added", "%%cython\ndef root(x): ..."), ("answer", CODE.replace("np.sqrt", "root"))],
            "not run: SyntaxError: this cell is not in Python;  cell 1, line 1: %%cython",
        ),
        (
            [("added", "x = 1\nroot = (1"), ("answer", CODE.replace("np.sqrt", "root"))],
            "not run: SyntaxError: '(' was never closed;  cell 1, line 2: root = (1",
        ),
        (
            [("added", "root = np.load('a')"), ("answer", CODE.replace("np.sqrt", "root"))],
            "not run: FileNotFoundError: [Errno 2] No such file or directory: 'a';"
            "  cell 1, line 1: root = np.load('a')",
        ),
    ],
)
def test_what_was_left_out_is_named_with_its_line(cells, text, odd):
    result = odd("batch_norm_eval", cells)
    assert result.earned == 0
    assert text in result.hints


def test_of_what_the_answer_does_not_need_nothing_is_said(odd):
    cells = [
        ("added", "import matplotlib.pyplot as plt\nplt.plot()\nimages = np.load('a')\n1 / 0"),
        ("answer", CODE.replace("+ beta", "")),
    ]
    hints = " ".join(odd("batch_norm_eval", cells).hints)
    assert "images" not in hints
    assert "1 / 0" not in hints
