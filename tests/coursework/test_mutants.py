"""Mechanical mutants: what they change, and who finds them."""

import json
import os

import pytest
from small_assignment import GRADING, write

from minires.coursework.assignment import load_assignments
from minires.coursework.mutation import mechanical, survivors
from minires.coursework.mutation.forked import Lost, forked
from minires.coursework.mutation.mutants import difference, mutants
from minires.coursework.mutation.syntax import whole_numbers


def changed(source):
    """What each mutant has in the place of what it changes."""
    return [mutant.after for mutant in mutants(source)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("return x - y", ["return x + y", "return x * y", "return y - x", "return x", "return y"]),
        ("return x / y", ["return np.floor(x / y)", "return x * y", "return y / x"]),
        ("return x.sum(axis=y)", ["return x.sum(axis=y[:1])", "return x.sum(axis=y[-1:])"]),
        ("return x // y", ["return -(-x // y)", "return x / y", "return x % y"]),
        ("return x @ y", ["return y @ x", "return x * y"]),
        ("return x > y", ["return x >= y", "return x < y", "return x != y"]),
        ("return x is None", ["return x is not None"]),
        ("return x and y", ["return x or y", "return x", "return y"]),
        ("return not x", ["return x"]),
        ("return 3 * x", ["return 4 * x", "return 2 * x", "return 0 * x", "return -3 * x"]),
        ("return 0.5 * x", ["return 1.0 * x", "return 0.25 * x", "return -0.5 * x"]),
        ("return f(x, True)", ["return f(x, False)", "return f(True, x)", "return f(x)"]),
        (
            "return x.sum(axis=0, keepdims=True)",
            [
                "return x.sum(axis=1, keepdims=True)",
                "return x.sum(axis=-1, keepdims=True)",
                "return x.sum(axis=None, keepdims=True)",
                "return x.sum(keepdims=True)",
                "return x.sum(axis=0, keepdims=False)",
                "return x.sum(axis=0)",
                "return x.mean(axis=0, keepdims=True)",
            ],
        ),
        ("return x.sum(axis=(0, 1))", ["return x.sum(axis=(0,))", "return x.sum(axis=(1,))"]),
        (
            "return x[a:b:2, 1]",
            [
                "return x[:b:2, 1]",
                "return x[a::2, 1]",
                "return x[a:b, 1]",
                "return x[a + 1:b:2, 1]",
                "return x[a:b - 1:2, 1]",
                "return x[1, a:b:2]",
                "return x[a:b:2, 0]",
                "return x",
            ],
        ),
        ("return x[i]", ["return x[i + 1]", "return x[i - 1]"]),
        ("return x, y, z", ["return (y, x, z)", "return (x, z, y)"]),
        ("return x.copy()", ["return x"]),
        ("return np.exp(x)", ["return x", "return np.exp2(x)", "return np.exp(x, out=x)"]),
        ("return x", ["return abs(x)", "return np.minimum(x, 6)", "return np.maximum(x, 0)"]),
        ("return x", ["return y", "return 0", "return 1"]),
        ("return x.T", ["return x"]),
        ("return x - y", ["x -= y\nreturn x"]),
        ("return [a for a in x if a]", ["return [a for a in x if not a]"]),
    ],
)
def test_expressions(line, expected):
    found = changed(f"def f(x, y):\n    {line}\n")
    assert [after for after in expected if after not in found] == []


BODY = """
def f(x, n):
    total = np.zeros(n)
    for i in range(n):
        if x[i] > 0:
            total += x[i]
    total = total - x
    return total
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("total += x[i]", "pass"),
        ("total += x[i]", "total = total + x[i]"),
        ("total += x[i]", "total = x[i]"),
        ("total += x[i]", "total -= x[i]"),
        ("", "break"),
        ("for i in range(n):", "for i in list(range(n))[1:]:"),
        ("for i in range(n):", "for i in list(range(n))[:-1]:"),
        ("if x[i] > 0:", "if not x[i] > 0:"),
        ("if x[i] > 0:", "if True:"),
        ("if x[i] > 0:", "if False:"),
        ("total = total - x", ""),
        ("total = total - x", "total -= x\ntotal = total"),
        ("", "x = np.clip(x, -100, 100)"),
        ("", "x = abs(x)"),
        ("", "x = x[:1]"),
        ("", "n = np.minimum(n, 1)"),
        ("", "total = np.maximum(total, 0)"),
        ("", "return total"),
    ],
)
def test_statements(before, after):
    assert (before, after) in [(mutant.before, mutant.after) for mutant in mutants(BODY)]


def test_what_is_whole_is_not_clipped_as_values_are():
    assert whole_numbers(__import__("ast").parse(BODY)) == {"n", "i"}
    assert not any("abs(n)" in after or "abs(i)" in after for after in changed(BODY))


def results_of(source, calls):
    """What each mutant returns, for mutants of state that are named by what they do."""
    found = {}
    for mutant in mutants(source):
        names = {}
        exec(mutant.source, names)
        try:
            found.setdefault(mutant.change, []).append(calls(names))
        except Exception:
            continue
    return found


def test_first_results_are_kept():
    source = "def f(x):\n    y = x + 1\n    return y\n"
    found = results_of(source, lambda names: [names["f"](1), names["f"](5), names["f"](1)])
    assert found["the first result for ever"] == [[2, 2, 2]]
    assert found["the first result for each shape"] == [[2, 6, 2]]  # of numbers, each its own
    assert found["the first y for ever"] == [[2, 2, 2]]


CLASS = """
class Counter:
    def __init__(self, start):
        self.count, self.seen = start, []

    def add(self):
        self.seen.append(self.count)
        self.count = self.count + 1
        return self.count, list(self.seen)
