"""All mechanical mutants of all questions, judged by several processes; a run can be resumed.

`mutants` makes them, `judging` judges each. What was found is kept in a file by the question's
digest and the mutant's source, so that only what changed is judged again.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Lock

from minires.coursework.assignment import find_assignments, load_assignment
from minires.coursework.bundle import make_bundle
from minires.coursework.mutation.judging import PASSES, Judge, Judgement
from minires.coursework.mutation.mutants import Mutant, mutants
from minires.coursework.mutation.notes import Note, matched, read_notes
from minires.coursework.mutation.survivors import (
    ENOUGH,
    Judged,
    contradictions,
    report,
    share_killed,
)
from minires.coursework.mutation.survivors import page as page_of
from minires.coursework.question import Draws
from minires.coursework.sandbox.parent import ENVIRONMENT
from minires.files import atomic_write, read_small, refuse_pipe
from minires.progress_bar import bar

LARGEST = 1 << 26
"""Bytes of a file with results."""

BATCH = 25
"""So many mutants are tried in one process."""


class Results:
    """What was found in this run and in earlier ones, in a file.

    Parameters
    ----------
    path : Path or None
        None keeps nothing.

    Raises
    ------
    ValueError, OSError
        If there is a file that holds something else, or cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self._lock, self._saved = path, Lock(), time.monotonic()
        self._found: dict[str, dict[str, str]] = {}
        if path is not None and path.exists():
            refuse_pipe(path)
            try:
                data = json.loads(read_small(path, LARGEST))
                self._found = {key: asdict(Judgement(**v)) for key, v in data["mutants"].items()}
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise ValueError(f"{path} holds no results of mutants: {error}") from error

    def get(self, key: str) -> Judgement | None:
        """What was found earlier."""
        found = self._found.get(key)
        return None if found is None else Judgement(**found)

    def put(self, key: str, judgement: Judgement) -> None:
        """Keep; the file is written now and then."""
        with self._lock:
            self._found[key] = asdict(judgement)
            if time.monotonic() - self._saved > 5:
                self._save()

    def save(self) -> None:
        """Write the file."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self.path is not None:
            text = json.dumps({"mutants": self._found}, indent=0, sort_keys=True)
            with atomic_write(self.path) as file:
                file.write(text.encode() + b"\n")
        self._saved = time.monotonic()


@dataclass(frozen=True)
class Work:
    """The mutants of a question that are to be judged.

    Attributes
    ----------
    folder : Path
        The assignment's.
    question : str
    digest : str
        Of all that decides about the question's points.
    mutants : list of Mutant
    notes : dict of Note
        By a mutant's key.
    """

    folder: Path
    question: str
    digest: str
    mutants: list[Mutant]
    notes: dict[str, Note]


def works(
    folder: Path | None, assignment: str | None, question: str | None, seed: int
) -> list[Work]:
    """All that may be judged, of one assignment or question where these are named.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    places = find_assignments(folder)
    if assignment is not None and assignment not in places:
        raise ValueError(f"no assignment {assignment!r}, only {', '.join(places)}")
    found = []
    for name, place in places.items():
        if assignment in (None, name):
            loaded, notes = load_assignment(place), read_notes(place)
            every = {one: mutants(loaded.solution(one)) for one in loaded.questions}
            known = matched(notes, every)
            digests = make_bundle(loaded, seed).question_digests
            found += [
                Work(place, one, digests[one].hex()[:16], every[one], known[one])
                for one in loaded.questions
                if question in (None, one)
            ]
    if not found:
        raise ValueError(f"no question {question!r}")
    return found


def sampled(every: Sequence[Work], count: int, seed: int) -> list[Work]:
    """So many mutants of all, at most, drawn by a seed."""
    pairs = [(i, mutant) for i, work in enumerate(every) for mutant in work.mutants]
    draw = Draws.keyed("mutants", seed)
    ranks = draw.integers(len(pairs), below=1 << 62)
    chosen = {pairs[int(k)][1] for k in ranks.argsort(kind="stable")[:count]}
    return [replace(w, mutants=[m for m in w.mutants if m in chosen]) for w in every]


