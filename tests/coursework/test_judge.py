"""Whatever a child sends is judged: an answer never stops the grading of others.

`MINIRES_ANSWERS=100000 pytest tests/coursework/test_judge.py` judges as many random answers, to the
questions of all assignments and not only of two.
"""

import json
import os
import random

import numpy as np
import pytest

from minires.coursework.answers.compare import compare
from minires.coursework.assignment import find_assignments, load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.grading import grade
from minires.coursework.grading.grade import FAILED, judge
from minires.coursework.marks.outputs import grades_csv, gradescope, moodle_csv
from minires.coursework.marks.page import page
from minires.coursework.marks.show import feedback, table
from minires.coursework.result import QuestionResult, Result

ANSWERS = int(os.environ.get("MINIRES_ANSWERS", "300"))

NUMBERS = [0, -0.0, 1, -1, 2**63, -(2**64), 10**400, -(10**4200), 1e308, -1e308, 5e-324]
NUMBERS += [float("inf"), float("-inf"), float("nan"), True, 0.1, 1 << 53, 255, 1e-300, 3.5e38]
TEXTS = [
    "",
    "a",
    "\ud800",
    "\x00",
    "\x1b[31m",
    "\u202eabc",
    "=1+1",
    "🎓" * 50,
    "x" * 9000,
    "$array",
]
DTYPES = ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "g", ">f8", ">i4"]


def number(random):
    return random.choice(NUMBERS) if random.random() < 0.6 else random.gauss(0, 1)


def array(random, shape=None):
    if shape is None:
        shape = random.choices([0, 1, 2, 3, 5], k=random.randrange(5))
    kind = np.dtype(random.choice(DTYPES))
    bits = np.frombuffer(
        random.randbytes(int(np.prod(shape, dtype=int)) * kind.itemsize), kind
    ).reshape(shape)
    how = random.randrange(6)
    with np.errstate(all="ignore"):
        if how == 0 or kind.kind not in "f":
            return bits.copy()
        values = np.random.default_rng(random.randrange(1 << 30)).normal(size=shape)
        if how == 1:
            values = values * 1e308 * 3
        elif how == 2:
            values = values * 5e-324
        elif how == 3:
            values = np.full(shape, random.choice([np.inf, -np.inf, np.nan, 1e308, -1e308]))
        return values.astype(kind)


def value(random, depth=0):
    how = random.randrange(12 if depth < 4 else 7)
    if how < 2:
        return number(random)
    if how == 2:
        return random.choice(TEXTS)
    if how == 3:
        return None
    if how < 7:
        return array(random)
    if how == 7:
        return {"$type": random.choice(TEXTS)}
    if how == 8:
        return {random.choice(TEXTS): value(random, depth + 1) for _ in range(random.randrange(3))}
    if how == 9 and depth == 0:
        deep = []
        for _ in range(random.choice([10, 900])):
            deep = [deep]
        return deep
    return [value(random, depth + 1) for _ in range(random.choice([0, 1, 2, 3, 3, 4]))]


def near(random, expected):
    """What is nearly right: the right value, disturbed."""
    if isinstance(expected, np.ndarray):
        how = random.randrange(6)
        with np.errstate(all="ignore"):
            got = expected.astype(random.choice(["f2", "f4", "f8", "g", "i8"]))
            if how == 0:
                return got * number_of(random)
            if how == 1 and got.size:
                got.flat[random.randrange(got.size)] = random.choice([0, 1, -7])
                return got
            if how == 2:
                return got.T.copy()
            if how == 3:
                return array(random, list(got.shape))
        return got
    if isinstance(expected, dict) and random.random() < 0.8:
        return near_tagged(random, expected)
    if isinstance(expected, list):
        return [near(random, v) if random.random() < 0.8 else value(random) for v in expected]
    return expected if random.random() < 0.3 else value(random)


def near_tagged(random, expected):
    """What nearly suits an answer that is not judged by equality."""
    [(tag, parts)] = expected.items()
    if tag == "$separate":
        places = [place(random) for _ in range(random.choice([0, 1, 2, 3]))]
        return [places, [near(random, array) for array in parts["unchanged"]]]
    if tag == "$order":
        count = len(parts["parents"])
        return [random.randrange(-1, count + 1) for _ in range(random.choice([count, count, 3]))]
    return near(random, parts["labels"] if tag == "$accuracy" else parts["probe"])