"""


def test_attributes_are_of_the_class_or_shared():
    def calls(names):
        one, other = names["Counter"](1), names["Counter"](10)
        return one.add(), other.add()

    found = results_of(CLASS, calls)
    assert found["count of the class"] == [((11, [10]), (12, [11]))]
    assert found["the first seen for ever"] == [((2, [1]), (11, [1, 10]))]


def test_operands_are_in_a_global():
    source = "def multiply(a, b):\n    def rule(g):\n        return g * a, g * b\n    return rule\n"

    def calls(names):
        first = names["multiply"](2, 3)
        names["multiply"](5, 7)
        return first(1)

    found = results_of(source, calls)
    assert found["a in a global"] == [(5, 3)]
    assert found["a, b in a global"] == [(5, 7)]


def test_all_differ_and_come_in_one_order():
    (assignment,) = load_assignments(name="04_batch_norm")
    for question in assignment.questions:
        solution = assignment.solution(question)
        found = mutants(solution)
        sources = [mutant.source for mutant in found]
        assert len(set(sources)) == len(sources) > 100
        assert mutants(solution) == found
        assert all(mutant.before or mutant.after for mutant in found)


def test_the_difference_is_what_changed():
    assert difference("a\n  b\nc\n", "x = 1\na\n  B\nc\n") == ("b", "x = 1\nB")
    assert difference("a\nb\n", "a\n") == ("b", "")


# ----------------------------------------------------------------------- calls that may be lost


def loop():
    while True:
        pass


def test_calls_that_are_lost_do_not_cost_the_others():
    calls = [
        lambda: 1,
        loop,
        lambda: "two",
        lambda: os._exit(3),
        lambda: 1 / 0,
        lambda: len(bytearray(1 << 33)),
        lambda: [3],
    ]
    found = list(forked(calls, seconds=0.2, memory=1 << 28))
    assert [one for one in found if not isinstance(one, Lost)] == [1, "two", [3]]
    assert [one.why.split(" (")[0] for one in found if isinstance(one, Lost)] == [
        "it takes too long",
        "a crash",
        "a crash",
        "a crash",
    ]


# ------------------------------------------------------------------------------------ judging

HIDDEN = """
@double.hidden("a number")
def number(draw):
    return (np.array([draw.choice(2.0, 3.0, 2.5)]),)
"""


@pytest.fixture
def folder(tmp_path):
    """An assignment of which a course's seed 5 draws 2 alone, so that 2 + x is right."""
    return write(tmp_path / "08_new", grading=GRADING + HIDDEN).parent


def judged(folder, results=None, inputs=40, seed=5):
    works = mechanical.works(folder, None, None, seed)
    keep = mechanical.Results(results)
    return mechanical.run(works, seed=seed, inputs=inputs, jobs=1, results=keep)


def kinds(found):
    return {one.mutant.after: one.kind for one in found}


def test_survivors_and_equivalent_ones_are_told_apart(folder):
    found = judged(folder)
    kind = kinds(found)
    assert kind["return 2 / x"] == kind["return x"] == kind["pass"] == "killed"
    assert kind["return 2 + x"] == "SURVIVES"
    assert kind["return abs(2 * x)"] == "equivalent"
    (survivor,) = [one for one in found if one.mutant.after == "return 2 + x"]
    assert "drawn input" in survivor.why
    assert "array([" in survivor.why
    text = survivors.report(found)
    assert f"- 08_new, double: {survivor.mutant} ({survivor.why})" in text
    assert survivors.share_killed(found) < 0.99


def test_a_question_without_a_domain_has_no_equivalent_mutants(tmp_path):
    found = judged(write(tmp_path / "08_new").parent)
    assert {one.kind for one in found} == {"killed", "SURVIVES"}
    assert "no domain is declared" in {one.why for one in found}


