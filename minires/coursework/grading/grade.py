"""Grade one submission: each question in a child of its own, judged here."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minires.coursework.answers.compare import RTOL_FLOAT32, Verdict, changed, compare, described
from minires.coursework.bundle import Bundle, GradedCase, GradedQuestion, outputs_of, task_of
from minires.coursework.cells import MAX_FILE, Cell, SubmissionError, read_submission, runnable
from minires.coursework.grading.discretion import without_text, without_texts
from minires.coursework.grading.feedback import (
    exchanged,
    heat_maps,
    other_shape,
    pattern,
    recognised,
)
from minires.coursework.result import (
    FAILED,
    KNOWN_MISTAKE,
    CaseResult,
    OutputResult,
    QuestionResult,
    Result,
)
from minires.coursework.sandbox.parent import TIMED_OUT, Child, ChildLost

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
    content = content_key(path)
    try:
        cells, problem = read_submission(path), ""
    except (SubmissionError, OSError) as error:
        cells, problem = [], str(error)
    results = []
    for question in chosen:
        if problem:
            result = unread(question, problem)
        else:
            try:
                result = grade_question(question, bundle.given, cells, sandboxed=sandboxed)
            except Exception as error:  # of the grader's own: the other questions count
                results.append(unread(question, _failed(error)))
                continue
        results.append(replace(result, key=question_key(content, bundle, question.name)))
    return Result(student, bundle.assignment, bundle.title, results, problem, content)


def failed_file(student: str, bundle: Bundle, error: BaseException) -> Result:
    """The result where the grader itself failed, which the next run tries again."""
    results = [unread(question, _failed(error)) for question in bundle.questions]
    return Result(student, bundle.assignment, bundle.title, results, _failed(error))


def content_key(path: Path) -> str:
    """A hash of a submission's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(MAX_FILE + 1)).hexdigest()
    except OSError:
        return "unreadable"


def question_key(content: str, bundle: Bundle, question: str) -> str:
    """A hash of a submission's content and of a question: equal keys, equal results."""
    hashed = hashlib.sha256(bundle.question_digests[question])
    hashed.update(content.encode())
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
    results = judge(question, answers)
    hints = dict.fromkeys(o.hint for case in results for o in case.outputs if o.hint)
    if not all(case.passed for case in results):
        hints |= dict.fromkeys(left_out(answers, results))
    if question.own_parts() and not all(case.passed for case in results):
        own = ", ".join(question.own_parts())
        hints[f"{question.name} builds on {own}: here on yours; graded, on right ones"] = None
    return QuestionResult(
        question.name,
        question.points,
        math.fsum(case.earned for case in results),
        results,
        list(hints),
        printed,
        round(time.monotonic() - begin, 3),
    )


def judge(question: GradedQuestion, answers: Sequence[dict[str, Any]]) -> list[CaseResult]:
    """What each case's answer earns; an answer may be anything that a child can send.

    Where judging an answer fails, that case has no points and says why, and the others have theirs.
    """
    answers = [
        answer if case.visible else without_texts(answer)
        for case, answer in zip(question.cases, answers, strict=True)
    ]
    values = [
        outputs_of(answer["result"], len(question.returns)) if "result" in answer else None
        for answer in answers
    ]
    results = []
    with np.errstate(all="ignore"):
        for i, (case, answer) in enumerate(zip(question.cases, answers, strict=True)):
            try:
                result = _case_result(question, case, i, answer, values)
            except Exception as error:  # of the grader's own, which must not cost anybody else
                worth = points(question, case)
                result = CaseResult(case.name, case.visible, worth, 0.0, _failed(error))
            results.append(result)
    return results


