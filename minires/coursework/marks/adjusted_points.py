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
from datetime import datetime, timedelta, tzinfo

from minires.coursework.dates_and_times import instant, later, told
from minires.coursework.marks.late import duration, units_late
from minires.coursework.marks.rules import TIMES, Rules
from minires.coursework.result import ADJUSTMENT, PENALTY, Change, QuestionResult, Result


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
    for old, new in zip(result.questions, questions, strict=True):
        own = [change.points for change in changes if change.question == new.name]
        earned = old.worth(points.get(old.name, old.points)).earned
        changes = _in_part(changes, new.name, math.fsum((earned, *own)))
    result = _with_penalty(replace(result, questions=questions, changes=changes), rules)
    whole = math.fsum((result.before, *(change.points for change in result.of_all())))
    return replace(result, changes=_in_part(result.changes, "", whole))


def _in_part(changes: list[Change], question: str, total: float) -> list[Change]:
    """Changes of which the last that takes points says so if there were too few."""
    mine = [i for i, c in enumerate(changes) if (c.kind, c.question) == (ADJUSTMENT, question)]
    taking = [i for i in mine if changes[i].points < 0]
    if total > -1e-9 or not taking:
        return changes
    last = changes[taking[-1]]
    why = f"{last.why} ({round(0.0 - total, 2):g} less is taken: nothing is below 0)".strip()
    return [replace(last, why=why) if i == taking[-1] else c for i, c in enumerate(changes)]


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
        if penalty.unit in ("day", "week") and _offset(came, zone) != _offset(due, zone):
            begun += " by the calendar, as clocks were changed meanwhile"
        plural = "" if result.before == 1 else "s"
        why += f": {penalty.text}{begun}, of {result.before:g} point{plural}"
    return replace(result, changes=[Change(PENALTY, 0.0 - taken, why), *result.changes])


def _offset(moment: datetime, zone: tzinfo | None) -> timedelta | None:
    """How far the course's clock is from UTC."""
    return instant(moment, zone).astimezone(zone).utcoffset()


def undated(results: Sequence[Result]) -> list[str]:
    """A note for each assignment with a due date of which submissions have no time."""
    count = Counter(result.assignment for result in results if result.due and not result.submitted)
    return [
        f"{name}: nothing says when {n} of the submissions were handed in, so they are not late: "
        f"write it into {TIMES}"
        for name, n in sorted(count.items())
    ]
