"""Grade many submissions: in parallel, and so that a run that was cut off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from minires.coursework.bundle import Bundle
from minires.coursework.collect import Submission
from minires.coursework.grade import grade_file, key
from minires.coursework.result import Result
from minires.files import atomic_write


def stored(folder: Path | None, submission: Submission) -> Result | None:
    """The result that an earlier run left in a folder."""
    if folder is None:
        return None
    try:
        text = (folder / "results" / f"{submission.file_name}.json").read_text(encoding="utf-8")
        return Result.from_json(json.loads(text))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def store(folder: Path, submission: Submission, result: Result) -> None:
    """Leave a result in a folder, whole or not at all."""
    with atomic_write(folder / "results" / f"{submission.file_name}.json") as file:
        file.write(json.dumps(result.to_json(), indent=1, ensure_ascii=False).encode())


def grade_all(
    submissions: Sequence[Submission],
    bundle: Bundle,
    *,
    out: Path | None = None,
    regrade: str | None = None,
    sandboxed: bool = True,
    jobs: int = 1,
) -> Iterator[tuple[Result, Result | None]]:
    """Each submission's result, in order, with the one that was stored before.

    Parameters
    ----------
    submissions : sequence of Submission
    bundle : Bundle
    out : Path, optional
        Where results are stored as they come; one whose submission and bundle are unchanged is not
        graded again.
    regrade : str, optional
        A question to grade anew in every submission; the others keep their points.
    sandboxed : bool
    jobs : int
        Submissions at a time.
    """

    def one(submission: Submission) -> tuple[Result, Result | None]:
        before = stored(out, submission)
        known = before is not None and before.key == key(submission.path, bundle)
        if before is not None and known and regrade is None:
            return before, before
        only = [regrade] if regrade is not None and before is not None else None
        result = grade_file(
            submission.path, submission.student, bundle, questions=only, sandboxed=sandboxed
        )
        if only is not None and before is not None:
            new = {question.name: question for question in result.questions}
            merged = [new.get(q.name, q) for q in before.questions]
            result = replace(result, questions=merged)
        if out is not None:
            store(out, submission, result)
        return result, before

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, submissions)