def _failed(error: BaseException) -> str:
    return f"{FAILED}{type(error).__name__}: {str(error)[:500]}"


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
    """An answer for each case, and what was printed; a child that is lost loses only its case.

    Hidden cases come last: from the first of them on, nothing that is printed is kept.
    """
    task = task_of(question, given.values(), runnable(cells, question.name))
    wall = WALL * question.seconds
    cases = sorted(enumerate(question.cases), key=lambda pair: not pair[1].visible)
    answers: list[dict[str, Any]] = []
    printed = b""
    while len(answers) < len(cases):
        with Child(task, question.seconds, wall, question.limits, sandboxed) as process:
            try:
                process.start()
                while len(answers) < len(cases):
                    case = cases[len(answers)][1]
                    if not case.visible:
                        process.mute()
                    answers.append(process.ask(case.arguments))
            except ChildLost as lost:
                answers.append({"lost": str(lost)})
                if lost.timed_out:
                    missed = {"lost": f"{TIMED_OUT}: not run, since the question's time was over"}
                    answers += [missed] * (len(cases) - len(answers))
        printed = printed or process.log
    in_order = dict(zip((i for i, _ in cases), answers, strict=True))
    return [in_order[i] for i in range(len(cases))], printed.decode(errors="replace")


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
            f"you returned {described(without_text(answer.get('result')))}, wanted are "
            f"{len(question.returns)} values: {names}"
        )
    if problem or values is None:
        return CaseResult(case.name, case.visible, worth, 0.0, problem)
    outputs = []
    rtol = max(question.rtol, RTOL_FLOAT32 if answer.get("float32") is True else 0.0)
    for i, name in enumerate(question.returns):
        verdict = compare(values[i], case.expected[i], rtol)
        hint, pictures = "", {}
        if verdict.text:
            with suppress(Exception):  # a hint that cannot be found is none
                hint = _hint(question, answers, number, i, name, verdict)
            with suppress(Exception):
                pictures = heat_maps(verdict)
            if not case.visible:
                shown = compare(without_text(values[i]), case.expected[i], rtol)
                verdict = replace(verdict, text=shown.text or verdict.text)
        outputs.append(OutputResult(name, verdict.share, verdict.text, hint, pictures))
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
        return f"your {name}{KNOWN_MISTAKE}{mistake.name}. {mistake.hint}"
    values, graded = answers[case], question.cases[case]
    assert values is not None
    looks = (
        exchanged(question, values, graded.expected, output)
        or other_shape(values[output], graded.expected[output], question.rtol)
        or pattern(verdict, graded.arguments)
    )
    return f"your {name}: {looks}" if looks else ""


def is_right(question: GradedQuestion, case: GradedCase, answer: dict[str, Any]) -> bool:
    """Whether an answer has all points of a case; no more is found out, which is fast."""
    values = outputs_of(answer.get("result"), len(question.returns))
    if values is None or _problem(answer, case):
        return False
    pairs = zip(values, case.expected, strict=True)
    return all(compare(got, expected, question.rtol).share == 1 for got, expected in pairs)


def _problem(answer: dict[str, Any], case: GradedCase) -> str:
    """Why there is nothing to judge."""
    if "lost" in answer:
        return _short(answer["lost"], 1000)
    error = answer.get("error")
    if isinstance(error, dict):
        return told(error)
    names = ", ".join(_short(n, 50) for n in changed(case.arguments, answer.get("after"))[:5])
    return f"your code changed its argument {names} in place; work on a copy" if names else ""


def left_out(answers: Sequence[dict[str, Any]], results: Sequence[CaseResult]) -> list[str]:
    """What of the submission did not run, and why, where no case says so."""
    said = "".join(case.text for case in results)
    found = {}
    for answer in answers:
        errors = answer.get("left_out")
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict) and (text := told(error)) not in said:
                found[text] = f"not run: {text.replace(chr(10), ';')}"
    return list(found.values())[:5]


def told(error: dict[str, Any]) -> str:
    """An exception as text, with the student's own line."""
    told = {key: v for key, v in error.items() if isinstance(v, str | int)}  # whatever was sent
    text = _short(told.get("type"), 100)
    if told.get("text"):
        text += f": {_short(told['text'], 500)}"
    if told.get("where"):
        text += f"\n  {_short(told['where'], 50)}, line {_short(told.get('line'), 10)}"
        if told.get("source"):
            text += f": {_short(told['source'], 200)}"
    return text


def _short(value: Any, most: int) -> str:
    try:
        return str(value)[:most]
    except ValueError:  # a whole number of many digits
        return "?"
