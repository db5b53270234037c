"""Results as text: a table of all, and one student's feedback."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from minires.coursework.result import FAILED, CaseResult, QuestionResult, Result
from minires.coursework.submissions.collect import LeftOut
from minires.coursework.submissions.roster import Comparison
from minires.markup import aligned, fitted
from minires.text import plain


def terminal_width() -> int | None:
    """Of a terminal its columns; None where something else reads, which gets everything."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(results: Sequence[Result], width: int | None = None) -> str:
    """A line a submission, a column a question; shortened if it is to be no wider than a width."""
    names = list(dict.fromkeys(q.name for result in results for q in result.questions))
    rows = [["student", *map(_line, names), "points"]]
    for result in results:
        earned = {q.name: q for q in result.questions}
        cells = [_points(earned[n].earned, earned[n].points) if n in earned else "-" for n in names]
        total = "-" if result.damaged else _points(result.earned, result.points)
        rows.append([_line(result.student), *cells, total])
    rows, missing = (rows, 0) if width is None else fitted(rows, width)
    lines = aligned(rows)
    lines.insert(1, "-" * max(map(len, lines)))
    if missing:
        plural = "question is" if missing == 1 else "questions are"
        lines.append(f"{missing} {plural} not shown here: widen the terminal, or see grades.csv")
    for result in results:
        if result.problem:
            lines.append(f"{_line(result.student)}: {_line(result.problem)}")
    return "\n".join(lines)


def _points(earned: float, points: float) -> str:
    return f"{round(earned, 2):g}/{points:g}"


MOST_LINES = 25


def not_graded(left_out: Sequence[LeftOut]) -> str:
    """What was not graded, and why; of long lists the beginning."""
    missed = [one for one in left_out if not one.hidden]
    lines = [f"  {_line(one.file)}: {_line(one.why)}" for one in missed[:MOST_LINES]]
    if len(missed) > MOST_LINES:
        lines.append(f"  and {len(missed) - MOST_LINES} more")
    if hidden := len(left_out) - len(missed):
        lines.append(f"  and {hidden} that systems and programs leave, such as caches")
    return "\n".join(["not graded:", *lines]) if missed else ""


def noted(notes: Sequence[str]) -> str:
    """What may be a slip in the instructor's rules; of long lists the beginning."""
    lines = [f"note: {_line(note)}" for note in notes[:MOST_LINES]]
    if len(notes) > MOST_LINES:
        lines.append(f"and {len(notes) - MOST_LINES} more notes")
    return "\n".join(lines)


def renamed(former: Sequence[tuple[str, Result]]) -> list[str]:
    """Whose results were under another name."""
    return [
        f"{result.student} is {student} now, with the number {result.number} of {result.platform}: "
        "one student, of whom the latest counts"
        for student, result in former
    ]


def compared(comparison: Comparison) -> str:
    """Who of the roster handed nothing in, and who is not on it."""
    lines = [f"missing: {_line(name)}" for name in comparison.missing]
    lines += [f"not on the roster: {_line(name)}" for name in comparison.unknown]
    lines = lines or ["nobody of the roster is missing"]
    for one in comparison.repeated:
        places = " and ".join(map(str, one.lines))
        lines.append(
            f"note: lines {places} of the roster are the same and count as one person "
            f"({_line(one.shown)}): if they are two, add a column that tells them apart"
        )
    return "\n".join(lines)


def _line(text: str) -> str:
    return plain(text)[:300]


def failures(results: Sequence[Result]) -> str:
    """Which questions the grader itself failed to grade."""
    found = [
        f"  {_line(result.student)}, {question.name}: {_line(case.text)}"
        for result in results
        for question in result.questions
        for case in question.cases[:1]
        if not question.key and case.text.startswith(FAILED)
    ]
    if not found:
        return ""
    more = [f"  and {len(found) - MOST_LINES} more"] if len(found) > MOST_LINES else []
    head = "the grader failed on these questions, which the next run tries again:"
    return "\n".join([head, *found[:MOST_LINES], *more])


def _printable(text: str) -> str:
    """Without anything that a terminal obeys, or that turns a line around."""
    return "\n".join(map(plain, text.split("\n")))


def feedback(result: Result) -> str:
    """What one student reads."""
    lines = [f"{result.title}: {_points(result.earned, result.points)} points"]
    if result.problem:
        lines = [f"{result.title}: {result.problem}"]
    if of_all := result.of_all():
        lines += [f"the questions: {result.before:g} points", *(c.told() for c in of_all)]
        lines += [f"in all: {result.earned:g} points"]
    for question in result.questions if not result.problem else ():
        lines += _question(question, _points(question.earned, question.points))
        lines += [f"      {c.told()}" for c in result.changes if c.question == question.name]
    if result.problem:
        lines += [c.told() for c in result.changes if c.question]
    return _printable("\n".join(lines))


def checked(result: Result) -> str:
    """What a student reads who tries the visible tests: how many pass, and no points."""
    if result.problem:
        return _printable(f"{result.title}: {result.problem}")
    lines, passed, total = [""], 0, 0
    for question in result.questions:
        good = sum(case.passed for case in question.cases)
        passed, total = passed + good, total + len(question.cases)
        lines += _question(question, f"{good} of {len(question.cases)}")
    tests = "visible test passes" if total == 1 else "visible tests pass"
    lines[0] = f"{result.title}: {passed} of {total} {tests}; hidden ones decide"
    return _printable("\n".join(lines))


def _question(question: QuestionResult, count: str) -> list[str]:
    mark = "ok   " if question.passed else "WRONG"
    blank = question.unanswered
    lines = [f"\n{mark} {question.name}  {count}" + (f", {blank}" if blank else "")]
    for case in question.cases:
        if not case.passed and not blank:
            lines += _case(case)
    lines += [f"      hint: {hint}" for hint in question.hints]
    if question.printed.strip() and not question.passed:
        shown = question.printed.strip().split("\n")[:5]
        lines += ["      your code printed:", *(f"        {line[:200]}" for line in shown)]
    return lines


def case_feedback(case: CaseResult) -> list[str]:
    """What there is to say of one case."""
    if case.passed:
        return []
    hints = dict.fromkeys(output.hint for output in case.outputs if output.hint)
    return [line.strip() for line in _case(case)[1:]] + [f"hint: {hint}" for hint in hints]


def _case(case: CaseResult) -> list[str]:
    lines = [f"      {case.name}:"]
    if case.text:
        lines += [f"        {line}" for line in case.text.split("\n")]
    lines += [f"        {o.name}: {o.text}" for o in case.outputs if o.text]
    return lines


def changes(pairs: Sequence[tuple[Result, Result | None]]) -> str:
    """Whose points changed, question by question."""
    lines = []
    for new, old in pairs:
        if old is None:
            continue
        before = {q.name: q.earned for q in old.questions}
        for question in new.questions:
            was = before.get(question.name)
            if was is not None and abs(was - question.earned) > 1e-9:
                lines.append(
                    f"{_line(new.student)}: {question.name} {round(was, 2):g} -> "
                    f"{round(question.earned, 2):g} of {question.points:g}"
                )
    return "\n".join(lines) if lines else "no points changed"
