"""What students read: mistakes by their names, nothing of hidden tests, nothing that is obeyed."""

import json
import re
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minires.coursework.answers.compare import compare
from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import parse_percent
from minires.coursework.grading.discretion import without_text, without_texts
from minires.coursework.grading.feedback import pattern
from minires.coursework.grading.grade import grade_question, judge
from minires.coursework.marks.outputs import (
    canvas_csv,
    grades_csv,
    gradescope,
    moodle_csv,
    write_all,
)
from minires.coursework.marks.page import page
from minires.coursework.marks.show import checked, feedback, not_graded, table
from minires.coursework.result import (
    CaseResult,
    OutputResult,
    QuestionResult,
    Result,
    file_name,
)
from minires.coursework.submissions.collect import LeftOut

# ---------------------------------------------------------------------- names for mistakes


def judged(bundle, name, answer):
    """A question's hints, for what a function returns in the place of a student's."""
    question = replace(bundle.question(name), mistakes=[])
    answers = []
    for case in question.cases:
        result = answer(*(np.copy(v) for v in case.arguments.values()))
        listed = list(result) if isinstance(result, tuple) else result
        answers.append({"result": listed, "after": {}})
    return [o.hint for case in judge(question, answers) for o in case.outputs if o.hint]


def parts(g, x, gamma, eps):
    inverse = 1 / np.sqrt(x.var(axis=0) + eps)
    return inverse, (x - x.mean(axis=0)) * inverse, g * gamma


def inverse_forgotten(g, x, gamma, eps):
    _, normal, h = parts(g, x, gamma, eps)
    dx = h - h.mean(axis=0) - normal * (h * normal).mean(axis=0)
    return dx, (g * normal).sum(axis=0), g.sum(axis=0)


def centred_for_normal(g, x, gamma, eps):
    inverse, normal, h = parts(g, x, gamma, eps)
    centred = x - x.mean(axis=0)
    dx = inverse * (h - h.mean(axis=0) - centred * (h * normal).mean(axis=0))
    return dx, (g * centred).sum(axis=0), g.sum(axis=0)


def test_a_standard_deviation_forgotten_is_named(bundle):
    hints = judged(bundle, "batch_norm_train_backward", inverse_forgotten)
    assert hints[0].startswith("your dx: yours = right * sqrt(var(x) + eps)")
    assert "A standard deviation forgotten" in hints[0]
    assert not any("dgamma" in hint or "dbeta" in hint for hint in hints)


def test_x_less_its_mean_for_x_hat_is_named(bundle):
    hints = judged(bundle, "batch_norm_train_backward", centred_for_normal)
    named = "a multiple of x - mean(x): is that where x-hat belongs"
    assert any(hint.startswith("your dx: ") and named in hint for hint in hints)
    assert any(hint.startswith("your dgamma: yours = right * sqrt(var(x) + eps)") for hint in hints)

    def forward(x, gamma, beta, eps):
        return gamma * (x - x.mean(axis=0)) + beta

    hints = judged(bundle, "batch_norm_train", forward)
    assert any(named in hint for hint in hints)


def test_exchanged_values_are_named(bundle):
    def backward(g, x, gamma, eps):
        _, normal, _ = parts(g, x, gamma, eps)
        return 0 * x, g.sum(axis=0), (g * normal).sum(axis=0)

    hints = judged(bundle, "batch_norm_train_backward", backward)
    assert "your dgamma: it is what dbeta should be: are the returned values exchanged?" in hints
    assert "your dbeta: it is what dgamma should be: are the returned values exchanged?" in hints


def test_a_reshape_that_mixes_channels_is_named(bundle, graded):
    source = """
def batch_norm_eval_backward(g, x, gamma, running_mean, running_var, eps):
    inverse, channels = 1 / np.sqrt(running_var + eps), x.shape[-1]
    rows, up = x.reshape(channels, -1).T, g.reshape(channels, -1).T
    dgamma = (up * (rows - running_mean) * inverse).sum(axis=0)
    return (up * gamma * inverse).T.reshape(x.shape), dgamma, up.sum(axis=0)
"""
    hints = graded(source, "batch_norm_eval_backward").hints
    for name in ("dx", "dgamma", "dbeta"):
        known = f"your {name} equals that of a known mistake: reshape(C, -1).T. "
        assert any(hint.startswith(known) for hint in hints)
    one = source.replace("g.reshape(channels, -1).T", "g.reshape(-1, channels)")
    hints = graded(one.replace(".T.reshape", ".reshape"), "batch_norm_eval_backward").hints
    assert any(
        hint.startswith("your dgamma equals that of a known mistake: x.reshape(C, -1).T. ")
        for hint in hints
    )
    assert not any("dx" in hint or "dbeta" in hint for hint in hints)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda y: -y, "the sign is wrong"),
        (lambda y: 3 * y, "off by a factor of 3"),
        (lambda y: y.T, "it is right, but for its axes: yours.transpose(1, 0) is wanted"),
        (lambda y: y.ravel(), "it is right, but for its shape: yours.reshape{shape} is wanted"),
        (lambda y: y.reshape(y.shape[::-1]).T, "the right numbers in the wrong places: a reshape"),
        (lambda y: y[::-1], "back to front along axes (0,)"),
        (lambda y: y.T.copy().reshape(y.shape), "the right numbers in the wrong places"),
    ],
)
def test_general_patterns_are_named(bundle, change, text):
    question = replace(bundle.question("batch_norm_eval"), mistakes=[])
    answers = [{"result": change(case.expected[0])} for case in question.cases]
    text = text.format(shape=question.cases[0].expected[0].shape)
    assert text in judge(question, answers)[0].outputs[0].hint


