"""Grade one submission: each question in a child of its own, judged here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minires.coursework.bundle import Bundle, GradedCase, GradedQuestion, outputs_of, task_of
from minires.coursework.cells import MAX_FILE, Cell, SubmissionError, read_submission, runnable
from minires.coursework.compare import Verdict, changed, compare, described
from minires.coursework.feedback import heat_maps, pattern, recognised
from minires.coursework.result import CaseResult, OutputResult, QuestionResult, Result
from minires.coursework.sandbox import Child, ChildLost

WALL = 4
"""A question may take so many times its processor seconds by the clock on the wall."""


def grade_file(
    path: Path,
    student: str,
    bundle: Bundle,
    *,
    questions: Sequence[str] | None = None,
    sandboxed: bool = True,
) -> Result:
    """Grade a notebook or Python file; whatever is wrong with it is in the result.

    Parameters
    ----------
    path : Path
    student : str
    bundle : Bundle
    questions : sequence of str, optional
        Only these.
    sandboxed : bool
        See `sandbox.Child`.
    """
    chosen = [q for q in bundle.questions if questions is None or q.name in questions]
    try:
        cells, problem = read_submission(path), ""
    except (SubmissionError, OSError) as error:
        cells, problem = [], str(error)
    results = [
        unread(question, problem)
        if problem
        else grade_question(question, bundle.given, cells, sandboxed=sandboxed)
        for question in chosen
    ]
    return Result(student, bundle.assignment, bundle.title, results, problem, key(path, bundle))


def key(path: Path, bundle: Bundle) -> str:
    """A hash of a submission's bytes and a bundle: equal keys, equal results."""
    hashed = hashlib.sha256(bundle.digest)
    try:
        with path.open("rb") as file:
            hashed.update(hashlib.sha256(file.read(MAX_FILE)).digest())
    except OSError:
        hashed.update(b"unreadable")
    return hashed.hexdigest()


def grade_question(
    question: GradedQuestion,
    given: dict[str, str],
    cells: Sequence[Cell],
    *,
    sandboxed: bool = True,
) -> QuestionResult:
    """Ask a submission's code every case of a question.

    Raises
    ------
    IsolationError
        If no child can be locked in.
    """
    begin = time.monotonic()
    answers, printed = _ask(question, given, cells, sandboxed)
    values = [
        outputs_of(answer["result"], len(question.returns)) if "result" in answer else None
        for answer in answers
    ]
    results = [
        _case_result(question, case, i, answer, values)
        for i, (case, answer) in enumerate(zip(question.cases, answers, strict=True))
    ]
    hints = dict.fromkeys(o.hint for case in results for o in case.outputs if o.hint)
    if question.own_parts() and not all(case.passed for case in results):
        own = ", ".join(question.own_parts())
        hints[f"{question.name} builds on {own}: here on yours; graded, on right ones"] = None
    return QuestionResult(
        question.name,
        question.points,
        sum(case.earned for case in results),
        results,
        list(hints),
        printed,
        round(time.monotonic() - begin, 3),
    )


def unread(question: GradedQuestion, problem: str) -> QuestionResult:
    """No points, because nothing could be read."""
    cases = [
        CaseResult(case.name, case.visible, points(question, case), 0.0, problem)
        for case in question.cases
    ]
    return QuestionResult(question.name, question.points, 0.0, cases, [], "", 0.0)


def points(question: GradedQuestion, case: GradedCase) -> float:
    """What a case is worth."""
    return question.points * case.weight / sum(c.weight for c in question.cases)


def _ask(
    question: GradedQuestion, given: dict[str, str], cells: Sequence[Cell], sandboxed: bool
) -> tuple[list[dict[str, Any]], str]:
    """An answer for each case, and what was printed; a child that is lost loses only its case."""
    task = task_of(question, given.values(), runnable(cells, question.name))
    wall = WALL * question.seconds
    answers: list[dict[str, Any]] = []
    printed = b""
    while len(answers) < len(question.cases):
        with Child(task, question.seconds, wall, question.limits, sandboxed) as process:
            try:
                process.start()
                while len(answers) < len(question.cases):
                    answers.append(process.ask(question.cases[len(answers)].arguments))
            except ChildLost as lost:
                answers.append({"lost": str(lost)})
                if lost.timed_out:
                    missed = {"lost": "not run: the question's time was over"}
                    answers += [missed] * (len(question.cases) - len(answers))
        printed = printed or process.log
    return answers, printed.decode(errors="replace")


def _case_result(
    question: GradedQuestion,
    case: GradedCase,
    number: int,
    answer: dict[str, Any],
    answers: Sequence[list[Any] | None],
) -> CaseResult:
    """Judge one answer, which may be anything."""
    worth = points(question, case)
    values, problem = answers[number], _problem(answer, case)
    if values is None and not problem:
        names = ", ".join(question.returns)
        problem = (
            f"you returned {described(answer.get('result'))}, wanted are "
            f"{len(question.returns)} values: {names}"
        )
    if problem or values is None:
        return CaseResult(case.name, case.visible, worth, 0.0, problem)
    outputs = []
    for i, name in enumerate(question.returns):
        verdict = compare(values[i], case.expected[i], question.rtol)
        hint = ""
        if verdict.text:
            hint = _hint(question, answers, number, i, name, verdict)
        outputs.append(OutputResult(name, verdict.share, verdict.text, hint, heat_maps(verdict)))
    total = sum(question.returns.values())
    share = sum(o.share * question.returns[o.name] for o in outputs) / total
    return CaseResult(case.name, case.visible, worth, worth * share, "", outputs)


def _hint(
    question: GradedQuestion,
    answers: Sequence[list[Any] | None],
    case: int,
    output: int,
    name: str,
    verdict: Verdict,
) -> str:
    mistake = recognised(question, answers, case, output)
    if mistake is not None:
        return f"your {name} equals that of a known mistake: {mistake.name}. {mistake.hint}"
    looks = pattern(verdict, question.cases[case].arguments)
    return f"your {name}: {looks}" if looks else ""


def _problem(answer: dict[str, Any], case: GradedCase) -> str:
    """Why there is nothing to judge."""
    if "lost" in answer:
        return str(answer["lost"])
    error = answer.get("error")
    if isinstance(error, dict):
        return told(error)
    names = ", ".join(changed(case.arguments, answer.get("after")))
    return f"your code changed its argument {names} in place; work on a copy" if names else ""


def told(error: dict[str, Any]) -> str:
    """An exception as text, with the student's own line."""
    text = f"{str(error.get('type'))[:100]}: {str(error.get('text'))[:500]}"
    if error.get("where"):
        text += f"\n  {str(error['where'])[:50]}, line {error.get('line')}"
        if error.get("source"):
            text += f": {str(error['source'])[:200]}"
    return text
