"""From what the tests found and what the instructor says: the points that a student gets.

In this order: a question counts what it is worth now; what was given or taken by hand for it is
added, and it is never below 0; of the sum of all questions the penalty is taken; what was given or
taken for the whole assignment is added; and the total is never below 0. What is stored stays.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from minires.coursework.marks.late import duration, units_late
from minires.coursework.marks.rules import TIMES, Rules
from minires.coursework.moments import instant, later, told
from minires.coursework.result import PENALTY, Change, QuestionResult, Result


def marked(result: Result, rules: Rules) -> Result:
    """A result as it is published.

    Parameters
    ----------
    result : Result
        As stored.
    rules : Rules
    """
    whose = result.assignment, result.student
    names = {question.name for question in result.questions}
    changes = [
        change
        if not change.question or change.question in names
        else replace(change, question="", why=f"{change.question}: {change.why}")
        for change in rules.adjustments.get(whose, ())
    ]
    points = rules.points.get(result.assignment, {})
    questions = [
        _question(q, points.get(q.name, q.points), [c for c in changes if c.question == q.name])
        for q in result.questions
    ]
    return _with_penalty(replace(result, questions=questions, changes=changes), rules)


def _question(result: QuestionResult, points: float, changes: Sequence[Change]) -> QuestionResult:
    result = result.worth(points)
    by_hand = [change.points for change in changes]
    return replace(result, earned=max(0.0, math.fsum((result.earned, *by_hand))))


def _with_penalty(result: Result, rules: Rules) -> Result:
    """When it came and was due, and what that costs."""
    whose, zone = (result.assignment, result.student), rules.zone
    came, clock = rules.times.get(whose), TIMES
    if came is None:
        clock = result.clock
        came = datetime.fromisoformat(result.submitted) if result.submitted else None
    due = later(rules.due.get(result.assignment), rules.extensions.get(whose), zone)
    result = replace(
        result,
        submitted="" if came is None else told(came, zone),
        clock=clock,
        due="" if due is None else told(due, zone),
    )
    if due is None or came is None:
        return result
    penalty = rules.penalties.get(result.assignment)
    units = units_late(came, due, penalty.unit if penalty else "", zone)
    if not units:
        return result
    late = duration(instant(came, zone) - instant(due, zone))
    why, taken = f"{late} late (due {result.due}, handed in {result.submitted})", 0.0
    if penalty is not None:
        taken = round(penalty.of(result.before, units), 2)
        unit = penalty.unit if units == 1 else f"{penalty.unit}s"
        begun = f"; {units} {unit} begun" if penalty.unit else ""
        why += f": {penalty.text}{begun}, of {result.before:g} points"
    return replace(result, changes=[Change(PENALTY, 0.0 - taken, why), *result.changes])


def undated(results: Sequence[Result]) -> list[str]:
    """A note for each assignment with a due date of which submissions have no time."""
    count = Counter(result.assignment for result in results if result.due and not result.submitted)
    return [
        f"{name}: nothing says when {n} of the submissions were handed in, so they are not late: "
        f"write it into {TIMES}"
        for name, n in sorted(count.items())
    ]
