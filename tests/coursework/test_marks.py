"""From stored results and an instructor's rules to marks: arithmetic, dates, names, tables."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruled_class import CLASS, FULL, HEADS, NAMES, STUDENTS, known, result

from minires.coursework.dates_and_times import instant, read_moment
from minires.coursework.grading.store import Store
from minires.coursework.marks.adjusted_points import marked, undated
from minires.coursework.marks.late import Penalty, units_late
from minires.coursework.marks.outputs import grades_csv, gradescope
from minires.coursework.marks.page import page
from minires.coursework.marks.rules import Known, read_rules
from minires.coursework.marks.show import feedback
from minires.coursework.submissions.people import People
from minires.files import FileError

BERLIN = ZoneInfo("Europe/Berlin")


def table(rows, head, order=None, delimiter=",", encoding="utf-8", decimal="."):
    """Rows as some program writes them."""
    order = range(len(head)) if order is None else order
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    for row in [head, *rows]:
        cells = [str(cell).replace(".", decimal) if type(cell) is float else cell for cell in row]
        writer.writerow([cells[i] for i in order])
    return text.getvalue().encode(encoding)


def rows_of(results):
    return list(csv.DictReader(io.StringIO(grades_csv(list(results)))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """For drawn rules, one after another."""
    return tmp_path_factory.mktemp("drawn")


# ---------------------------------------------------------------------- arithmetic

ROW = st.tuples(
    st.sampled_from(STUDENTS),
    st.sampled_from(("", *NAMES)),
    st.floats(-20, 20).map(lambda x: round(x, 2)),
    st.text("abc ,;\"'é=\n", max_size=8),
)
HEAD = ("student", "question", "points", "comment")


@settings(max_examples=60)
@given(
    st.lists(ROW, max_size=8),
    st.randoms(use_true_random=False),
    st.permutations(range(4)),
    st.sampled_from([(",", "."), (";", ","), ("\t", ".")]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([0, 1, 2.5, 6, 20])),
    st.sampled_from([None, "10% per day", "2.5 points per day", "50%", "30% per day, at most 40%"]),
    st.integers(-40, 400),
)
def test_a_total_is_what_arithmetic_says(
    folder, rows, shuffled, order, form, encoding, points, penalty, hours
):
    due = datetime(2026, 10, 1, 12, 0, 30, tzinfo=UTC)
    came = due + timedelta(hours=hours)
    results = [replace(one, submitted=came.isoformat()) for one in CLASS]
    for path in folder.iterdir():
        path.unlink()
    course = f'[01_x]\ndue = "{due.isoformat()}"\n'
    course += f'penalty = "{penalty}"\n' if penalty else ""
    course += "[01_x.points]\n" + "".join(f"{n} = {v}\n" for n, v in points.items())
    (folder / "course.toml").write_text(course)
    found = []
    for _ in range(2):
        content = table(rows, HEAD, order, form[0], encoding, form[1])
        (folder / "adjustments.csv").write_bytes(content)
        rules = read_rules([folder], known(CLASS))
        found.append([marked(one, rules) for one in results])
        shuffled.shuffle(rows)
    assert [one.earned for one in found[0]] == [one.earned for one in found[1]]
    for one, before in zip(found[0], results, strict=True):
        share = {q.name: Fraction(q.earned) / Fraction(q.points) for q in before.questions}
        total = Fraction(0)
        for name in NAMES:
            own = sum(Fraction(str(r[2])) for r in rows if r[:2] == (one.student, name))
            worth = share[name] * Fraction(points.get(name, FULL[name]))
            total += max(Fraction(0), worth + own)
        days = max(0, -(-hours // 24))
        taken = {
            None: 0,
            "10% per day": min(1, days / 10) * total,
            "2.5 points per day": min(total, Fraction(5, 2) * days),
            "50%": total / 2 if days else 0,
            "30% per day, at most 40%": min(Fraction(2, 5), Fraction(3, 10) * days) * total,
        }[penalty if hours > 0 else None]
        whole = sum(Fraction(str(r[2])) for r in rows if r[:2] == (one.student, ""))
        assert one.earned == pytest.approx(float(max(0, total - taken + whole)), abs=0.0151)
        assert one.points == sum(points.get(name, FULL[name]) for name in NAMES)
        assert one.earned >= 0
        assert all(q.earned >= 0 for q in one.questions)
    for row in rows_of(found[0]):
        number = {
            k: float(row[k]) for k in (*NAMES, "questions", "penalty", "adjustment", "earned")
        }
        assert sum(number[n] for n in NAMES) == pytest.approx(number["questions"], abs=0.0201)
        total = number["questions"] + number["penalty"] + number["adjustment"]
        assert number["earned"] == pytest.approx(max(0, total), abs=1e-9)
        assert -number["questions"] <= number["penalty"] <= 0


def test_without_rules_nothing_changes(ruled):
    assert list(ruled().values()) == [replace(one, submitted=UTC_TOLD) for one in CLASS]
    assert "penalty" not in grades_csv(CLASS)


UTC_TOLD = datetime(2026, 10, 1, 20, tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M %Z")


@given(st.integers(0, 24), st.integers(1, 40), st.integers(1, 40))
def test_points_of_a_question_scale_and_come_back(eighths, points, others):
    question = result("ada", eighths / 24).questions[1]
    once = question.worth(float(points))
    assert once.earned / points == pytest.approx(question.earned / question.points)
    assert sum(case.points for case in once.cases) == pytest.approx(points)
    assert sum(case.earned for case in once.cases) == pytest.approx(once.earned)
    assert once.passed == question.passed
    back = once.worth(float(others)).worth(question.points)
    assert back.earned == pytest.approx(question.earned)
    assert question.worth(0.0).earned == 0


def test_points_of_a_question_without_points(ruled):
    course = "[01_x.points]\nrelu = 0\nsgd = 20\n"
    ada = ruled(course=course)["Ada Lovelace_11"]
    assert (ada.earned, ada.points) == (26, 26)
    assert [q.earned for q in ada.questions] == [0, 6, 20]
    assert all(q.passed for q in ada.questions)


def test_an_adjustment_of_a_question_that_this_student_was_not_graded_on(ruled):
    short = replace(CLASS[2], questions=CLASS[2].questions[:1])
    rows = "student,question,points,comment\nzoë,sgd,2,told\n"
    got = ruled([*CLASS[:2], short], adjustments=rows)["zoë"]
    assert got.earned == 3
    assert got.changes[0].why == "sgd: told"


# ---------------------------------------------------------------------- whose it is


@pytest.mark.parametrize(
    "who",
    [
        "Ada Lovelace_11",
        "ada lovelace",
        '"Lovelace, Ada"',
        "11",
        "Participant 11",
        "lovelace ada",
        "'Ada Lovelace_11",
    ],
)
def test_a_student_by_any_whole_name(ruled, who):
    found = ruled(adjustments=f"question,student,points,comment\n,{who},-3,x\n")
    assert found["Ada Lovelace_11"].earned == 17
    assert found["Bob Smith_12"].earned == 10


def test_students_by_several_columns(ruled):
    head = "Identifier,First name,Last name,E-mail,question,points,comment\n"
    rows = ",Bob,Smith,,,1,\nParticipant 11,,,,,-1,\n,,,EV@example.org,,2,\n,Zoe,,,,1,\n"
    found = ruled(adjustments=head + rows)
    assert [found[s].earned for s in STUDENTS] == [19, 11, 6, 2]
    for who in (",Ada,,,", ",,Lovelace,,", ",,,,", ",Ada,Smith,,"):
        with pytest.raises(FileError, match="line 2: no student"):
            ruled(adjustments=head + who + ",1,\n")


def test_a_comment_alone_counts_nothing(ruled):
    bob = ruled(adjustments=HEADS + "bob smith,relu,,see me\n")["Bob Smith_12"]
    assert bob.earned == 10
    assert "relu, adjustment 0: see me" in feedback(bob)


@pytest.mark.parametrize(
    ("section", "near"),
    [
        *((name, True) for name in ("04_batchnorm", "4_batch_norm", "batch_norm", "04_batch_nrom")),
        *((name, False) for name in ("05_batch_norm", "03_conv", "04_pooling")),
    ],
)
def test_a_section_of_course_toml_that_is_nearly_an_assignment(tmp_path, section, near):
    (tmp_path / "course.toml").write_text(f"[{section}]\ndue = 2026-10-01\n")
    graded = {name: Known(FULL, People(())) for name in ("04_batch_norm", "06_sgd")}
    if near:
        with pytest.raises(FileError, match=r"is it 04_batch_norm\?"):
            read_rules([tmp_path], graded)
    else:
        assert len(read_rules([tmp_path], graded).notes) == 1


def test_a_name_that_two_have(ruled):
    twice = [*CLASS, replace(CLASS[0], student="Ada Lovelace_13", number="13")]
    rows = "student,question,points,comment\nAda Lovelace,relu,1,\n"
    with pytest.raises(FileError, match="line 2: 'Ada Lovelace' may be Ada Lovelace_11 or"):
        ruled(twice, adjustments=rows)
    rows = "student,number,question,points,comment\nAda Lovelace,13,relu,-1,\n"
    found = ruled(twice, adjustments=rows)
    assert [found[f"Ada Lovelace_{n}"].earned for n in (11, 13)] == [20, 19]


def test_which_of_several_assignments(tmp_path):
    other = replace(CLASS[0], assignment="02_y")
    only = replace(other, questions=[replace(other.questions[0], name="conv")])
    both = [*CLASS, replace(only, student="Ada Lovelace_99", number="99")]
    files = {"01_x": FULL, "02_y": {"conv": 4.0}}

    def read(rows):
        (tmp_path / "adjustments.csv").write_text(rows)
        people = {n: [one for one in both if one.assignment == n] for n in files}
        return read_rules([tmp_path], {n: Known(files[n], People(people[n])) for n in files})

    head = "student,question,points,comment,assignment\n"
    rules = read(head + "Ada Lovelace,conv,1,\nAda Lovelace,relu,2,\n")
    assert set(rules.adjustments) == {("02_y", "Ada Lovelace_99"), ("01_x", "Ada Lovelace_11")}
    with pytest.raises(FileError, match="a column 'assignment' must say: 01_x, 02_y"):
        read(head + "Ada Lovelace,,1,\n")
    rules = read(head + "Ada Lovelace,,1,,02_y\n")
    assert set(rules.adjustments) == {("02_y", "Ada Lovelace_99")}
    rules = read(head + "Ada Lovelace,,1,,03_z\n")
    assert not rules.adjustments
    assert rules.notes == ["adjustments.csv, line 2: there are no results of 03_z"]
    with pytest.raises(FileError, match=r"of an assignment '2-y'; is it 02_y\?"):
        read(head + "Ada Lovelace,,1,,2-y\n")
    (tmp_path / "adjustments.csv").unlink()
    (tmp_path / "extensions.csv").write_text("student,due,assignment\nBob Smith,2026-10-01,02_y\n")
    rules = read_rules(
        [tmp_path],
        {n: Known(files[n], People(o for o in both if o.assignment == n)) for n in files},
    )
    assert rules.notes == ["extensions.csv, line 2: no student 'Bob Smith' has handed this in"]
    with pytest.raises(FileError, match="line 2: no question 'relu', only conv"):
        read(head + "Ada Lovelace,relu,1,,02_y\n")


# ---------------------------------------------------------------------- slips


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "adjustments",
            HEADS + "\nada lovelace,relu,1,\nnobody,relu,1,x",
            "line 4: no student 'no",
        ),
        ("adjustments", HEADS + "bob smith,tanh,1,x", "line 2: no question 'tanh', only relu, "),
        ("adjustments", HEADS + "bob smith,relu,,", "line 2: '' is no number of points"),
        ("adjustments", HEADS + "bob smith,relu,one,x", "line 2: 'one' is no number of points"),
        ("adjustments", HEADS + "bob smith,relu,nan,x", "line 2: 'nan' is no number of points"),
        ("adjustments", HEADS + "bob smith,relu,1e3,x", "line 2: '1e3' is no number of points"),
        ("adjustments", HEADS + "bob smith,relu,99999,x", "line 2: 99999 points are a slip"),
        ("adjustments", HEADS + "bob smith,relu,1,good, really", "line 2: 5 cells, and 4 headings"),
        ("adjustments", "PK\3\4\0\0", "is an Excel workbook: save it as CSV"),
        ("adjustments", HEADS + 'bob smith,relu,1,"good', "line 2: no row of a table"),
        ("adjustments", HEADS + '"a\nb",,1,"c\nd"\nnobody,,1,', "line 2: no student"),
        (
            "adjustments",
            "student,question\n",
            "has no column 'points' in its first row; it needs stu",
        ),
        ("adjustments", "who,question,points,comment\n", "has no column 'student'"),
        ("adjustments", "", "has no column 'student'"),
        ("extensions", "student\nada lovelace\n", "has no column 'due'"),
        ("extensions", "student,due\nada lovelace,soon\n", "line 2: 'soon' is no date and time"),
        ("extensions", "student,due\nada lovelace,\n", "line 2: '' is no date and time"),
        ("extensions", "student,due\nada lovelace,10/1/2026 12:00\n", "write it as 2026-10-01 23"),
        ("extensions", "student,due\nada lovelace,0206-10-01\n", "the year of '0206-10-01' is a"),
        ("extensions", "student,due\nfay,2026-10-09\n", "line 2: no student 'fay' has handed"),
        (
            "extensions",
            "student,due\nzoë,2026-10-09\nada lovelace,2026-10-09\n\nZoe,2026-10-10\n",
            "line 5: '2026-10-10' for zoë, and line 2 says '2026-10-09'",
        ),
        ("times", "student,submitted\nfay,2026-10-09\n", "line 2: no student 'fay' has handed"),
        (
            "times",
            "student,submitted\nzoë,2026-10-09\nZoe,2026-10-08\n",
            "line 3: '2026-10-08' for zoë, and line 2 says '2026-10-09'",
        ),
        ("times", "student,submitted\nada lovelace,24\n", "line 2: '24' is no date and time"),
        ("course", "[01_x\n", "course.toml: "),
        ("course", "[01_x]\ndue = 2026-10-01T23:59\n", "(dates may stand in quotes)"),
        ("course", "[01-X]\ndue = 2026-10-01\n", "no results of [01-X]; is it 01_x?"),
        ("course", "[01_x]\ndue = 2026\n", "[01_x]: '2026' is no date and time"),
        ("course", "[01_x]\nduo = 2026-10-01\n", "[01_x]: 'duo' is unknown; there are due, pen"),
        ("course", "due = 2026-10-01\n", "'due' is unknown; there are zone and [ASSIGNMENT]"),
        ("course", '[01_x]\npenalty = "10% per day"\n', "there is a penalty, and no due date"),
        ("course", "[01_x]\ndue = 2026-10-01\npenalty = 10\n", "'10' is no penalty; write it as"),
        ("course", '[01_x]\ndue = 2026-10-01\npenalty = "101% per day"\n', "takes more than 100%"),
        ("course", '[01_x]\ndue = 2026-10-01\npenalty = "-10% per day"\n', "is no penalty"),
        ("course", "[01_x]\npoints = 3\n", "points are a table of their own, [01_x.points]"),
        ("course", "[01_x.points]\ntanh = 3\n", "no question 'tanh', only relu, batch_norm"),
        ("course", "[01_x.points]\nrelu = -1\n", "'-1' is no number of points of relu"),
        ("course", "[01_x.points]\nrelu = nan\n", "'nan' is no number of points of relu"),
        ("course", "[01_x.points]\nrelu = true\n", "'True' is no number of points of relu"),
        ("course", 'zone = "Berlin"\n', "zone 'Berlin' is not known here; write one such as Eur"),
        ("course", 'zone = "../x"\n', "zone '../x' is not known here"),
    ],
)
def test_slips_are_one_line_that_names_the_place(ruled, file, content, said):
    with pytest.raises(FileError) as caught:
        ruled(**{file: content})
    assert said in str(caught.value)
    assert f"{file}." in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(
    st.sampled_from(["adjustments.csv", "extensions.csv", "times.csv", "course.toml"]),
    st.one_of(
        st.binary(max_size=80),
        st.lists(
            st.sampled_from(
                [
                    *("student", "question", "points", "comment", "due", "submitted", "zone"),
                    *("relu", "ada lovelace", "1", "-2,5", "2026-10-01", ",", ";", "\t", "\n"),
                    *('"', "=", "sep=;\n", "[01_x]\n", "[01_x.points]\n"),
                    'penalty = "10% per day"\n',
                ]
            ),
            max_size=25,
        ).map(lambda parts: "".join(parts).encode()),
    ),
)
@example("times.csv", b"student,submitted\nada lovelace,2026-10-25 02:30 Europe/Berlin\n")
@example("times.csv", b"student,submitted\nada lovelace,2026-10-25 02:30 a/" + b"x" * 300)
def test_any_bytes_are_rules_or_refused(folder, name, content):
    for path in folder.iterdir():
        path.unlink()
    (folder / name).write_bytes(content)
    try:
        rules = read_rules([folder], known(CLASS))
    except FileError:
        return
    assert all(marked(one, rules).earned >= 0 for one in CLASS)


def test_files_that_are_named_otherwise_or_are_none(ruled, tmp_path):
    for name in (
        "adjustments.xlsx",
        "extension.csv",
        "grades.csv",
        "moodle.csv",
    ):
        (tmp_path / name).write_text("")
    ruled()
    assert ruled.rules.notes == [
        "adjustments.xlsx is not read; is it adjustments.csv?",
        "extension.csv is not read; is it extensions.csv?",
    ]
    (tmp_path / "times.csv").mkdir()
    with pytest.raises(FileError, match=r"times.csv cannot be read: Is a directory"):
        ruled()


# ---------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-10-01T23:58", datetime(2026, 10, 1, 23, 58)),
        ("2026-10-01 23:58:07", datetime(2026, 10, 1, 23, 58, 7)),
        ("2026-10-01", datetime(2026, 10, 1, 23, 59)),
        ("1.10.2026 23:58", datetime(2026, 10, 1, 23, 58)),
        ("01.10.2026, 23:58:07", datetime(2026, 10, 1, 23, 58, 7)),
        ("01.10.2026", datetime(2026, 10, 1, 23, 59)),
        ("Thursday, 1 October 2026, 11:58 PM", datetime(2026, 10, 1, 23, 58)),
        ("Thursday, 1 October 2026, 12:05 AM", datetime(2026, 10, 1, 0, 5)),
        ("1 October 2026, 12:05 pm", datetime(2026, 10, 1, 12, 5)),
        ("Donnerstag, 1. Oktober 2026, 23:58", datetime(2026, 10, 1, 23, 58)),
        ("Montag, 2. März 2026, 08:05", datetime(2026, 3, 2, 8, 5)),
        ("samedi 1 août 2026, 23:58", datetime(2026, 8, 1, 23, 58)),
        ("jueves, 1 de octubre de 2026, 23:58", datetime(2026, 10, 1, 23, 58)),
        ("2026-10-01-23-58-07", datetime(2026, 10, 1, 23, 58, 7)),
        ("2026-10-01 23:58:07.123 Z", datetime(2026, 10, 1, 23, 58, 7, 123000, UTC)),
        ("2026-10-01 23:58:07 UTC", datetime(2026, 10, 1, 23, 58, 7, 0, UTC)),
        ("2026-10-01 23:58 Europe/Berlin", datetime(2026, 10, 1, 23, 58, tzinfo=BERLIN)),
        ("2026-10-01T23:58+02:00", datetime(2026, 10, 1, 21, 58, tzinfo=UTC)),
    ],
)
def test_times_as_people_and_platforms_write_them(text, wanted):
    got = read_moment(text)
    assert got == wanted
    assert (got.tzinfo is None) == (wanted.tzinfo is None)


NEAR = st.datetimes(datetime(2026, 3, 20), datetime(2026, 11, 5))


@given(
    NEAR, st.integers(-100_000, 3_000_000), st.integers(0, 9_000), st.sampled_from(["day", "week"])
)
@example(datetime(2026, 10, 24, 23, 59), 25 * 3600, 0, "day")
@example(datetime(2026, 3, 28, 2, 30), 24 * 3600, 0, "day")
def test_days_are_those_of_the_calendar(due, seconds, more, unit):
    due = due.replace(second=30, microsecond=0)
    came = instant(due, BERLIN) + timedelta(seconds=seconds)
    days = units_late(came, due, unit, BERLIN)
    assert (days == 0) == (seconds < 1)
    assert units_late(came, due, "", BERLIN) == (seconds >= 1)
    assert units_late(came + timedelta(seconds=more), due, unit, BERLIN) >= days, "later is later"
    hours = units_late(came, due, "hour", BERLIN)
    assert hours == max(0, -(-seconds // 3600))
    # by the clock on the wall, but for the hours in which it is changed
    wall = came.astimezone(BERLIN).replace(tzinfo=None) - due
    length = timedelta(days=7 if unit == "week" else 1)
    if days and min(wall % length, length - wall % length) > timedelta(hours=1):
        assert days == wall // length + 1


def test_a_clock_that_is_changed_costs_nothing():
    due = datetime(2026, 10, 24, 23, 59)  # 25 hours before the same time of the next day
    for minutes, days in ((0, 0), (1, 1), (25 * 60, 1), (25 * 60 + 1, 2)):
        came = instant(due, BERLIN) + timedelta(minutes=minutes, seconds=0 if minutes else 59)
        assert units_late(came, due, "day", BERLIN) == days, minutes


@pytest.mark.parametrize(
    ("text", "units", "taken"),
    [
        ("10% per day", 3, 6),
        ("10%/day", 1, 2),
        ("10 percent per begun hour", 2, 4),
        ("1.5 points per week", 2, 3),
        ("1 point a day", 30, 20),
        ("25%", 1, 5),
        ("30% per day, at most 50%", 3, 10),
        ("30% per day at most 4 points", 3, 4),
        ("0% per day", 3, 0),
    ],
)
def test_penalties(text, units, taken):
    assert Penalty.read(text).of(20, units) == taken
    assert Penalty.read(text).of(0, units) == 0


DUE = 'zone = "Europe/Berlin"\n[01_x]\ndue = "2026-10-01 23:59"\npenalty = "10% per day"\n'


def test_extensions_and_where_a_time_is_from(ruled):
    late = [
        replace(CLASS[0], submitted="2026-10-02T00:00:00", clock="Blackboard"),
        replace(CLASS[1], submitted="", clock="Canvas says LATE"),
        replace(CLASS[2], submitted="2026-10-03T12:00:00+02:00"),
        replace(CLASS[3], submitted="2026-10-01T21:59:59+00:00"),
    ]
    extensions = "due;student;note\n03.10.2026;ZOE;ill\n2026-10-03;zoë;\n"
    found = ruled(late, course=DUE, extensions=extensions)
    assert [found[s].earned for s in STUDENTS] == [18, 10, 5, 0]
    assert found["zoë"].due == "2026-10-03 23:59 CEST"
    [note] = undated(list(found.values()))
    assert note.startswith("01_x: nothing says when 1 of the submissions")
    rows = {row["student"]: row for row in rows_of(found.values())}
    assert rows["Bob Smith_12"]["submitted"] == "unknown"
    assert rows["Bob Smith_12"]["time from"] == "Canvas says LATE"
    assert rows["Ada Lovelace_11"]["time from"] == "Blackboard"
    assert rows["zoë"]["remarks"] == ""
    times = 'Full name,Last modified (submission)\nBob Smith,"Friday, 2 October 2026, 11:59 PM"\n'
    found = ruled(late, times=times + "Zoe,-\nGus,-\n")
    assert found["Bob Smith_12"].earned == 9
    assert found["Bob Smith_12"].clock == "times.csv"
    assert found["zoë"].clock == "the file"


@pytest.mark.parametrize(
    ("head", "row"),
    [
        (
            "ID;Vollständiger Name;E-Mail-Adresse;Status;Zuletzt geändert (Abgabe)",
            "Teilnehmer/in12;B. Smith;;x;Freitag, 2. Oktober 2026, 23:59",
        ),
        (
            "Identifiant,Nom complet,Statut,Dernière modification (travail remis)",
            'Participant 12,,x,"vendredi 2 octobre 2026, 23:59"',
        ),
        (
            "Identificador,Nombre completo,Estado,Última modificación (entrega)",
            'Participante 12,Bob Smith,x,"viernes, 2 de octubre de 2026, 23:59"',
        ),
    ],
)
def test_grading_worksheets_of_moodle_in_other_languages(ruled, head, row):
    found = ruled(course=DUE, times=f"{head}\n{row}\n")
    assert found["Bob Smith_12"].submitted == "2026-10-02 23:59 CEST"
    assert found["Bob Smith_12"].earned == 9


# ---------------------------------------------------------------------- what is read


def test_feedback_says_what_was_changed_and_why(ruled):
    course = DUE + "[01_x.points]\nsgd = 20\n"
    rows = "student,question,points,comment\nBob Smith,relu,1,<b>told\u202e in class\n"
    rows += "Bob Smith,,-2,late twice\n"
    late = [replace(one, submitted="2026-10-03T10:00:00+00:00") for one in CLASS]
    bob = ruled(late, course=course, adjustments=rows)["Bob Smith_12"]
    assert (bob.before, bob.earned, bob.points) == (16, 10.8, 30)
    penalty = (
        "penalty -3.2: 1 day 12 hours late (due 2026-10-01 23:59 CEST, handed in 2026-10-03 12:00 "
        "CEST): 10% per day; 2 days begun, of 16 points"
    )
    text = feedback(bob)
    assert text.startswith(
        f"Title: 10.8/30 points\nthe questions: 16 points\n{penalty}\nadjustment -2: late twice\n"
    )
    assert "relu  3/4" in text
    assert "sgd  10/20" in text
    assert "relu, adjustment +1: <b>told\\u202e in class" in text
    html = page(bob)
    assert f"<p class='change'>{penalty}</p>" in html
    assert "adjustment +1: &lt;b&gt;told\\u202e in class" in html
    assert "<b>10.8</b> of 30 points" in html
    written = gradescope(bob)
    assert written["score"] == 10.8
    assert penalty in written["output"]
    unread = replace(CLASS[2], problem="no notebook")
    [zoe] = ruled([unread], adjustments=HEADS + "zoë,relu,2,by mail\n").values()
    assert "by mail" in feedback(zoe)
    assert "by mail" in page(zoe)


def test_marks_are_made_anew_and_nothing_is_graded(minires, tmp_path):
    out = tmp_path / "graded"
    out.mkdir()
    assert "graded holds no results" in minires("coursework", "marks", out, rc=2)
    store = Store(out)
    for one in CLASS:
        store.put(one)
    stored = {path: path.read_bytes() for path in out.rglob("*.json")}
    (out / "adjustments.csv").write_text(HEADS + "zoë,relu,1.5,asked well\n")
    (out / "course.toml").write_text(DUE + "[02_y]\ndue = 2026-11-01\n")
    roster = tmp_path / "roster.csv"
    roster.write_text("Name\nAda Lovelace\nFay\n")
    said = minires("coursework", "marks", out, "--roster", roster)
    assert "note: course.toml: there are no results of [02_y]" in said
    assert "missing: Fay" in said
    grades = io.StringIO((out / "grades.csv").read_text(encoding="utf-8-sig"))
    rows = {row["student"]: row for row in csv.DictReader(grades)}
    assert rows["zoë"]["earned"] == "6.5"
    assert rows["Fay"]["problem"] == "nothing was handed in"
    assert "asked well" in next((out / "pages").glob("zo*.html")).read_text()
    assert json.loads((out / "grades.json").read_text())[3]["changes"][0]["points"] == 1.5
    assert {path: path.read_bytes() for path in stored} == stored
    (out / "adjustments.csv").write_text(HEADS + "zoë,tanh,1,\n")
    before = (out / "grades.csv").read_bytes()
    said = minires("coursework", "marks", out, rc=2)
    assert said.count("\n") == 1
    assert "adjustments.csv, line 2: no question 'tanh'" in said
    assert (out / "grades.csv").read_bytes() == before
    assert "is no folder" in minires("coursework", "marks", tmp_path / "no", rc=2)


@pytest.fixture
def stored(tmp_path):
    """Results of two assignments: Bob has only those of the first."""
    out = tmp_path / "graded"
    out.mkdir()
    store = Store(out)
    for one in (*CLASS[:2], replace(CLASS[0], assignment="02_y")):
        store.put(one)
    left_out = "student,file,why\nGus Grau_14,x.pdf,no notebook\nHal Ham_15,Hal,an empty folder\n"
    (out / "not_graded.csv").write_text(left_out + "Bob Smith_12,old.py,a later one counts\n")
    roster = tmp_path / "roster.csv"
    roster.write_text("Name,ID,Login\nAda Lovelace,s1,ada\nBob Smith,s2,bob\nKarl May,s3,karl\n")
    with roster.open("a") as file:
        file.write("Gus Grau,s4,gus\nHal Ham,s5,hal\n")
    return out, roster


def grades(out):
    text = (out / "grades.csv").read_text(encoding="utf-8-sig")
    return {(row["student"], row["assignment"]): row for row in csv.DictReader(io.StringIO(text))}


def test_who_is_missing_in_which_assignment_and_why(minires, stored):
    out, roster = stored
    said = minires("coursework", "marks", out, "--roster", roster)
    missing = re.findall(r"^missing: (.*)$", said, re.MULTILINE)
    gus = "handed in, but nothing that can be graded"
    assert missing == [
        "Bob Smith, s2 (02_y)",
        "Karl May, s3",
        f"Gus Grau, s4 ({gus})",
        "Hal Ham, s5",
    ]
    rows = grades(out)
    assert len(rows) == 3 + 7
    assert rows["Bob Smith, s2", "02_y"]["problem"] == "nothing was handed in"
    assert rows["Bob Smith, s2", "02_y"]["earned"] == ""
    assert {rows["Gus Grau, s4", name]["problem"] for name in ("01_x", "02_y")} == {gus}
    assert rows["Hal Ham, s5", "01_x"]["problem"] == "nothing was handed in"


def test_points_by_hand_for_who_handed_nothing_in(minires, stored):
    out, roster = stored
    rows = "student,question,points,comment,assignment\nKarl May,,12,oral exam,01_x\n"
    rows += "bob,sgd,3,oral exam,02_y\ns1,,-1,by the roster's number,02_y\n"
    (out / "adjustments.csv").write_text(rows)
    (out / "course.toml").write_text(DUE)
    (out / "extensions.csv").write_text("student,due,assignment\nhal,2026-10-09,01_x\n")
    assert "no student 'Karl May' has handed" in minires("coursework", "marks", out, rc=2)
    said = minires("coursework", "marks", out, "--roster", roster)
    assert "note" not in said
    assert "missing: Karl May, s3\n" in said
    found = grades(out)
    karl = found["Karl May, s3", "01_x"]
    assert (karl["earned"], karl["maximum"], karl["problem"]) == (
        "12.0",
        "20.0",
        "nothing was handed in",
    )
    assert (karl["submitted"], karl["remarks"]) == ("", "adjustment +12: oral exam")
    assert found["Karl May, s3", "02_y"]["earned"] == ""
    assert found["Bob Smith, s2", "02_y"]["sgd"] == "3.0"
    assert found["Ada Lovelace_11", "02_y"]["earned"] == "19.0"
    assert "Karl May,12.0,20.0," in (out / "01_x/moodle.csv").read_text(encoding="utf-8-sig")
    assert not list((out / "results").rglob("Karl*"))
    (out / "times.csv").write_text("student,submitted,assignment\nGus Grau,2026-10-01,01_x\n")
    (out / "adjustments.csv").unlink()
    (out / "extensions.csv").unlink()
    said = minires("coursework", "marks", out)
    assert "note: times.csv, line 2: no student 'Gus Grau' has handed this in" in said
    (out / "extensions.csv").write_text("student,due,assignment\nHall,2026-10-09,01_x\n")
    said = minires("coursework", "marks", out, "--roster", roster, rc=2)
    assert "extensions.csv, line 2: no student 'Hall'" in said


def test_the_examples_of_the_documentation(tmp_path):
    text = (Path(__file__).parents[2] / "docs/coursework.md").read_text(encoding="utf-8")
    for kind, name in (("text", "adjustments.csv"), ("toml", "course.toml")):
        [example] = re.findall(rf"```{kind}\n(student,question.*?|zone = .*?)```", text, re.DOTALL)
        (tmp_path / name).write_text(example)
    people = [replace(CLASS[0], student="Ada Lovelace"), replace(CLASS[1], student="bob")]
    questions = {"batch_norm_train": 4.0}
    rules = read_rules([tmp_path], {"04_batch_norm": Known(questions, People(people))})
    assert rules.points == {"04_batch_norm": {"batch_norm_train": 6}}
    assert rules.due == {"04_batch_norm": datetime(2026, 10, 1, 23, 59)}
    assert [c.points for [c] in rules.adjustments.values()] == [1.5, -2]
    assert not rules.notes
