"""What is said first of a mutant is true, says what was broken, and is said of nearly all."""

import collections
import re

import claims
import pytest
from mechanical import sweep
from mutants import MUTANTS

from minires.gradcheck import gradcheck

pytestmark = pytest.mark.slow


def first_of(report):
    """What names a mistake first, as a reader of the text meets it."""
    text = str(report)
    said = [*report.problems, *report.hints]
    assert all(part in text for part in said)
    return min(said, key=text.index, default=None)


@pytest.fixture(scope="module")
def said():
    """(kind, mutant, what may be said, what is said first, what is not true) of every mutant."""
    rows = []
    for outcome in sweep():
        if outcome.report is not None:
            kind = re.sub(r" \d+ ", " ", outcome.broken.name)
            first = first_of(outcome.report)
            rows.append((kind, str(outcome), outcome.broken.told, first, outcome.untrue))
    for m in MUTANTS:
        report = gradcheck(m.function, m.inputs, raise_exception=False)
        untrue = claims.untrue(report, m.function, m.inputs)
        rows.append(("by hand", str(m), m.told, first_of(report), untrue))
    return rows


def test_hints_are_true(said):
    assert [(name, untrue) for _, name, _, _, untrue in said if untrue] == []


def test_hints_are_given_and_right(said):
    counts = collections.defaultdict(lambda: [0, 0, 0])
    for kind, name, told, first, _ in said:
        right = bool(first and re.search(told, first))
        for of in (counts[kind], counts["all"]):
            of[0] += 1
            of[1] += first is not None
            of[2] += right
        if not right:
            print(f"{name}: {first}")
    for kind, (mutants, given, right) in counts.items():
        print(f"{kind:30} {mutants:4} mutants, {given:4} hints, {right:4} right")
    for kind in ("by hand", "all"):
        mutants, given, right = counts[kind]
        assert given >= 0.8 * mutants
        assert right >= 0.9 * given
