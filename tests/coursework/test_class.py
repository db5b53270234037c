"""A whole class, from what is handed in to the tables: nothing is lost, and nothing is stale."""

import json
import os
import shutil
from datetime import UTC, datetime

import pytest
from small_assignment import GRADING, SOURCE, write

from minires.coursework.grading import grade
from minires.coursework.result import FORMAT
from minires.coursework.sandbox import parent as sandbox

RIGHT = "def double(x):\n    return x + x\n"
WRONG = "def double(x):\n    return x\n"


@pytest.fixture
def graded(minires, tmp_path, unsafe):
    """Grade what is in a folder with results in `out`: what is printed."""
    write(tmp_path / "source" / "08_two")

    def run(*more, work="work", assignment="08_two", rc=0):
        named = [] if assignment is None else ["--assignment", assignment]
        places = [tmp_path / name for name in ([work] if isinstance(work, str) else work)]
        call = ["grade", *places, "--source", tmp_path / "source", *named]
        return minires(*call, "--out", tmp_path / "out", *unsafe, *more, rc=rc)

    return run


@pytest.fixture
def work(tmp_path):
    def put(files, folder="work"):
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return put


# ---------------------------------------------------------------------- one answer


def test_no_answer_stops_the_rest(graded, work, rows, tmp_path):
    answers = {
        "huge": "return 10 ** 400",
        "larger": "return 10 ** 5000",
        "infinite": "return x * 1e308 * 1e308",
        "raises": "raise ValueError('\\ud800')",
        "text": "return '\\ud800' * 3",
        "prints": "print('\\x00\\x1b[31m\\u202e')\n    return x + x",
        "deep": "a = []\n    for _ in range(5000): a = [a]\n    return a",
        "named": "raise type('\\ud800', (Exception,), {})('x')",
    }
    work({f"{name}.py": f"def double(x):\n    {text}\n" for name, text in answers.items()})
    latin = os.path.join(os.fsencode(tmp_path / "work"), b"J\xf8rgen.py")  # noqa: PTH118
    with open(latin, "w") as file:  # noqa: PTH123 - such a name is no text
        file.write(RIGHT)
    for _ in range(2):
        said = graded()
        assert {row[0]: row[1] for row in rows()} == dict.fromkeys(answers, "0.0") | {
            "Jørgen": "1.0",
            "prints": "1.0",
        }
    assert "the grader failed" not in said
    for path in (tmp_path / "out").rglob("*.json"):
        json.loads(path.read_bytes())


def test_what_the_grader_raises_is_that_questions_message(graded, work, rows, monkeypatch, unsafe):
    work({"ada.py": RIGHT, "bob.py": RIGHT})
    real, times = grade.grade_question, []

    def fails(question, given, cells, **options):
        times.append(1)
        if len(times) == 1:
            raise OSError(28, "No space left on device")
        return real(question, given, cells, **options)

    monkeypatch.setattr(grade, "grade_question", fails)
    said = graded("--jobs", 1)
    assert "the next run tries again:\n  ada, double: the grader failed here" in said
    assert "No space left on device" in said
    assert [row[1] for row in rows()] == ["0.0", "1.0"]
    assert "the grader failed" not in graded()
    assert [row[1] for row in rows()] == ["1.0", "1.0"]
    assert len(times) == 3, "bob's was kept"


def test_a_child_that_cannot_be_started_is_a_message_too(graded, work, monkeypatch):
    work({"ada.py": RIGHT})

    def fails(*arguments, **options):
        raise sandbox.IsolationError("isolation failed: unshare")

    monkeypatch.setattr(grade, "Child", fails)
    assert "IsolationError: isolation failed: unshare" in graded()


# ---------------------------------------------------------------------- stored results


def test_a_late_student_joins_the_class(graded, work, rows, tmp_path):
    work({"ada.py": RIGHT, "bob.py": WRONG})
    graded()
    work({"cy.py": RIGHT}, "late")
    said = graded(work="late")
    assert [row[:2] for row in rows()] == [["ada", "1.0"], ["bob", "0.0"], ["cy", "1.0"]]
    assert all(name in said for name in ("ada", "bob", "cy"))
    assert (tmp_path / "out/pages/ada.html").is_file()
    assert len(rows("moodle.csv")) == 3


