"""What became of mechanical mutants, as a table and a list of those that survive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from minires.coursework.mutation.judging import EQUIVALENT, KILLED, SURVIVES, Judgement
from minires.coursework.mutation.mutants import Mutant
from minires.coursework.mutation.notes import Note

ENOUGH = 0.99
"""The share of mutants that are not equivalent that must lose points."""

PROVED = "proved"


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


def page(found: Sequence[Judged], seed: int, inputs: int) -> str:
    """The report as a page of its own."""
    return f"""# Which small changes of a solution keep their points

`minires coursework mutants --mechanical` tries every small change of the solutions of all
questions as if a student had handed it in, on the hidden tests of a course with seed {seed}. One
that keeps all points is compared with the solution on {inputs:,} inputs drawn from the question's
domain (a few where each is a training): it is equal, or the first difference is told. What is
proved equal, and why a survivor is let be, stands in `mutants.toml` beside each assignment.

{report(found)}
"""
