"""The report on answers that are alike, as text and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minires.coursework.csv_output import as_csv
from minires.coursework.similarity.pairs import FEWEST, SHORT, Pair, Shared, Usual
from minires.markup import aligned
from minires.text import bounded

HINT = """\
A hint, never a verdict: whoever learnt from one lecture, book or tutor writes alike. Read both
answers, and talk to both authors, before you conclude anything."""
RARE = "rare fragments: pieces of code that three answers have at most, or a twentieth of the class"
SOLUTION = "the public solution"
"""Which is compared too, where the assignments' sources are at hand."""
MOST_LINES = 20


def usual_table(head: str, usual: Sequence[Usual]) -> str:
    """What is usual for each question of an assignment."""
    rows = [
        ["question", "answers", "fragments", "usually in common", "one and the same"],
        *(
            [
                one.question,
                str(one.answers),
                f"{one.fragments:g}",
                "unknown" if one.share is None else f"{one.share:.0%}",
                f"{one.equal} answers" if one.equal > 1 else "none",
            ]
            for one in usual
        ),
    ]
    lines = aligned(rows)
    lines.insert(1, "-" * max(map(len, lines)))
    short = [one.question for one in usual if one.answers and one.short]
    if short:
        lines.append(
            f"short, below {SHORT} fragments, so it says little if two are alike: "
            + ", ".join(short)
        )
    few = [one.question for one in usual if one.share is None]
    if few:
        names = "any question" if len(few) == len(usual) else ", ".join(few)
        lines.append(f"fewer than {FEWEST} answers, so nobody can say what is usual, for {names}")
    return "\n".join([head, "", *lines])


def identical_text(groups: Sequence[Sequence[str]]) -> str:
    """Who handed in the same to the letter."""
    lines = [bounded(", ".join(bounded(name, 60) for name in group), 300) for group in groups]
    more = [f"and {len(lines) - MOST_LINES} more groups"] if len(lines) > MOST_LINES else []
    head = "the same code to the letter, names and comments too:"
    return "\n  ".join([head, *lines[:MOST_LINES], *more]) if lines else ""


def pairs_text(pairs: Sequence[Pair], most: int, same: str = "") -> str:
    """The most striking pairs, below what there is to say of those that are the `same`."""
    if not pairs:
        other = "no other two" if same else "no two"
        return f"{other} submissions have more in common than usual"
    lines = [f"more in common than usual: {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}"]
    for pair in pairs[:most]:
        count = len(pair.questions)
        names = f"{bounded(pair.student, 60)} and {bounded(pair.other, 60)}"
        rare = f", {pair.rare} rare fragments" if count > 1 else ""
        lines.append(f"  {names}: {count} question{'s' if count > 1 else ''}{rare}")
        lines += [f"    {_shared(one)}" for one in pair.questions]
    if len(pairs) > most:
        lines.append(f"  and {len(pairs) - most} more: --most N shows more, --out FILE.csv has all")
    return "\n".join([*lines, RARE])


def _shared(one: Shared) -> str:
    usual = "" if one.usual.share is None else f" (usually {one.usual.share:.0%})"
    short = "; a short answer" if one.usual.short else ""
    return f"{one.usual.question}: {one.share:.0%}{usual}, {one.rare} rare fragments{short}"


def unread_text(unread: Mapping[str, Sequence[str]]) -> str:
    """What could not be compared, by student."""
    lines = [
        f"  {bounded(student, 60)}: {bounded('; '.join(why), 200)}"
        for student, why in unread.items()
        if why
    ]
    more = [f"  and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return "\n".join(["not compared:", *lines[:MOST_LINES], *more]) if lines else ""


def pairs_csv(by_assignment: Mapping[str, Sequence[Pair]]) -> str:
    """A row a pair and question."""
    head = ["assignment", "student", "other", "question", "in common", "usually in common"]
    rows: list[list[object]] = [[*head, "rare fragments", "answers", "this is"]]
    for name, pairs in by_assignment.items():
        for pair in pairs:
            for one in pair.questions:
                usual = "" if one.usual.share is None else round(one.usual.share, 4)
                row = [name, pair.student, pair.other, one.usual.question, round(one.share, 4)]
                hint = "a hint, never a verdict"
                rows.append([*row, usual, one.rare, one.usual.answers, hint])
    return as_csv(rows)