LENGTHS = [0, 1, 2, 2, 3, 1 << 20, 1 << 40, -1]


def place(random):
    """Where an array may say that it lies, such as one without entries, of endless rows."""
    if random.random() < 0.1:
        return value(random)
    count = random.randrange(4)
    shape = [random.choice(LENGTHS) for _ in range(count)]
    strides = [random.choice([8, -8, 0, 24, 1 << 62, -(1 << 63)]) for _ in range(count)]
    return [random.choice([0, 4096, 4100, 1 << 46, 1 << 63]), shape, strides, random.choice([8, 1])]


def number_of(random):
    return random.choice([0.0, -1.0, 1e308, 1e-320, np.inf, np.nan, 3.0])


def answer(random, question, case):
    how = random.randrange(12)
    if how == 0:
        return {"lost": random.choice(TEXTS)}
    if how == 1:
        return {"error": {k: value(random) for k in ("type", "text", "where", "line", "source")}}
    if how == 2:
        return {random.choice(["error", "changed", "result", "x"]): value(random)}
    if how < 6:
        return {"result": value(random), "changed": value(random) if how == 5 else []}
    outputs = [near(random, v) for v in case.expected]
    return {"result": outputs if len(question.returns) > 1 else outputs[0], "changed": []}


@pytest.fixture(scope="module")
def questions():
    everything = "MINIRES_ANSWERS" in os.environ
    names = find_assignments() if everything else ["04_batch_norm", "05_residual_sgd"]
    bundles = [make_bundle(load_assignments(name=name)[0]) for name in names]
    return [question for bundle in bundles for question in bundle.questions]


def judged(random, question):
    answers = [answer(random, question, case) for case in question.cases]
    return judge(question, answers)


def test_random_answers_are_judged(questions):
    draws, done = random.Random(7), 0
    while done < ANSWERS:
        question = draws.choice(questions)
        cases = judged(draws, question)
        done += len(cases)
        for case in cases:
            assert 0 <= case.earned <= case.points + 1e-9
            assert not case.text.startswith(FAILED), case.text
        earned = sum(case.earned for case in cases)
        hints = [o.hint for case in cases for o in case.outputs if o.hint]
        graded = QuestionResult(
            question.name, question.points, earned, cases, hints, draws.choice(TEXTS), 0.0
        )
        result = Result(draws.choice(TEXTS), "04", "Title", [graded]).tidy()
        if done % 20 < len(cases):  # every so often, as what takes longer
            text = json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False).encode()
            assert Result.from_json(json.loads(text)) == result
            for written in (page(result), grades_csv([result]), moodle_csv([result])):
                written.encode()
            json.dumps(gradescope(result), ensure_ascii=False, allow_nan=False).encode()
            (feedback(result) + table([result])).encode()


def test_an_error_of_the_grader_is_a_message_of_that_case(questions, monkeypatch):
    real, calls = grade.compare, []

    def fails_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ZeroDivisionError("\ud800")
        return real(*arguments)

    monkeypatch.setattr(grade, "compare", fails_once)
    question = next(q for q in questions if len(q.returns) == 1)
    cases = judge(question, [{"result": case.expected[0]} for case in question.cases])
    assert cases[0].text == FAILED + "ZeroDivisionError: \ud800"
    assert cases[0].earned == 0
    assert all(case.passed for case in cases[1:])


def test_numbers_without_end_are_infinite():
    assert compare(10**400, np.array(np.inf), 1e-7).share == 1
    assert compare(-(10**400), np.array(np.inf), 1e-7).share == 0
    assert compare(10**400, 1.0, 1e-7).share == 0
    assert "got a int" in compare(10**5000, 1.0, 1e-7).text
    assert compare(2**63, np.array(2.0**63), 1e-7).share == 1


@pytest.mark.parametrize(
    ("shape", "share"), [([1 << 40, 0], 1), ([0, 1 << 40], 1), ([1 << 40], 0), ([-1, 1 << 40], 0)]
)
def test_an_array_of_endless_rows_without_entries(shape, share):
    place = [4096, shape, [0] * len(shape), 8]
    assert compare([[place], []], {"$separate": {"unchanged": []}}, 1e-7).share == share