def run(
    every: Sequence[Work],
    *,
    seed: int,
    inputs: int,
    jobs: int,
    results: Results,
    progress: Callable[[], None] = lambda: None,
) -> list[Judged]:
    """Judge all mutants that no earlier run judged; the order is that of the questions."""
    from concurrent.futures import ProcessPoolExecutor  # which a browser has not

    def key(work: Work, mutant: Mutant) -> str:
        return f"{work.digest}-{inputs}-{mutant.key}"

    stopped = Event()

    def undecided(work: Work, mutant: Mutant) -> bool:
        judgement = results.get(key(work, mutant))
        return judgement is None or (judgement.verdict == PASSES and mutant.key not in work.notes)

    def judge(work: Work) -> None:
        todo = [mutant for mutant in work.mutants if undecided(work, mutant)]
        for _ in range(len(work.mutants) - len(todo)):
            progress()
        if not todo or stopped.is_set():
            return
        start = (work.folder, work.question, seed, inputs)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context, initializer=_no_interrupt) as worker:
            for several in batched(todo, BATCH):
                verdicts = worker.submit(_by_tests, *start, several).result()
                for mutant, verdict in zip(several, verdicts, strict=True):
                    if stopped.is_set():
                        return
                    if verdict.verdict == PASSES and mutant.key not in work.notes:
                        verdict = worker.submit(_by_drawn_inputs, *start, mutant).result()
                    results.put(key(work, mutant), verdict)
                    progress()

    with one_thread_each(), ThreadPoolExecutor(jobs) as pool:
        try:
            list(pool.map(judge, sorted(every, key=lambda work: -len(work.mutants))))
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            results.save()
    found = []
    for work in every:
        for mutant in work.mutants:
            judgement = results.get(key(work, mutant))
            assert judgement is not None
            found.append(
                Judged(
                    work.folder.name, work.question, mutant, judgement, work.notes.get(mutant.key)
                )
            )
    return found


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile reckon with one thread, as a student's child does."""
    names = [name for name in ENVIRONMENT if name.endswith("_NUM_THREADS")]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _no_interrupt() -> None:
    """In a worker: whoever started it ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.lru_cache(maxsize=1)
def _judge(folder: Path, question: str, seed: int, inputs: int) -> Judge:
    return Judge(folder, question, seed, inputs)


def _by_tests(
    folder: Path, question: str, seed: int, inputs: int, several: list[Mutant]
) -> list[Judgement]:
    """In a worker."""
    return _judge(folder, question, seed, inputs).by_tests(several)


def _by_drawn_inputs(
    folder: Path, question: str, seed: int, inputs: int, mutant: Mutant
) -> Judgement:
    """In a worker."""
    return _judge(folder, question, seed, inputs).by_drawn_inputs(mutant)


def batched(items: Sequence[Mutant], size: int) -> Iterator[list[Mutant]]:
    """Runs of so many, the last one shorter."""
    for i in range(0, len(items), size):
        yield list(items[i : i + size])


def judge_mechanical(
    source: Path | None,
    assignment: str | None,
    question: str | None,
    *,
    jobs: int,
    sample: int | None,
    seed: int,
    inputs: int,
    results: Path | None,
    page: Path | None,
) -> int:
    """The command: see `command.mutants_command`."""
    if not sys.platform.startswith("linux"):
        raise ValueError(f"mutants may loop and take memory: that needs Linux, not {sys.platform}")
    kept = Results(results)
    kept.save()
    every = works(source, assignment, question, seed)
    if sample is not None:
        every = sampled(every, sample, seed)
    with bar(total=sum(len(work.mutants) for work in every), unit="mutant") as shown:
        found = run(every, seed=seed, inputs=inputs, jobs=jobs, results=kept, progress=shown.update)
    print(report(found))
    if page is not None:
        with atomic_write(page) as file:
            file.write(page_of(found, seed, inputs).encode())
    return 0 if share_killed(found) >= ENOUGH and not contradictions(found) else 1
