"""Grade many submissions: in parallel, and so that a run that was cut off goes on where it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from minires.coursework.bundle import Bundle
from minires.coursework.grading.grade import content_key, failed_file, grade_file, question_key
from minires.coursework.grading.store import Store
from minires.coursework.result import QuestionResult, Result
from minires.coursework.submissions.collect import Submission
from minires.coursework.submissions.platforms import FILE_TIME


def grade_all(
    submissions: Sequence[Submission],
    bundle: Bundle,
    store: Store,
    *,
    regrade: str | None = None,
    sandboxed: bool = True,
    jobs: int = 1,
) -> Iterator[tuple[Result, Result | None]]:
    """Each submission's result, in order, with the one that was stored before.

    Parameters
    ----------
    submissions : sequence of Submission
    bundle : Bundle
    store : Store
        Where results are kept as they come. A question whose submission and bundle are unchanged is
        not graded again.
    regrade : str, optional
        A question to grade anew in every submission.
    sandboxed : bool
    jobs : int
        Submissions at a time.
    """

    def one(submission: Submission) -> tuple[Result, Result | None]:
        before = store.get(bundle.assignment, submission.student)
        try:
            result = _graded(submission, bundle, before, regrade, sandboxed)
        except Exception as error:  # of the grader's own: it must not cost the others
            result = failed_file(submission.student, bundle, error)
        result = replace(
            result.of(submission),
            file=submission.file,
            submitted=_came(submission, result, before),
            clock=submission.clock,
        ).tidy()
        if result != before:
            store.put(result)
        return result, before

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, submissions)


def _came(submission: Submission, result: Result, before: Result | None) -> str:
    """When it was handed in; of two times of one file the earlier, as a copy is younger."""
    of_file = before is not None and submission.clock == before.clock == FILE_TIME
    if before is not None and of_file and before.key == result.key:
        return min(submission.submitted, before.submitted)
    return submission.submitted


def _graded(
    submission: Submission,
    bundle: Bundle,
    before: Result | None,
    regrade: str | None,
    sandboxed: bool,
) -> Result:
    """A result of which only those questions are graded that are new, changed, or asked for."""
    content = content_key(submission.path)
    kept = _unchanged(before, content, bundle, regrade)
    only = [q.name for q in bundle.questions if q.name not in kept]
    if before is not None and not only:
        return replace(
            before, title=bundle.title, questions=[kept[q.name] for q in bundle.questions]
        )
    result = grade_file(
        submission.path, submission.student, bundle, questions=only, sandboxed=sandboxed
    )
    new = {question.name: question for question in result.questions}
    merged = [new[q.name] if q.name in new else kept[q.name] for q in bundle.questions]
    return replace(result, questions=merged)


def _unchanged(
    before: Result | None, content: str, bundle: Bundle, regrade: str | None
) -> dict[str, QuestionResult]:
    """The earlier results of questions that count still, by name."""
    if before is None or before.key != content:
        return {}
    points = {question.name: question.points for question in bundle.questions}
    return {
        result.name: result.worth(points[result.name])
        for result in before.questions
        if result.name in bundle.question_digests
        and result.key == question_key(content, bundle, result.name)
        and result.name != regrade
        and (result.points or not points[result.name])
    }


def brought_up(store: Store, bundle: Bundle) -> str:
    """Let all stored results of an assignment count what its questions are worth now.

    Returns
    -------
    str
        How many results are of an earlier version of the assignment, empty if none is.
    """
    points = {question.name: question.points for question in bundle.questions}
    earlier = 0
    for result in store.of(bundle.assignment):
        questions = [
            q.worth(points[q.name]) if q.points and q.name in points else q
            for q in result.questions
        ]
        if questions != result.questions:
            store.put(replace(result, questions=questions))
        same = sorted(q.name for q in questions) == sorted(points) and all(
            q.points == points[q.name] and q.key in ("", question_key(result.key, bundle, q.name))
            for q in questions
        )
        earlier += not same
    if not earlier:
        return ""
    whose = "1 student's result is" if earlier == 1 else f"results of {earlier} students are"
    return (
        f"note: {whose} of an earlier version of {bundle.assignment}: grade what "
        "they handed in again"
    )


def not_given(store: Store, assignment: str, given: Sequence[Submission]) -> list[str]:
    """A note for each stored result of somebody who may be renamed or gone.

    Who is not given counts on. A few given late say nothing of the others; most of a class do.
    """
    names = {submission.student for submission in given}
    results = store.of(assignment)
    count = Counter(result.key for result in results)
    now = {result.key: result.student for result in results if result.student in names}
    rest = [result for result in results if result.student not in names]
    remove = f"remove results/{assignment}/{{}}.json to take {{}} out"
    alike = [one for one in rest if one.key in now and count[one.key] == 2]
    same = [one for one in alike if not one.number and not one.unanswered]
    notes = [
        f"{one.student} was not given now and has the content of {now[one.key]}, perhaps under a "
        f"former name: {remove.format(one.file_name, one.student)}"
        for one in same
    ]
    if len(rest) < len(names):
        notes += [
            f"{one.student} was not given now and counts on: "
            f"{remove.format(one.file_name, one.student)}"
            for one in rest
            if one not in same
        ]
    return notes
