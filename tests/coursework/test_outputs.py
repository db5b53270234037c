"""Results as files for others."""

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.coursework.marks.outputs import (
    canvas_csv,
    grades_csv,
    gradescope,
    moodle_csv,
    write_class,
)
from minires.coursework.marks.page import page
from minires.coursework.marks.show import feedback, table
from minires.coursework.result import (
    FORMAT,
    CaseResult,
    LaterFormat,
    OutputResult,
    QuestionResult,
    Result,
    file_name,
)

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
    assert table([result("a\nb"), result("c")]).count("\n") == 3, "a line a student"
    assert "\x1b" not in feedback(result(EVIL, EVIL)) + table([result(EVIL, EVIL)] * 2)


@given(
    st.lists(st.text("abc ", min_size=1, max_size=200), min_size=1, max_size=5),
    st.lists(st.text("abcdefg", min_size=1, max_size=20), max_size=8, unique=True),
    st.integers(40, 200),
)
def test_a_table_keeps_the_width_of_a_terminal(students, questions, width):
    graded = [QuestionResult(name, 2.0, 1.0, [], [], "", 0.1) for name in questions]
    results = [replace(result(student), questions=graded) for student in students]
    said = table(results, width).split("\n")
    whole = table(results).split("\n")
    rows = len(students) + 2
    assert all(len(line) <= width for line in said[:rows])
    assert [line.split()[-1] for line in said[:rows]][2:] == [
        f"{len(questions)}/{2 * len(questions)}"
    ] * (rows - 2)
    missing = len(questions) - sum(line in said[0].split() for line in questions)
    assert said[rows:] == whole[rows:] if not missing else said[rows].startswith(f"{missing} quest")
    if all(len(line) <= width for line in whole):
        assert said == whole, "what fits is not shortened"
    assert all(student.strip() in line for student, line in zip(students, whole[2:], strict=False))


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


@given(
    st.lists(
        st.text(st.one_of(st.sampled_from(SIGNS + "\t\r\n ;,\"'a"), st.characters())), min_size=1
    )
)
def test_a_spreadsheet_gets_no_formulas(students):
    text = grades_csv([result(student) for student in students])
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["student", "first", "earned", "maximum", "problem"]
    assert all(row[1:] == ["1.0", "1.0", "2.0", ""] for row in rows[1:])
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            assert not any(cell.strip()[:1] in SIGNS for cell in row if cell.strip()), row


def test_names_stay_as_they_are():
    students = ["Ada Lovelace", "Müller, Zoë", "-a", "＝1"]
    rows = csv.reader(io.StringIO(grades_csv([result(student) for student in students])))
    assert [row[0] for row in rows][1:] == ["Ada Lovelace", "Müller, Zoë", "'-a", "'＝1"]


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
    ada = replace(result("x"), name="Ada Lovelace", number="4711", platform="Moodle")
    rows = list(csv.reader(io.StringIO(moodle_csv([ada]))))
    assert rows[1][:4] == ["Participant 4711", "Ada Lovelace", "1.0", "2.0"]
    rows = list(csv.reader(io.StringIO(canvas_csv([replace(ada, platform="Canvas")]))))
    assert rows[0][-1] == "Title"
    assert rows[1][-1] == "2.0"
    assert rows[2] == ["Ada Lovelace", "4711", "", "", "", "1.0"]
    rows = list(csv.reader(io.StringIO(canvas_csv([result("bob")]))))
    assert rows[2] == ["bob", "", "", "bob", "", "1.0"]


@pytest.mark.parametrize(
    ("platform", "number", "ids"),
    [
        ("Gradescope", "0012", ["", "0012", "", ""]),
        ("Gradescope", "ada@example.org", ["", "", "", ""]),
        ("Moodle", "4711", ["", "", "", ""]),
        ("Blackboard", "u12", ["", "", "u12", ""]),
        ("Canvas", "77", ["77", "", "", ""]),
        ("", "", ["", "", "", ""]),
    ],
)
def test_canvas_gets_no_made_up_ids(platform, number, ids):
    ada = replace(result(f"Ada Lovelace{number}"), name="Ada", number=number, platform=platform)
    rows = list(csv.reader(io.StringIO(canvas_csv([ada]))))
    assert rows[2] == ["Ada", *ids, "1.0"]