def test_another_assignment_overwrites_nothing(graded, work, rows, tmp_path):
    write(
        tmp_path / "source" / "09_three",
        SOURCE.replace("double", "triple").replace("2 * x", "3 * x"),
        GRADING.replace("double", "triple").replace("x + x", "3 * x").replace("2 * x", "3 * x"),
    )
    work({"ada.py": RIGHT})
    graded()
    work({"ada.py": "def triple(x): return 3 * x"}, "second")
    said = graded(work="second", assignment="09_three")
    assert rows() == [
        ["ada", "08_two", "1.0", "", "1.0", "1.0", ""],
        ["ada", "09_three", "", "1.0", "1.0", "1.0", ""],
    ]
    assert "and for each assignment a folder with moodle.csv" in said
    assert (tmp_path / "out/08_two/moodle.csv").is_file()
    assert not (tmp_path / "out/moodle.csv").exists()
    assert graded(work=["work", "second"], assignment=None).count("1/1") == 4


def test_a_resubmission_is_graded_whatever_else_is_asked(graded, work, rows, tmp_path):
    work({"ada.py": WRONG, "bob.py": RIGHT})
    graded()
    work({"ada.py": RIGHT})
    said = graded("--regrade", "double")
    assert "ada: double 0 -> 1 of 1" in said
    assert [row[1] for row in rows()] == ["1.0", "1.0"]
    [earlier] = (tmp_path / "out/results/08_two/earlier").iterdir()
    assert json.loads(earlier.read_text())["earned"] == 0


def test_only_what_changed_is_graded_again(graded, work, rows, tmp_path, monkeypatch):
    source = tmp_path / "source" / "08_two"
    question = SOURCE[SOURCE.index("# %% question") :].replace("double", "twice")
    grading = GRADING + GRADING[GRADING.index("@question") :].replace("double", "twice")
    (source / "assignment.py").write_text(SOURCE + "\n" + question)
    (source / "grading.py").write_text(grading)
    work({"ada.py": RIGHT + "def twice(x): return x + x", "bob.py": RIGHT})
    done, real = [], grade.grade_question

    def counted(question, given, cells, **options):
        done.append(question.name)
        return real(question, given, cells, **options)

    monkeypatch.setattr(grade, "grade_question", counted)
    graded()
    assert sorted(done) == ["double", "double", "twice", "twice"]
    graded()
    assert len(done) == 4
    (source / "grading.py").write_text(
        grading.replace('twice.case("two", np.array([2.0])', 'twice.case("two", np.array([3.0])')
    )
    graded()
    assert done[4:] == ["twice", "twice"]
    work({"bob.py": RIGHT + "def twice(x): return 2 * x"})
    graded("--regrade", "double")
    assert sorted(done[6:]) == ["double", "double", "twice"]
    assert [row[1:4] for row in rows()] == [["1.0", "1.0", "2.0"]] * 2


def test_results_of_other_versions(graded, work, rows, tmp_path):
    work({"ada.py": RIGHT})
    graded()
    place = tmp_path / "out" / "results" / "08_two"
    stored = json.loads((place / "ada.json").read_text())
    first = {k: v for k, v in stored.items() if k not in ("format", "file", "number", "platform")}
    del first["name"], first["questions"][0]["key"]
    old = first | {"student": "Bob_12_assignsubmission_file_"}
    (tmp_path / "out" / "results" / "Bob_12_assignsubmission_file_.json").write_text(
        json.dumps(old)
    )
    (place / "eve.json").write_text("{")
    said = graded(rc=1)
    assert [row[0] for row in rows()] == ["Bob_12", "ada", "eve"]
    assert "eve.json is damaged and was not read" in said
    (place / "ada.json").write_text(json.dumps(stored | {"format": FORMAT + 1}))
    said = graded(rc=2)
    assert said.count("\n") == 1
    assert "update minires, or name another folder with --out" in said


