"""Over many courses' seeds: right work keeps all points, and every known mistake loses some.

Questions without drawn inputs are the same in every course; of them `minires coursework mutants`
tells as much. MINIRES_COURSEWORK_SEEDS says how many seeds are tried.
"""

import copy
import functools
import os
from dataclasses import replace

import numpy as np
import pytest

from minires.coursework.assignment import find_assignments, load_assignments
from minires.coursework.bundle import make_bundle, task_of
from minires.coursework.grading.grade import judge
from minires.coursework.question import Variant
from minires.coursework.sandbox import child
from minires.coursework.sandbox.guard import Direct

SEEDS = range(int(os.environ.get("MINIRES_COURSEWORK_SEEDS", "2")))


@functools.cache
def load(name):
    (assignment,) = load_assignments(name=name)
    return assignment


@functools.cache
def graded(name, seed):
    """The questions that draw; None is the seed of hidden tests that are the same for all."""
    changed = {}
    for question in load(name).questions.values():
        if question.hidden_cases:
            fixed = [case for case in question.fixed_cases if case.visible == (seed is not None)]
            hidden = [] if seed is None else question.hidden_cases
            changed[question.name] = replace(
                question, fixed_cases=fixed, hidden_cases=hidden, mistakes=[]
            )
    return make_bundle(replace(load(name), questions=changed), seed or 0)


def lost(name, question, source, seed):
    """The tests by which code that is trusted loses points, in this process."""
    bundle = graded(name, seed)
    own = bundle.question(question)
    cells = [{"name": "own", "source": source, "how": "all"}]
    answers = []
    with np.errstate(all="ignore"):
        session = child.Session(task_of(own, bundle.given.values(), cells), Direct())
        for case in own.cases:
            answers.append(copy.deepcopy(session.answer(copy.deepcopy(case.arguments))))
            session.release()
    return [case.name for case in judge(own, answers) if not case.passed]


@functools.cache
def always_lost(name, question, source):
    return lost(name, question, source, None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", find_assignments())
def test_drawn_inputs_tell_right_from_wrong(name, seed):
    assignment, problems = load(name), []
    for question in assignment.questions.values():
        if not question.hidden_cases or (question.seconds > 60 and len(SEEDS) <= 2):
            continue  # a training is judged by `minires coursework mutants`
        solution = Variant("solution", assignment.solution(question.name))
        for variant in [solution, *question.correct_ways, *question.mistakes]:
            source = assignment.with_variant(question, variant)
            tests = always_lost(name, question.name, source) + lost(
                name, question.name, source, seed
            )
            if bool(tests) != (variant in question.mistakes):
                problems.append((question.name, variant.name, tests))
    assert not problems