def test_a_sum_that_is_no_mean_is_named():
    bundle = make_bundle(load_assignments(name="02_layers")[0])
    question = replace(bundle.question("cross_entropy_backward"), mistakes=[])
    answers = [
        {"result": case.expected[0] * len(case.expected[0]), "after": {}} for case in question.cases
    ]
    hints = [case.outputs[0].hint for case in judge(question, answers)]
    assert any("a sum where a mean belongs" in hint for hint in hints)


numbers = st.integers(-4, 4).map(float)


@given(st.data())
@settings(max_examples=300)
def test_hints_speak_of_results_and_not_of_gradients(data):
    """Of a forward pass too, whose result is none."""
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    size = int(np.prod(shape))

    def array(strategy=numbers):
        values = data.draw(st.lists(strategy, min_size=size, max_size=size))
        return np.array(values).reshape(shape)

    right, x = array(), array()
    got = data.draw(
        st.sampled_from(
            [
                array(),
                -right,
                2 * right,
                right + 1,
                0 * right,
                np.broadcast_to(right[:1], right.shape),
                right + x,
                right * x,
                right - right.mean(axis=0),
                np.where(x > 0, right, 0),
                np.full(right.shape, np.nan),
                x,
            ]
        )
    )
    hint = pattern(compare(got, right, 1e-7), {"x": x, "eps": 0.1})
    assert "gradient" not in hint
    assert "numeric" not in hint
    assert "analytic" not in hint


# ---------------------------------------------------------------------- time


@pytest.mark.parametrize(
    "source",
    [
        "def batch_norm_eval(*a):\n    while True: pass",
        "def batch_norm_eval(*a):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass",
        "def batch_norm_eval(*a):\n    return 10 ** 10 ** 9",
        "while True: pass",
        "import time\ntime.sleep(100)",
        "def batch_norm_eval(*a):\n    import time\n    time.sleep(100)",
        "def batch_norm_eval(*a):\n    while True: print('x' * 1000)",
        "def batch_norm_eval(x, *a):\n    if len(x) == 1:\n        while True: pass\n    return x",
    ],
)
def test_a_time_out_says_time_out(source, bundle, sandboxed):
    question = replace(bundle.question("batch_norm_eval"), seconds=0.5)
    result = grade_question(question, bundle.given, parse_percent(source), sandboxed=sandboxed)
    lost = [case.text for case in result.cases if case.text]
    assert lost
    assert all(text.startswith("time-out: ") for text in lost), lost
    assert "time-out: " in feedback(Result("a", "04", "T", [result]))


# ---------------------------------------------------------------------- hidden tests stay hidden

TELLING = """
import sys, os
def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    text = "told:" + ";".join(str(v) for v in x.ravel().tolist())
    print(text)
    print(text, file=sys.stderr)
    os.write(2, text.encode())
    {}
"""


def told_of(result, question):
    """The hidden inputs of which something is in what a student may see."""
    shown = Result("ada", "04", "Title", [result])
    seen = [
        feedback(shown),
        page(shown),
        json.dumps(gradescope(shown)),
        json.dumps(shown.to_json()),
    ]
    hidden, visible = (
        {
            str(abs(value))
            for case in question.cases
            if case.visible is wanted
            for value in case.arguments["x"].ravel().tolist()
        }
        for wanted in (False, True)
    )
    rare = {value for value in hidden - visible if len(value) > 7}
    assert rare
    return {value for value in rare for text in seen if re.search(rf"\b{value}\b", text)}


@pytest.mark.parametrize(
    "end",
    [
        "raise ValueError(text)",
        "raise type(text, (ValueError,), {})",
        "raise KeyError(text)",
        "assert False, text",
        "return text",
        "return [text]",
        "return {text: text}",
        "return type(text, (), {})()",
        "return [[text] * 2]",
        "return np.array([text])",
        "return getattr(x, text)",
        "sys.exit(text)",
        "exec(compile('1/0', text, 'exec'))",
        "raise SyntaxError(text, ('cell 1', 1, 1, text))",
        "import importlib; importlib.import_module(text)",
        "raise ExceptionGroup(text, [ValueError(text)])",
        "raise ModuleNotFoundError(text, name=text)",
        "import warnings; warnings.warn(text); return None",
    ],
)
def test_hidden_inputs_leave_neither_through_prints_nor_through_errors(end, bundle, sandboxed):
    question = bundle.question("batch_norm_eval")
    source = TELLING.format(end)
    result = grade_question(question, bundle.given, parse_percent(source), sandboxed=sandboxed)
    assert result.earned == 0
    assert "told:" in result.printed, "of the visible test"
    assert not told_of(result, question)