def test_rules_stay_whatever_is_graded_again(graded, work, rows, tmp_path, monkeypatch):
    def came(name, hour, folder="work"):
        seconds = datetime(2026, 10, 1, hour, tzinfo=UTC).timestamp()
        os.utime(tmp_path / folder / name, (seconds, seconds))

    done, real = [], grade.grade_question

    def counted(question, given, cells, **options):
        done.append(question.name)
        return real(question, given, cells, **options)

    monkeypatch.setattr(grade, "grade_question", counted)
    work({"ada.py": RIGHT, "bob.py": RIGHT})
    came("ada.py", 10)
    came("bob.py", 14)
    out = tmp_path / "out"
    out.mkdir()
    by_hand = "student,question,points,comment\nada,double,0.5,asked well\n"
    (out / "adjustments.csv").write_text(by_hand)
    course = 'zone = "UTC"\n[08_two]\ndue = "2026-10-01 12:00"\npenalty = "20%"\n'
    (out / "course.toml").write_text(course)
    assert "ada       1.5/1   1.5/1\nbob         1/1   0.8/1\n" in graded()
    source = tmp_path / "source" / "08_two" / "grading.py"
    source.write_text(source.read_text().replace("points=1", "points=3"))
    shutil.copytree(tmp_path / "work", tmp_path / "copy")
    came("ada.py", 20, "copy")
    came("bob.py", 20, "copy")
    graded(work="copy")
    assert len(done) == 2, "other points and a copy are graded again by nobody"
    assert [row[1:6] for row in rows()] == [
        ["3.5", "3.5", "0.0", "0.0", "3.5"],
        ["3.0", "3.0", "-0.6", "0.0", "2.4"],
    ]
    assert rows()[1][8] == "2026-10-01 14:00 UTC", "a copy is younger than what was handed in"
    work({"ada.py": RIGHT + "# better"}, "copy")
    came("ada.py", 20, "copy")
    graded("--regrade", "double", work="copy")
    assert rows()[0][1:6] == ["3.5", "3.5", "-0.7", "0.0", "2.8"]
    assert (out / "adjustments.csv").read_text() == by_hand
    (out / "adjustments.csv").write_text(by_hand + "eve,,1,\n")
    count = len(done)
    assert "adjustments.csv, line 3: no student 'eve'" in graded("--regrade", "double", rc=2)
    assert len(done) == count, "it is said before anything is graded"


# ---------------------------------------------------------------------- what was not graded


def test_what_is_left_out_and_who_is_missing(graded, work, rows, tmp_path):
    work({"ada.py": RIGHT, "bob.pdf": "%PDF", "cy/x.docx": "", ".DS_Store": ""})
    (tmp_path / "work" / "dora").mkdir()
    roster = tmp_path / "roster.csv"
    roster.write_text("Name,ID\nAda,1\nBob,2\nEve,3\n")
    said = graded("--roster", roster)
    assert "not graded:\n  bob.pdf: neither a notebook nor a Python file\n" in said
    assert "  dora: an empty folder\n  and 1 that systems and programs leave" in said
    tried = "handed in, but nothing that can be graded"
    assert f"missing: Bob, 2 ({tried})\nmissing: Eve, 3\n" in said
    assert [row[0] for row in rows()] == ["ada", "Bob, 2", "Eve, 3"]
    assert [row[-1] for row in rows()[1:]] == [tried, "nothing was handed in"]
    why = "neither a notebook nor a Python file"
    assert ["bob", "bob.pdf", why, str(tmp_path / "work")] in rows("not_graded.csv")
    assert len(rows("not_graded.csv")) == 4
    roster.write_text("")
    assert "roster.csv names nobody" in graded("--roster", roster, rc=2)


def test_a_place_without_anything_to_grade(graded, work):
    work({"bob.pdf": "%PDF"})
    said = graded(rc=2)
    assert said.count("\n") == 1
    assert "holds no notebook and no Python file to grade (bob.pdf: neither" in said
    work({"cy.py": "x = 1"}, "unknown")
    assert "add --assignment" in graded(work="unknown", assignment=None, rc=2)


def test_an_archive_of_the_whole_class(graded, work, rows, tmp_path):
    work({f"Student {i}_{i}_assignsubmission_file_/hw.py": RIGHT for i in (10, 11)})
    shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "work")
    graded(work="export.zip", assignment=None)
    assert [row[0] for row in rows()] == ["Student 10_10", "Student 11_11"]
    assert rows("moodle.csv")[0][:2] == ["Participant 10", "Student 10"]
