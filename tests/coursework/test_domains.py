"""Over many courses' seeds: right work keeps all points, and every known mistake loses some.

Questions without drawn inputs are the same in every course; of them `minires coursework mutants`
tells as much. MINIRES_COURSEWORK_SEEDS says how many seeds are tried.
"""

import copy
import os
from dataclasses import replace

import numpy as np
import pytest

from minires.coursework import child
from minires.coursework.assignment import find_assignments, load_assignments
from minires.coursework.bundle import make_bundle, task_of
from minires.coursework.grade import judge
from minires.coursework.guard import Direct
from minires.coursework.question import Variant

SEEDS = range(int(os.environ.get("MINIRES_COURSEWORK_SEEDS", "2")))


def judged(question, given, source):
    """What code that is trusted gets, in this process."""
    cells = [{"name": "own", "source": source, "definitions": False}]
    answers = []
    with np.errstate(all="ignore"):
        session = child.Session(task_of(question, given.values(), cells), Direct())
        for case in question.cases:
            answers.append(copy.deepcopy(session.answer(copy.deepcopy(case.arguments))))
            session.release()
    return judge(question, answers)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", find_assignments())
def test_drawn_inputs_tell_right_from_wrong(name, seed):
    (assignment,) = load_assignments(name=name)
    drawn = {n: q for n, q in assignment.questions.items() if q.hidden_cases}
    without_outputs = {n: replace(q, mistakes=[]) for n, q in drawn.items()}
    bundle = make_bundle(replace(assignment, questions=without_outputs), seed)
    problems = []
    for question in drawn.values():
        solution = Variant("solution", assignment.solution(question.name))
        for variant in [solution, *question.correct_ways, *question.mistakes]:
            source = assignment.with_variant(question, variant)
            results = judged(bundle.question(question.name), bundle.given, source)
            lost = [case for case in results if not case.passed]
            if bool(lost) != (variant in question.mistakes):
                problems.append((question.name, variant.name, lost))
    assert not problems
