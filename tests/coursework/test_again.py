"""Grading into a folder that holds results: nothing of a class is mixed up, lost or stale."""

import pytest
from small_assignment import GRADING, SOURCE, write

RIGHT = "def double(x):\n    return x + x\n"
WRONG = "def double(x):\n    return x\n"
DRAWN = '\n@double.hidden("a row")\ndef row(draw):\n    return [draw.normal(draw.size(2, 5))]\n'


@pytest.fixture
def put(tmp_path):
    """Write what is handed in."""

    def write_to(name, text=RIGHT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write_to


@pytest.fixture
def graded(minires, tmp_path, unsafe):
    """Grade a folder with results in `out`: what is printed."""
    write(tmp_path / "source" / "08_two", SOURCE, GRADING + DRAWN)

    def run(work="work", *more, assignment="08_two", rc=0):
        call = ["grade", tmp_path / work, "--source", tmp_path / "source"]
        call += ["--assignment", assignment, "--out", tmp_path / "out"]
        return minires(*call, *unsafe, *more, rc=rc)

    return run


def built(minires, tmp_path, course, *more):
    """The bundle of a course."""
    source = tmp_path / "source"
    minires("coursework", "build", tmp_path / course, "--source", source, *more)
    return tmp_path / course / "bundle" / "08_two.bundle"


PUBLIC = "note: the hidden tests of 08_two are the public ones of seed 0: pass --assignment"


def test_a_forgotten_bundle_is_told(minires, graded, put, rows, tmp_path):
    put("work/ada.py")
    mine = built(minires, tmp_path, "course")
    assert PUBLIC not in graded(assignment=mine)
    said = graded(rc=2)
    assert said.count("\n") == 1
    assert (
        "holds results of 08_two on the hidden tests of another seed. These are of seed 0" in said
    )
    other = built(minires, tmp_path, "other")
    assert "of another seed. To grade on two sets" in graded(assignment=other, rc=2)
    grading = tmp_path / "source" / "08_two" / "grading.py"
    grading.write_text(grading.read_text() + DRAWN.replace("row", "line"))
    assert built(minires, tmp_path, "course") == mine
    graded(assignment=mine)
    (tmp_path / "out" / "results" / "08_two" / "course.txt").unlink()
    assert graded().count(PUBLIC) == 1
    assert rows()[0][:2] == ["ada", "1.0"]


def test_what_students_get_does_not_tell_the_seed(minires, graded, tmp_path):
    for course, seed in ("a", 1), ("b", 2):
        built(minires, tmp_path, course, "--seed", seed)
    checks = [(tmp_path / c / "student/08_two/08_two.checks").read_bytes() for c in "ab"]
    assert checks[0] == checks[1]


# ---------------------------------------------------------------------- what was not graded


def test_what_was_not_graded_stays_until_it_is_given_again(graded, put, rows, tmp_path):
    for name in ("ada.py", "bob.pdf", "=cy.pdf", "max.pdf"):
        put(f"work/{name}")
    put("late/dora.py")
    put("late/dora.txt")

    def files():
        return sorted(row[1] for row in rows("not_graded.csv"))

    graded()
    graded("late")
    assert files() == ["'=cy.pdf", "bob.pdf", "dora.txt", "max.pdf"]
    put("later/bob.pdf.ipynb", "{}")
    (tmp_path / "work/max.pdf").unlink()
    graded("later")
    assert files() == ["'=cy.pdf", "bob.pdf", "dora.txt", "max.pdf"]
    for _ in range(2):
        graded()
        assert files() == ["'=cy.pdf", "bob.pdf", "dora.txt"], "max.pdf is not there any more"
    put("other/=cy.pdf")
    put("other/eve.py")
    graded("other")
    assert files() == ["'=cy.pdf", "bob.pdf", "dora.txt"]


# ---------------------------------------------------------------------- another version


def test_other_points_are_everybodys(graded, put, rows, tmp_path):
    for name in ("ada", "bob", "cy"):
        put(f"work/{name}.py", WRONG if name == "bob" else RIGHT)
    put("late/cy.py")
    graded()
    grading = tmp_path / "source" / "08_two" / "grading.py"
    before = grading.read_text()
    grading.write_text(before.replace("points=1", "points=3"))
    assert "earlier version" not in graded("late")
    assert [row[2:4] for row in rows("moodle.csv")] == [
        ["3.0", "3.0"],
        ["0.0", "3.0"],
        ["3.0", "3.0"],
    ]
    grading.write_text(before + DRAWN.replace("row", "line"))
    said = graded("late")
    assert "note: results of 2 students are of an earlier version of 08_two: grade" in said
    assert [row[3] for row in rows("moodle.csv")] == ["1.0"] * 3
    assert "earlier version" not in graded()


def test_a_renamed_question_is_noted(graded, put, tmp_path):
    put("work/ada.py")
    put("late/cy.py", RIGHT.replace("double", "twice"))
    graded()
    for path in (tmp_path / "source" / "08_two").iterdir():
        path.write_text(path.read_text().replace("double", "twice"))
    said = graded("late")
    assert "note: 1 student's result is of an earlier version of 08_two: grade" in said


# ---------------------------------------------------------------------- another name


def test_a_platforms_number_is_one_student(graded, put, rows, tmp_path):
    before, now = ("Ada Lovelace_1000", "Ada King_1000")
    put(f"work/{before}_assignsubmission_file_/hw.py", WRONG)
    put("work/Bob_1001_assignsubmission_file_/hw.py")
    put(f"new/{now}_assignsubmission_file_/hw.py")
    graded()
    out = tmp_path / "out"
    (out / "adjustments.csv").write_text("student,question,points,comment\nAda Lovelace,,1,asked\n")
    said = graded("new")
    assert f"note: {before} is {now} now, with the number 1000 of Moodle: one student" in said
    assert [row[:3] for row in rows("moodle.csv")] == [
        ["Participant 1000", "Ada King", "2.0"],
        ["Participant 1001", "Bob", "1.0"],
    ]
    assert len(list((out / "results" / "08_two" / "earlier").iterdir())) == 1
    assert len(list((out / "pages").iterdir())) == 2
    assert "no student 'Ada Lovelace'" in graded("new", rc=2), "rules name who is there"
    (out / "adjustments.csv").unlink()
    assert "note:" not in graded("new").replace(PUBLIC, "")
    both = f"new/{before}_assignsubmission_file_/hw.py"
    put(both, WRONG)
    said = graded("new")
    assert len(rows()) == 2
    assert "counts: " in said


def test_who_is_renamed_or_gone_is_told(graded, put, tmp_path):
    for name in ("ada", "bob", "cy", "dora"):
        put(f"work/{name}.py", f"# {name}\n")
    assert "given now" not in graded()
    (tmp_path / "work/bob.py").rename(tmp_path / "work/robert.py")
    put("work/robert.py", "def double(x):\n    return 2 * x + 1 - 1\n")
    (tmp_path / "work/cy.py").unlink()
    said = graded()
    assert "note: cy was not given now and counts on: remove results/08_two/cy.json to" in said
    (tmp_path / "work/robert.py").rename(tmp_path / "work/bobby.py")
    said = graded()
    assert "note: robert was not given now and has the content of bobby, perhaps under a" in said
    (tmp_path / "out/results/08_two/robert.json").unlink()
    assert "robert" not in graded()
    put("late/eve.py", "# eve\n")
    assert "given now" not in graded("late"), "one who is late says nothing of the others"


# ---------------------------------------------------------------------- damage


def test_a_damaged_result_keeps_its_row(minires, graded, put, rows, tmp_path):
    put("work/Ada Lovelace_1000_assignsubmission_file_/hw.py")
    put("work/Bob_1001_assignsubmission_file_/hw.py", WRONG)
    graded()
    out = tmp_path / "out"
    stored = next(path for path in (out / "results" / "08_two").glob("Ada*.json"))
    for text in (stored.read_text()[:90], "", "[]", '{"format": 3}'):
        stored.write_text(text)
        for _ in range(2):
            said = minires("coursework", "marks", out, rc=1)
            assert f"{stored} is damaged and was not read" in said
            assert [(row[0], row[-3]) for row in rows()] == [
                ("Bob_1001", "0.0"),
                ("Ada Lovelace_1000", ""),
            ]
            assert rows()[1][-1] == "the stored result is damaged: grade what was handed in again"
            assert [row[:4] for row in rows("moodle.csv")] == [
                ["Participant 1001", "Bob", "0.0", "1.0"],
                ["Participant 1000", "Ada Lovelace", "", "1.0"],
            ]
    assert "08_two" in minires("coursework", "statistics", out)
    assert "is damaged" not in graded()
    assert "is damaged" not in minires("coursework", "marks", out)
    assert [row[1] for row in rows()] == ["1.0", "0.0"]
    for path in (out / "results" / "08_two").glob("*.json"):
        path.write_text("{")
    assert "is damaged" in minires("coursework", "marks", out, rc=1)
    assert [row[0] for row in rows()] == ["Ada Lovelace_1000", "Bob_1001"]
