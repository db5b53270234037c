"""A class's results, on which an instructor's rules are tried."""

from minires.coursework.marks.rules import Known
from minires.coursework.result import CaseResult, QuestionResult, Result
from minires.coursework.submissions.people import People

HEADS = "student,question,points,comment\n"
NAMES = ("relu", "batch_norm", "sgd")
FULL = {"relu": 4.0, "batch_norm": 6.0, "sgd": 10.0}


def result(student="ada", share=0.5, came="2026-10-01T20:00:00+00:00", assignment="01_x", **more):
    questions = []
    for name in NAMES:
        half = FULL[name] / 2
        cases = [CaseResult(f"case {i}", True, half, half * share, "") for i in range(2)]
        questions.append(QuestionResult(name, FULL[name], FULL[name] * share, cases, [], "", 0.1))
    more = {"submitted": came, "clock": "the file" if came else ""} | more
    return Result(student, assignment, "Title", questions, "", "key", **more)


CLASS = [
    result("Ada Lovelace_11", 1.0, name="Ada Lovelace", number="11", platform="Moodle"),
    result("Bob Smith_12", 0.5, name="Bob Smith", number="12", platform="Moodle"),
    result("zoë", 0.25),
    result("Eve_ev@example.org", 0.0, name="Eve", number="ev@example.org"),
]
STUDENTS = [one.student for one in CLASS]


def known(results):
    names = dict.fromkeys(one.assignment for one in results)
    return {
        name: Known(FULL, People(one for one in results if one.assignment == name))
        for name in names
    }