def test_an_error_in_a_hidden_test_tells_its_type_and_the_line(graded):
    cases = graded("def batch_norm_eval(x, *a):\n    raise KeyError(x)\n").cases
    assert cases[0].text.startswith("KeyError: array([[")
    own = graded("class My(Exception): pass\ndef batch_norm_eval(*a):\n    raise My(7)\n").cases
    assert own[0].text.startswith("My: 7\n")
    hidden = [i for i, case in enumerate(cases) if not case.visible]
    assert hidden
    for i in hidden:
        assert cases[i].text == "KeyError\n  cell 1, line 2: raise KeyError(x)"
        assert own[i].text == "an exception of your own\n  cell 1, line 3: raise My(7)"


def test_the_source_of_an_earlier_part_is_no_line_of_the_students(graded):
    """Its right solution is in the child, in a cell whose name can be guessed."""
    source = (
        "class BatchNorm:\n    def __init__(self, *a):\n"
        "        exec(compile('\\n' * 2 + '1 / 0', 'earlier part 1', 'exec'))\n"
    )
    text = graded(source, "BatchNorm").cases[0].text
    assert text == "ZeroDivisionError: division by zero\n  cell 1, line 3: " + (
        "exec(compile('\\n' * 2 + '1 / 0', 'earlier part 1', 'exec'))"
    )


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    plain,
    lambda v: st.lists(v) | st.dictionaries(st.text(), v) | st.text().map(lambda t: {"$type": t}),
)
SECRET = "the secret input"


@given(values, st.text(), st.text())
def test_no_text_is_left_in_an_answer(value, kind, text):
    def strings(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            for one in value:
                yield from strings(one)
        elif isinstance(value, dict):
            for key, one in value.items():
                yield key
                yield from strings(one)

    hidden = without_text([value, SECRET, {SECRET: SECRET}, {"$type": SECRET}])
    assert SECRET not in list(strings(hidden))
    assert all(not re.search("[^ -~]", one) for one in strings(hidden))
    error = without_texts({"error": {"type": kind + SECRET, "text": SECRET + text}, "left_out": []})
    assert error == {"error": {"type": "an exception of your own", "text": ""}}


# ---------------------------------------------------------------------- what is obeyed

wild = st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Co", "L", "P"]), max_size=30)


def result_of(text):
    output = OutputResult(f"y{text}", 0.5, text, text, {})
    cases = [
        CaseResult(text, True, 1.0, 0.5, "", [output]),
        CaseResult(text, False, 1.0, 0.0, f"{text}\nline two"),
    ]
    question = QuestionResult(f"q{text}", 2.0, 0.5, cases, [text], text, 0.1)
    named = {"name": text, "number": text, "platform": "Moodle", "file": text}
    return Result(f"s{text}", "04", f"T{text}", [question], **named).tidy()


def obeyed(text):
    """What a terminal, a browser or an editor obeys in a text of lines."""
    return [
        c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")
    ]


@given(wild)
def test_what_does_not_print_is_shown_as_codes(text):
    result = result_of(text)
    refused = replace(result, problem=text or "x")
    shown = [feedback(result), checked(result), table([result, refused]), feedback(refused)]
    shown += [checked(refused), page(result), page(refused), file_name(result.student)]
    shown += [not_graded([LeftOut(text, text, text)])]
    shown += [c.removesuffix("\n") for c in (canvas_csv([result]), grades_csv([refused]))]
    shown += [t["name"] + t["output"] for t in gradescope(result)["tests"]]
    shown += [gradescope(refused)["output"]]
    for one in shown:
        assert obeyed(one) == [], one
    assert obeyed(moodle_csv([result])) == []


def test_a_mark_is_shown_as_its_code(tmp_path):
    result = result_of("a\u202eb\x1b[2J\u2066c")
    for text in (feedback(result), page(result), grades_csv([result]), table([result, result])):
        assert "a\\u202eb\\x1b[2J\\u2066c" in text
    write_all(tmp_path, [result])
    for path in tmp_path.rglob("*"):
        assert obeyed(path.name) == []
        if path.is_file():
            text = path.read_text("utf-8-sig")
            assert obeyed(text) == [], path
            assert path.suffix != ".csv" or path.read_bytes().startswith(b"\xef\xbb\xbf")
    stored = json.loads((tmp_path / "grades.json").read_text("utf-8"))
    assert Result.from_json(stored[0]) == result, "the same values"


def test_tests_are_counted_and_no_points_are_told():
    result = result_of("x")
    assert checked(result).startswith("Tx: 0 of 2 visible tests pass; hidden ones decide\n")
    cases = [replace(case, earned=case.points) for case in result.questions[0].cases]
    right = replace(result, questions=[replace(result.questions[0], cases=cases)])
    assert checked(right).startswith("Tx: 2 of 2 visible tests pass; hidden ones decide\n")
    assert "ok    qx  2 of 2" in checked(right)
    assert "/2" not in checked(result) + checked(right)
