"""Statistics of questions: against Python's own, and what is said where there are none."""

import csv
import itertools
import statistics as oracle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from minires.coursework.grading.grade import judge
from minires.coursework.grading.store import Store
from minires.coursework.result import (
    FAILED,
    CaseResult,
    OutputResult,
    QuestionResult,
    Result,
)
from minires.coursework.sandbox.parent import TIMED_OUT
from minires.coursework.statistics.outputs import picture, questions_csv, table
from minires.coursework.statistics.questions import BLANK, correlation, mistakes, statistics

POINTS = (2.0, 3.0, 5.0)


def answer(name, points, earned, text="", hint="", key="k"):
    wrong = earned < points
    outputs = [OutputResult("y", earned / points, "wrong" if wrong else "", hint)]
    case = CaseResult("a row", True, points, earned, text, [] if text else outputs)
    return QuestionResult(name, points, earned, [case], [hint] if hint else [], "", 0.0, key)


def result(student, shares, points=POINTS, **more):
    questions = [
        answer(f"q{i}", p, p * share)
        for i, (p, share) in enumerate(zip(points, shares, strict=True))
    ]
    return Result(student, "05_any", "Any", questions, **more)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(*[st.sampled_from((0, 0.25, 0.5, 1))] * 3), min_size=1, max_size=12),
    st.lists(st.sampled_from(POINTS), min_size=3, max_size=3),
)
def test_numbers_are_those_of_pythons_own_statistics(shares, points):
    found = statistics([result(f"s{i}", s, points) for i, s in enumerate(shares)])
    for i, one in enumerate(found):
        own = [points[i] * s[i] for s in shares]
        rest = [
            sum(p * x for p, x in zip(points, s, strict=True)) - points[i] * s[i] for s in shares
        ]
        assert one.graded == len(shares)
        assert one.mean == pytest.approx(oracle.mean(own))
        assert one.median == pytest.approx(oracle.median(own))
        assert one.difficulty == pytest.approx(oracle.mean(own) / points[i])
        assert one.none == own.count(0)
        assert one.full == own.count(points[i])
        if len(own) < 3 or len(set(own)) == 1 or len(set(rest)) == 1:
            assert one.discrimination is None
            assert one.undefined
        else:
            assert one.discrimination == pytest.approx(oracle.correlation(own, rest))
            assert not one.undefined


def test_why_there_is_no_discrimination():
    assert correlation([], [])[1] == "there is no other question to compare with"
    assert correlation([0, 1], [1, 0])[1] == "fewer than 3 students were graded"
    assert correlation([1, 1, 1], [1, 0, 1])[1] == "all students have the same points here"
    assert correlation([1, 0, 1], [1, 1, 1])[1] == "all students have the same points in the rest"
    class_of_one = [result("ada", (1, 0, 0.5))]
    said = table(class_of_one, statistics(class_of_one))
    assert "undefined for all questions: fewer than 3 students were graded" in said


def test_what_is_no_work_of_students_does_not_count():
    good = [result(f"s{i}", (1, i / 4, 0.5)) for i in range(4)]
    unread = result("x", (0, 0, 0), problem="no notebook")
    lost = result("y", (1, 1, 1))
    failed = answer("q0", 2.0, 0.0, text=f"{FAILED}KeyError", key="")
    lost = replace(lost, questions=[failed, *lost.questions[1:]])
    found = statistics([*good, unread, lost])
    assert [one.graded for one in found] == [4, 5, 5]
    assert found[0].difficulty == 1
    assert "1 more handed in what could not be read" in table([*good, unread], found)


def test_mistakes_are_named_as_the_grader_words_them(bundle):
    question = bundle.question("batch_norm_eval")
    known = question.mistakes[0]

    def named(*answers):
        cases = judge(question, (answers * len(question.cases))[: len(question.cases)])
        return mistakes(QuestionResult(question.name, 2, 0, cases, [], "", 0.0))

    assert named(*({"result": case.expected[0]} for case in question.cases)) == []
    assert known.name in named(*({"result": output and output[0]} for output in known.outputs))
    for answer_of, wanted in [
        ({"error": {"type": "NotImplementedError", "text": "batch_norm_eval"}}, BLANK),
        ({"error": {"type": "ZeroDivisionError", "text": "division by zero"}}, "ZeroDivisionError"),
        ({"lost": f"{TIMED_OUT}: it took more than 5 s"}, "took too long"),
        ({"result": 1.0, "after": {"x": 2.0}}, "changed its argument x"),
    ]:
        (said,) = named(answer_of)
        assert wanted in said
    assert mistakes(answer("q", 2, 1)) == ['fails "a row"']
    assert mistakes(answer("q", 2, 1, hint="your y: off by a factor 2. Why?")) == [
        "y: off by a factor 2"
    ]


def test_the_command(minires, tmp_path):
    store = Store(tmp_path)
    for i in range(5):
        store.put(result(f"s{i}", (1, i % 2, i / 4)))
    store.put(replace(result("s9", (1, 0, 1)), assignment="06_other", title="Other"))
    said = minires("coursework", "statistics", tmp_path)
    assert "Any: 5 students" in said
    assert "undefined for q0: all students have the same points here" in said
    assert 'q1: fails "a row" (3)' in said
    text = (tmp_path / "statistics/questions.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["question"] for row in rows] == ["q0", "q1", "q2"] * 2
    assert rows[1]["difficulty"] == "0.4"
    assert rows[0]["discrimination"] == ""
    assert rows[0]["why undefined"] == "all students have the same points here"
    assert (tmp_path / "statistics/05_any.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "statistics/06_other.png").exists()
    said = minires("coursework", "statistics", tmp_path / "statistics", rc=2)
    assert "name the folder that minires grade --out wrote" in said


@pytest.mark.parametrize("count", [6, 10])
def test_no_label_of_the_picture_covers_another(count):
    names = ["relu", "batch_norm_train_backward", "a_very_long_name_of_a_question_that_has_no_end"]
    (one,) = statistics([Result("s", "a", "t", [answer("q", 2, 1, hint="your y: off" * 30)])])
    found = [
        replace(one, question=f"{names[i % 3]}_{i}", discrimination=(None, -0.9, 0.4)[i % 3])
        for i in range(count)
    ]
    figure = picture("A title $of$ an assignment: 12 graded", found)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [figure.legends[0], figure._suptitle]
    for axes in figure.axes:
        texts += [axes.title, axes._left_title, *axes.texts]
        if axes.axison:
            low, high = axes.get_xlim()
            texts += [
                axes.xaxis.label,
                *(t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high),
            ]
    texts += figure.axes[0].get_yticklabels()
    shown = {text for text in texts if text is figure.legends[0] or text.get_text()}
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in shown]
    assert len(boxes) > 3 * count
    for a, b in itertools.combinations(boxes, 2):
        across, down = (
            min(a.x1, b.x1) - max(a.x0, b.x0),
            min(a.y1, b.y1) - max(a.y0, b.y0),
        )
        assert across <= 0 or down <= 0
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height


def test_students_texts_are_no_formulas():
    one = Result("s", "a", "t", [answer("q", 2, 1, hint="your =HYPERLINK(1)")])
    assert "'=HYPERLINK" in questions_csv(statistics([one]))
