"""Results as files for others."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minires.coursework.collect import Submission, assignment_of, find_submissions
from minires.coursework.outputs import canvas_csv, grades_csv, gradescope, moodle_csv, write_all
from minires.coursework.page import page
from minires.coursework.result import CaseResult, OutputResult, QuestionResult, Result
from minires.coursework.show import feedback, table

EVIL = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>\x1b[31m"


def result(student="ada", text="", earned=1.0):
    output = OutputResult("y", 0.5, text, text, {"got": "aGVsbG8="} if text else {})
    case = CaseResult("a case", False, 2.0, earned, "", [output])
    question = QuestionResult("first", 2.0, earned, [case], [text] if text else [], text, 0.1)
    return Result(student, "01_x", "Title", [question], "", "key")


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_a_page_shows_code_as_text_only():
    evil = result(EVIL, EVIL)
    tags = Tags(page(evil)).found
    assert "script" not in {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    sources = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert sources == ["data:image/png;base64,aGVsbG8="]
    assert "&lt;script&gt;alert(1)" in page(evil)
    assert "default-src 'none'" in page(evil)


def test_a_terminal_gets_no_commands():
    assert "\x1b" not in feedback(result(EVIL, EVIL)) + table([result(EVIL, EVIL)] * 2)


def test_a_spreadsheet_gets_no_formulas():
    pairs = [(Submission(s, Path(s)), result(s)) for s in ("=1+1", "@x", "ada, lovelace")]
    rows = list(csv.reader(io.StringIO(grades_csv(pairs))))
    assert rows[0] == ["student", "first", "earned", "points", "problem"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'@x", "ada, lovelace"]
    assert rows[1][1:] == ["1.0", "1.0", "2.0", ""]


def test_gradescope():
    assert gradescope(result(text="wrong")) == {
        "score": 1.0,
        "output": "Title: 1 of 2 points",
        "output_format": "text",
        "tests": [
            {
                "name": "first: a case",
                "score": 1.0,
                "max_score": 2.0,
                "status": "failed",
                "output": "y: wrong\nhint: wrong",
                "visibility": "after_due_date",
            }
        ],
    }


def test_moodle_and_canvas_find_their_own_numbers():
    moodle = "Ada Lovelace_4711_assignsubmission_file_"
    rows = list(csv.reader(io.StringIO(moodle_csv([(Submission(moodle, Path()), result(moodle))]))))
    assert rows[1][:4] == ["Participant 4711", "Ada Lovelace", "1.0", "2.0"]
    path = Path("lovelaceada_4711_998_04_batch_norm.ipynb")
    rows = list(csv.reader(io.StringIO(canvas_csv([(Submission(path.stem, path), result())]))))
    assert rows[0][-1] == "Title"
    assert rows[1][-1] == "2.0"
    assert rows[2] == ["lovelaceada", "4711", "", "", "", "1.0"]


def test_all_files_are_written(tmp_path):
    write_all(tmp_path, [(Submission("../ada", Path("a.py")), result("../ada", "wrong"))])
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    name = Submission("../ada", Path("a.py")).file_name
    assert "/" not in name
    assert files == [
        "canvas.csv",
        "grades.csv",
        "grades.json",
        f"gradescope/{name}/results.json",
        "moodle.csv",
        f"pages/{name}.html",
    ]


def test_submissions_are_found_as_learning_platforms_lay_them_out(tmp_path):
    for name in [
        "ada.ipynb",
        "bob.py",
        "notes.txt",
        "Cy Ng_12_assignsubmission_file_/work.ipynb",
        "dora/04_batch_norm/04_batch_norm.ipynb",
        "dora/04_batch_norm/.ipynb_checkpoints/04_batch_norm-checkpoint.ipynb",
        "dora/other.py",
        ".hidden/x.py",
        "__pycache__/x.py",
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_submissions([tmp_path], "04_batch_norm")
    assert [s.student for s in found] == ["Cy Ng_12_assignsubmission_file_", "ada", "bob", "dora"]
    assert found[-1].path.name == "04_batch_norm.ipynb"
    with pytest.raises(ValueError, match="does not exist"):
        find_submissions([tmp_path / "nothing"])
    [alone] = find_submissions([found[-1].path], "04_batch_norm")
    assert alone.student == "04_batch_norm", "its folder is named after the assignment too"


def test_a_submission_says_which_assignment_it_is(tmp_path):
    names = ["03_convolution", "04_batch_norm"]
    assert assignment_of(tmp_path / "ada_04_batch_norm.py", names) == "04_batch_norm"
    path = tmp_path / "work.ipynb"
    path.write_text('{"metadata": {"minires": {"assignment": "03_convolution"}}, "cells": []}')
    assert assignment_of(path, names) == "03_convolution"
    path.write_text('{"metadata": {"minires": {"assignment": "99"}}, "cells": []}')
    assert assignment_of(path, names) is None
    path.write_text("[" * 100_000)
    assert assignment_of(path, names) is None
