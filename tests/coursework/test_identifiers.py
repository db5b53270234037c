"""Students under identifiers: stable, telling nothing, and given back their names."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_assignment import write

from minires.coursework.marks.identifiers import Identifiers
from minires.coursework.result import Result
from minires.coursework.submissions.collect import Submission
from minires.files import FileError


@pytest.fixture
def course(tmp_path):
    """The instructor's folder of a course."""

    def make(seed=2**100 + 1):
        folder = tmp_path / f"instructor{seed}"
        folder.mkdir(exist_ok=True)
        (folder / "seed.txt").write_text(f"{seed}\n")
        return folder

    return make


def moodle(name, number):
    path = Path(f"{name}.ipynb")
    return Submission(f"{name}_{number}", path, path.name, name, str(number), "Moodle")


def identifiers_of(folder, assignment, *submissions):
    known = Identifiers(folder)
    found = [one.student for one in known.hidden(assignment, submissions)]
    known.write()
    return found


def test_stable_in_a_course_and_other_in_another(course):
    first, second = moodle("Ada", 11), moodle("Bob", 12)
    one = identifiers_of(course(), "01_x", first, second)
    assert one == identifiers_of(course(), "01_x", first, second)
    assert one[::-1] == identifiers_of(course(), "02_y", moodle("Bob", 98), moodle("Ada", 99))
    other = identifiers_of(course(5), "01_x", first, second)
    assert len({*one, *other}) == 4


def test_namesakes_are_told_apart_whenever_they_come(course):
    ada = moodle("Ada", 11)
    [first] = identifiers_of(course(), "01_x", ada)
    [late] = identifiers_of(course(), "01_x", moodle("Ada", 12))
    assert late != first
    both = identifiers_of(course(), "01_x", moodle("Ada", 12), moodle("Bob", 13), ada)
    assert (both[0], both[2]) == (late, first)
    together = identifiers_of(course(7), "01_x", ada, moodle("Ada", 12))
    assert together[0] != together[1]


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(), min_size=1), min_size=1, max_size=6, unique=True))
def test_any_names_get_identifiers_and_come_back(tmp_path_factory, students):
    folder = tmp_path_factory.getbasetemp() / "drawn-instructor"
    folder.mkdir(exist_ok=True)
    (folder / "seed.txt").write_text("3")
    (folder / "identifiers.csv").unlink(missing_ok=True)
    submissions = [Submission(one, Path("hw.py"), one) for one in students]
    found = identifiers_of(folder, "01_x", *submissions)
    assert len(set(found)) == len(students)
    known = Identifiers(folder)
    assert [one.student for one in known.hidden("01_x", submissions)] == found
    for one, identifier in zip(students, found, strict=True):
        named = known.named(Result(identifier, "01_x", "T", [], platform="identifiers"))
        assert (named.student, named.platform) == (one, "")
        assert identifier.isascii()
        assert len(identifier) == 18


def test_a_folder_that_is_none_of_a_course(tmp_path):
    with pytest.raises(FileError, match=r"holds no seed.txt: name the folder `instructor`"):
        Identifiers(tmp_path)


NAMES = ("Ada", "Lovelace", "Bob", "Smith", "Eve", "_41", "_42")


def test_a_class_is_graded_and_published_without_names(minires, course, tmp_path, unsafe):
    write(tmp_path / "source" / "08_two")
    work = tmp_path / "work"
    for name, number in (("Ada Lovelace", 41), ("Bob Smith", 42)):
        folder = work / f"{name}_{number}_assignsubmission_file_"
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text("def double(x):\n    return x + x\n")
    (work / "Eve Gray_43_assignsubmission_file_").mkdir()
    out, folder = tmp_path / "out", course()
    roster = tmp_path / "roster.csv"
    roster.write_text("Name\nAda Lovelace\nBob Smith\nEve Gray\n")
    call = ["grade", work, "--source", tmp_path / "source", "--out", out, *unsafe]
    said = minires(*call, "--anonymous", folder, "--roster", roster)
    assert "missing: Eve Gray" in said
    text = (folder / "identifiers.csv").read_text(encoding="utf-8-sig")
    known = {row["name"]: row["identifier"] for row in csv.DictReader(text.splitlines())}
    assert known.keys() == {"Ada Lovelace", "Bob Smith"}

    def check():
        found = [path for path in out.rglob("*") if path.is_file()]
        for path in found:
            text = f"{path.relative_to(out)} {path.read_text(encoding='utf-8-sig')}"
            assert not [part for part in NAMES if part in text], path
        assert {path.stem for path in (out / "pages").iterdir()} == set(known.values())
        assert not (out / "moodle.csv").exists()
        rows = csv.DictReader((out / "grades.csv").read_text(encoding="utf-8-sig").splitlines())
        return {row["student"]: row["earned"] for row in rows}

    assert check() == dict.fromkeys(known.values(), "1.0")
    rows = "student,question,points,comment\nBob Smith,double,-0.5,copied\n"
    (folder / "adjustments.csv").write_text(rows + f"{known['Ada Lovelace']},,2,told well\n")
    minires("coursework", "marks", out, "--anonymous", folder)
    assert check() == {known["Ada Lovelace"]: "3.0", known["Bob Smith"]: "0.5"}
    moodle_table = (folder / "08_two" / "moodle.csv").read_text(encoding="utf-8-sig")
    assert "Participant 42,Bob Smith,0.5,1.0," in moodle_table
    assert "Eve Gray" in (folder / "not_graded.csv").read_text(encoding="utf-8-sig")
    (folder / "extensions.csv").write_text("student,due\nEve Gray,2026-10-01\n")
    marks = ["coursework", "marks", out, "--anonymous", folder, "--roster", roster]
    assert "note: extensions.csv, line 2: no student 'Eve Gray' has handed" in minires(*marks)
    check()
    with (folder / "adjustments.csv").open("a") as file:
        file.write("Eve Gray,,1,who has no identifier\n")
    assert "line 4: no student 'Eve Gray' has handed this in" in minires(*marks, rc=2)
    check()
    for another in (marks, call):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        said = minires(*another[: 3 if another is marks else None], "--anonymous", course(6), rc=2)
        assert "identifiers.csv does not know student-" in said
        assert "the `instructor` folder of the course that was graded there" in said
        assert said.count("\n") == 1
        course(6)
        assert not (course(6) / "identifiers.csv").exists()
        assert all(path.read_bytes() == content for path, content in before.items())
    said = minires(*call, rc=2)
    assert "is of students under identifiers: add --anonymous DIR" in said
    assert said.count("\n") == 1
    names = tmp_path / "named"
    minires(*call[: -1 - len(unsafe)], names, *unsafe)
    said = minires("coursework", "marks", names, "--anonymous", folder, rc=2)
    assert "is of students under names" in said
