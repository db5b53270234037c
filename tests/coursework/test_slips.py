"""What is no error in an instructor's rules, and is told; and names that are nearly somebody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruled_class import CLASS, HEADS, known, result

from minires.coursework.marks.adjusted_points import marked
from minires.coursework.marks.rules import read_rules
from minires.coursework.marks.slips import above
from minires.coursework.submissions.people import People
from minires.coursework.tables import Row
from minires.files import FileError

ZONE = 'zone = "Europe/Berlin"\n'


def notes(ruled, **files):
    ruled(**files)
    return ruled.rules.notes


def test_rows_that_add_up_are_told(ruled):
    (same,) = notes(ruled, adjustments=HEADS + "zoë,relu,1,a\nBob Smith,,1,\nZoe,relu,1,a\n")
    assert same.startswith("adjustments.csv, lines 2 and 4 are the same, and all count (+2 in all")
    (other,) = notes(ruled, adjustments=HEADS + "zoë,relu,1,a\nZoe,relu,2,a\nZoe,relu,0.5,\n")
    assert "lines 2, 3 and 4 are of one question, and all count (+3.5 in all for zoë" in other
    assert notes(ruled, adjustments=HEADS + "zoë,relu,1,a\nzoë,sgd,1,a\nzoë,,1,a\n") == []
    assert notes(ruled, adjustments=HEADS + "zoë,relu,,well said\nzoë,relu,1,a\n") == []


def test_points_above_the_maximum_are_told(ruled):
    found = ruled(adjustments=HEADS + "zoë,relu,15,a\nBob Smith,,100,\nEve,relu,1,\n")
    assert above(list(found.values())) == [
        "Bob Smith_12: 01_x 110 of 20 points, more than there are; right if it is a bonus",
        "zoë: relu 16 of 4 points, more than there are; right if it is a bonus",
    ]


@pytest.mark.parametrize("points", [-1, -5])
def test_what_cannot_be_taken_in_full_says_so(ruled, points):
    found = ruled(adjustments=HEADS + f"zoë,relu,{points},a\nEve,,{points},\n")
    (zoe,), (eve,) = found["zoë"].changes, found["Eve_ev@example.org"].changes
    more = f"adjustment {points}: a" + (" (4 less is taken: nothing is below 0)" * (points == -5))
    assert zoe.told() == f"relu, {more}"
    assert eve.told() == f"adjustment {points}: ({-points} less is taken: nothing is below 0)"


def test_an_extension_that_extends_nothing_is_told(ruled):
    rows = "student,due\nzoë,2026-10-01\nBob Smith,2026-10-05\n"
    (note,) = notes(ruled, extensions=rows)
    assert note.startswith("extensions.csv: course.toml has no due date of 01_x, so nothing is ext")
    (note,) = notes(ruled, extensions=rows, course=ZONE + '[01_x]\ndue = "2026-10-03"\n')
    assert note.startswith(
        "extensions.csv, line 2: 2026-10-01 23:59 CEST is earlier than 2026-10-0"
    )
    assert notes(ruled, extensions=rows, course='[01_x]\ndue = "2026-10-01"\n') == []


@pytest.mark.parametrize(
    ("due", "said"),
    [
        (
            "2026-03-29 02:30",
            "02:30 is never, as clocks go forward there; taken is 2026-03-29 03:30",
        ),
        ("2026-10-25 02:30", "is twice, as clocks go back there; taken is 2026-10-25 02:30 CEST"),
        ("2026-10-25 03:00", ""),
        ("2026-10-25 02:30 +01:00", ""),
    ],
)
def test_hours_that_clocks_do_not_have_are_told(ruled, due, said):
    found = notes(ruled, course=f'{ZONE}[01_x]\ndue = "{due}"\n')
    assert len(found) == bool(said)
    assert all(note.startswith("course.toml: [01_x]: ") and said in note for note in found)
    found = notes(ruled, times=f"student,submitted\nzoë,{due}\n", course=ZONE)
    assert len(found) == bool(said)


def test_a_day_over_the_end_of_summer_time_explains_itself(tmp_path):
    (tmp_path / "course.toml").write_text(
        f'{ZONE}[01_x]\ndue = "2026-10-25 01:30"\npenalty = "10% per day"\n'
    )
    late = result("ada", 0.05, "2026-10-26T00:30:00+00:00")
    told = marked(late, read_rules([tmp_path], known([late]))).changes[0].told()
    assert "1 day 1 hour late" in told
    assert told.endswith(
        "1 day begun by the calendar, as clocks were changed meanwhile, of 1 point"
    )


def test_only_who_and_points_are_needed(ruled):
    assert ruled(adjustments="student,points\nzoë,2\n")["zoë"].earned == 7
    assert ruled(adjustments="points;student;question\n2;zoë;relu\n")["zoë"].earned == 7
    for heading in ("questions", "comments", "qestion"):
        with pytest.raises(FileError, match=f"line 2: is the column '{heading}' meant as "):
            ruled(adjustments=f"student,points,{heading}\nzoë,2,relu\n")


LETTERS = st.sampled_from("abcdefghijklmnopqrstuvwxyzäöü")
NAMES = st.lists(LETTERS, min_size=8, max_size=16, unique=True).map("".join)


@given(NAMES, st.data())
def test_a_slip_in_a_name_is_asked_about(letters, data):
    name = f"{letters[:4]} {letters[4:]}"
    at = data.draw(st.integers(0, len(name) - 1))
    slip = name[:at] + data.draw(st.sampled_from(["", "x", name[at] * 2])) + name[at + 1 :]
    people = People([result(f"{name}_12", name=name, number="4711"), result("Q. Zzzzzz")])
    row = Row("t.csv", 2, {"student": slip})
    try:
        assert people.find(row) == f"{name}_12"
    except LookupError:
        assert people.near(row) == f"; is it {name}?"


def test_who_is_proposed_and_who_is_not(ruled, tmp_path):
    for student, said in [
        ("Ada Lovlace", r"no student 'Ada Lovlace' has handed this in; is it Ada Lovelace\?$"),
        ("4712", "handed this in$"),
        ("13", "handed this in$"),
        ("Grace", "handed this in$"),
        ("", "line 2: no student is named: write who it is"),
    ]:
        for file, text in (
            ("adjustments", f"{student},1"),
            ("extensions", f"{student},2026-10-01"),
        ):
            head = "student,points" if file == "adjustments" else "student,due"
            for path in tmp_path.glob("*.csv"):
                path.unlink()
            with pytest.raises(FileError, match=said):
                ruled(CLASS, **{file: f"{head}\n{text}\n"})
