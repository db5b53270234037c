"""All mechanical mutants of all questions, judged by several processes; a run can be resumed.

`mutants` makes them, `judging` judges each. What was found is kept in a file by the question's
digest and the mutant's source, so that only what changed is judged again.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock

from minires.coursework.assignment import find_assignments, load_assignment
from minires.coursework.bundle import make_bundle
from minires.coursework.judging import EQUIVALENT, KILLED, PASSES, SURVIVES, Judge, Judgement
from minires.coursework.mutants import Mutant, mutants
from minires.coursework.notes import Note, matched, read_notes
from minires.coursework.question import Draws
from minires.files import atomic_write

ENOUGH = 0.99
"""The share of mutants that are not equivalent that must lose points."""

PROVED = "proved"

BATCH = 25
"""So many mutants are tried in one process."""


@dataclass(frozen=True)
class Judged:
    """A mutant and what became of it."""

    assignment: str
    question: str
    mutant: Mutant
    judgement: Judgement
    note: Note | None

    @property
    def kind(self) -> str:
        """The column of the table that it counts in."""
        if self.note is None or self.judgement.verdict == KILLED:
            return self.judgement.verdict
        return PROVED if self.note.equivalent else SURVIVES

    @property
    def why(self) -> str:
        """Why it survives, or is no mistake."""
        return self.judgement.why if self.note is None else self.note.why


class Results:
    """What was found in this run and in earlier ones, in a file.

    Parameters
    ----------
    path : Path or None
        None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self._lock, self._saved = path, Lock(), time.monotonic()
        self._found: dict[str, dict[str, str]] = {}
        if path is not None and path.exists():
            try:
                self._found = dict(json.loads(path.read_text(encoding="utf-8"))["mutants"])
            except (ValueError, TypeError, KeyError) as error:
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

    def key(work: Work, mutant: Mutant) -> str:
        return f"{work.digest}-{inputs}-{mutant.key}"

    def undecided(work: Work, mutant: Mutant) -> bool:
        judgement = results.get(key(work, mutant))
        return judgement is None or (judgement.verdict == PASSES and mutant.key not in work.notes)

    def judge(work: Work) -> None:
        todo = [mutant for mutant in work.mutants if undecided(work, mutant)]
        for _ in range(len(work.mutants) - len(todo)):
            progress()
        if not todo:
            return
        start = (work.folder, work.question, seed, inputs)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as worker:
            for several in batched(todo, BATCH):
                verdicts = worker.submit(_by_tests, *start, several).result()
                for mutant, verdict in zip(several, verdicts, strict=True):
                    if verdict.verdict == PASSES and mutant.key not in work.notes:
                        verdict = worker.submit(_by_drawn_inputs, *start, mutant).result()
                    results.put(key(work, mutant), verdict)
                    progress()

    with ThreadPoolExecutor(jobs) as pool:
        try:
            list(pool.map(judge, sorted(every, key=lambda work: -len(work.mutants))))
        finally:
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


def share_killed(found: Sequence[Judged]) -> float:
    """Of those that are not equivalent."""
    counts = Counter(one.kind for one in found)
    return counts[KILLED] / ((counts[KILLED] + counts[SURVIVES]) or 1)


def contradictions(found: Sequence[Judged]) -> list[str]:
    """Mutants that lose points though a note says that they cannot, or do not."""
    return [
        f"{one.assignment}, {one.question}: {one.mutant} is noted and yet loses points, by "
        f"{one.judgement.why!r}"
        for one in found
        if one.note is not None and one.judgement.verdict == KILLED
    ]


def report(found: Sequence[Judged]) -> str:
    """A table by question in Markdown, then every survivor."""
    rows: list[tuple[str, ...]] = [
        ("question", "mutants", "killed", "equal on drawn inputs", "proved equal", "survive"),
        ("---", *["--:"] * 5),
    ]
    for name in dict.fromkeys((one.assignment, one.question) for one in found):
        mine = [one for one in found if (one.assignment, one.question) == name]
        rows.append((f"{name[0]}: {name[1]}", *_counts(mine)))
    rows.append(("all", *_counts(found)))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"{share_killed(found):.2%} of those that are not equivalent lose points.", ""]
    lines += [
        f"- {one.assignment}, {one.question}: {one.mutant} ({one.why})"
        for one in found
        if one.kind == SURVIVES
    ]
    return "\n".join([*lines, *contradictions(found)])


def _counts(found: Sequence[Judged]) -> tuple[str, ...]:
    counts = Counter(one.kind for one in found)
    return (str(len(found)), *(str(counts[v]) for v in (KILLED, EQUIVALENT, PROVED, SURVIVES)))