def test_a_run_goes_on_where_it_was_stopped(folder, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    found = judged(folder, path)
    kept = json.loads(path.read_text())["mutants"]
    assert len(kept) == len(found)
    lost = next(key for key, value in kept.items() if value["verdict"] == "SURVIVES")
    path.write_text(json.dumps({"mutants": {k: v for k, v in kept.items() if k != lost}}))
    done = []
    put = mechanical.Results.put
    monkeypatch.setattr(
        mechanical.Results, "put", lambda self, key, j: (done.append(key), put(self, key, j))
    )
    assert judged(folder, path) == found
    assert done == [lost]
    assert json.loads(path.read_text())["mutants"] == kept
    done.clear()
    assert judged(folder, path, seed=2) != []  # other tests, so all anew
    assert len(done) == len(found)


def test_damaged_results_are_refused(folder, tmp_path):
    path = tmp_path / "results.json"
    for text in ("", "[]", '{"mutants": 3}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"results\.json holds no results of mutants"):
            mechanical.Results(path)


NOTE = """
[[double]]
before = "return 2 * x"
after = "return {}"
{}
"""


def test_notes_say_what_is_equivalent_and_what_is_accepted(folder):
    path = folder / "08_new" / "mutants.toml"
    path.write_text(
        NOTE.format("abs(2 * x)", 'equal = "x is never below 0"')
        + NOTE.format("2 + x", 'accepted = "for the test\'s sake"')
    )
    found = judged(folder)
    assert kinds(found)["return abs(2 * x)"] == "proved"
    assert "(for the test's sake)" in survivors.report(found)
    assert survivors.contradictions(found) == []
    path.write_text(NOTE.format("x", 'equal = "a wrong proof"'))
    (text,) = survivors.contradictions(judged(folder))
    assert "is noted and yet loses points" in text


@pytest.mark.parametrize(
    ("note", "text"),
    [
        (NOTE.format("3 // x", 'equal = "no such mutant"'), "0 mutants of double have 'return 3"),
        (NOTE.format("x", ""), "needs before, after, and either equal or accepted"),
        (NOTE.format("x", 'equal = "a"\naccepted = "b"'), "needs before, after, and either"),
        ("[[double]\n", "mutants.toml: "),
        ("double = 3", "mutants.toml: "),
    ],
)
def test_notes_that_go_with_nothing_are_refused(folder, note, text):
    (folder / "08_new" / "mutants.toml").write_text(note)
    with pytest.raises(ValueError, match=text):
        mechanical.works(folder, None, None, 5)


def test_slow_cases_are_left_out(tmp_path):
    quick = '\ndouble.mutants_quickly(without=["two"], inputs=3)\n'
    folder = write(tmp_path / "08_new", grading=GRADING + HIDDEN + quick).parent
    found = judged(folder, inputs=1000)
    assert {one.why for one in found if one.kind == "equivalent"} == {"agrees on 3 drawn inputs"}
    assert "two" not in {one.why for one in found}


def test_what_is_judged_by_accuracy_is_equal_where_the_judge_says_so(tmp_path):
    grading = """import numpy as np
from minires.coursework import Accuracy, question

@question(points=1, returns="classes")
def double(x):
    return Accuracy(2 * x, 1.0, 0.5)

double.case("two", np.array([2, 5]), visible=True)

@double.hidden("numbers")
def numbers(draw):
    return (draw.integers(6, below=9),)
"""
    kind = kinds(judged(write(tmp_path / "08_new", grading=grading).parent))
    assert kind["return abs(2 * x)"] == "equivalent"
    assert kind["return 2 + x"] == kind["return 2 / x"] == "killed"


def test_samples_are_drawn_by_a_seed(folder):
    works = mechanical.works(folder, None, None, 5)
    one, same, other = (mechanical.sampled(works, 5, seed) for seed in (1, 1, 2))
    assert len(one[0].mutants) == 5
    assert one == same != other
    assert mechanical.sampled(works, 1000, 1) == works


def test_the_command(folder, minires):
    arguments = ["coursework", "mutants", "--mechanical", "--source", folder]
    out = minires(*arguments, "--seed", 5, "--inputs", 40, rc=1)
    assert "| 08_new: double |" in out
    out = minires(*arguments, "--question", "nothing", rc=2)
    assert "no question 'nothing'" in out


def test_results_are_written_whole(folder, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    results = mechanical.Results(path)
    found = judged(folder)
    results.put("key", found[0].judgement)
    results.save()
    assert mechanical.Results(path).get("key") == found[0].judgement
    assert sorted(tmp_path.glob("results*")) == [path]