def unanswered(*texts):
    """A question `first` of which each case says one of these."""
    cases = [CaseResult(f"case {i}", i == 0, 1.0, 0.0, text) for i, text in enumerate(texts)]
    return replace(result(), questions=[QuestionResult("first", 2.0, 0.0, cases, [], "", 0.1)])


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["NotImplementedError: first\n  cell 2, line 3: raise", "NotImplementedError\n  x"], ""),
        (["NameError: first is not defined", "NameError"], ": nothing here is named first"),
    ],
)
def test_what_is_not_answered_is_told_once(texts, said):
    one = unanswered(*texts, texts[1])
    assert feedback(one) == f"Title: 0/2 points\n\nWRONG first  0/2, not answered{said}"
    assert moodle_csv([one]).count("not answered") == page(one).count("not answered") == 1
    assert {test["output"] for test in gradescope(one)["tests"]} == {f"not answered{said}"}
    assert next(iter(csv.DictReader(io.StringIO(grades_csv([one])))))["problem"] == (
        "nothing was answered"
    )
    assert "Error" not in moodle_csv([one]) + page(one)


@pytest.mark.parametrize(
    "texts",
    [
        ["NotImplementedError: first", ""],
        ["NotImplementedError: second", "NotImplementedError"],
        ["NameError: name 'first' is not defined", "NameError"],
        ["NameError", "NameError"],
        ["NotImplementedError: first", "ValueError"],
    ],
)
def test_what_is_answered_is_not_called_unanswered(texts):
    assert "not answered" not in feedback(unanswered(*texts))
    assert "Error" in feedback(unanswered(*texts))


def test_all_files_are_written(tmp_path):
    write_class(tmp_path, {"01_x": [result("../ada", "wrong")]}, [("Bob", "01_x", "not handed in")])
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    name = file_name("../ada")
    assert "/" not in name
    assert files == [
        "canvas.csv",
        "grades.csv",
        "grades.json",
        f"gradescope/{name}/results.json",
        "moodle.csv",
        f"pages/{name}.html",
    ]
    content = (tmp_path / "grades.csv").read_bytes()
    assert content.startswith("\ufeff".encode()), "by which spreadsheets know UTF-8"
    assert content.decode().splitlines()[-1] == "Bob,,,,not handed in"


def test_a_second_assignment_overwrites_nothing(tmp_path):
    first, second = result("ada"), replace(result("ada", earned=2.0), assignment="02_y")
    write_class(tmp_path, {"01_x": [first]}, [])
    write_class(tmp_path, {"01_x": [first], "02_y": [second]}, [])
    rows = (tmp_path / "grades.csv").read_text("utf-8-sig").splitlines()
    assert rows == [
        "student,assignment,first,earned,maximum,problem",
        "ada,01_x,1.0,1.0,2.0,",
        "ada,02_y,2.0,2.0,2.0,",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "01_x",
        "02_y",
        "grades.csv",
        "grades.json",
    ]
    assert (tmp_path / "01_x/pages/ada.html").is_file()
    assert (tmp_path / "02_y/moodle.csv").is_file()


@given(st.text(st.characters(), max_size=300), st.text(st.characters(), max_size=300))
def test_file_names_are_safe_and_distinct(one, other):
    name = file_name(one)
    assert len(name.encode()) < 150
    assert "/" not in name
    assert "\\" not in name
    assert not name.startswith(".")
    assert (name == file_name(other)) == (one == other)
    assert (name.casefold() == file_name(other).casefold()) == (one == other)


@given(st.text("aäßbB", min_size=1))
def test_files_of_names_that_differ_in_case_only_are_two(name):
    others = {name, name.upper(), name.title(), name.casefold()}
    assert len({file_name(other).casefold() for other in others}) == len(others)


@given(st.text(st.characters()))
def test_results_are_read_back(text):
    tidy = result(text, text).tidy()
    stored = json.loads(json.dumps(tidy.to_json()).encode())
    assert Result.from_json(stored) == tidy
    tidy.questions[0].printed.encode()


def test_results_of_other_formats():
    value = result().to_json()
    with pytest.raises(LaterFormat, match=f"format {FORMAT + 1}"):
        Result.from_json(value | {"format": FORMAT + 1})
    first = {k: v for k, v in value.items() if k not in ("format", "file", "name", "number")}
    first["questions"] = [{k: v for k, v in q.items() if k != "key"} for q in value["questions"]]
    assert Result.from_json(first).earned == 1
    assert Result.from_json(first).key == "", "which is of something else there"
    with pytest.raises(ValueError, match="'surprise' is unknown"):
        Result.from_json(value | {"surprise": 1})
