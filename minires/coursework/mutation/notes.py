"""What authors know of mutants that no test kills: a table beside the assignment.

mutants.toml, with an entry for each:

    [[unbroadcast]]                                  # the question
    before = "return g.sum(axis=stretched)"          # the lines that the mutant changes
    after = "return g.sum(axis=stretched, initial=0)"
    equal = "a sum starts from 0 anyhow"             # a proof; or `accepted`, a reason to let it be
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minires.coursework.mutation.mutants import Mutant

FILE = "mutants.toml"


@dataclass(frozen=True)
class Note:
    """An entry.

    Attributes
    ----------
    question, before, after : str
        Which mutant it is.
    equivalent : bool
        False for a mistake that no test is to find.
    why : str
    """

    question: str
    before: str
    after: str
    equivalent: bool
    why: str


def read_notes(folder: Path) -> list[Note]:
    """The entries of an assignment, none where there is no file.

    Raises
    ------
    ValueError
        If the file is not as it should be.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return [_note(name, entry) for name, entries in tables.items() for entry in entries]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _note(question: str, entry: dict[str, Any]) -> Note:
    kinds = [kind for kind in ("equal", "accepted") if entry.get(kind)]
    if set(entry) != {"before", "after", *kinds} or len(kinds) != 1:
        raise ValueError(
            f"an entry of {question} needs before, after, and either equal or accepted: {entry}"
        )
    return Note(question, entry["before"], entry["after"], kinds[0] == "equal", entry[kinds[0]])


def matched(notes: list[Note], every: dict[str, list[Mutant]]) -> dict[str, dict[str, Note]]:
    """For each question, the notes by their mutants' keys.

    Raises
    ------
    ValueError
        If a note goes with no mutant, as after a change of the solution, or with several.
    """
    found: dict[str, dict[str, Note]] = {question: {} for question in every}
    for note in notes:
        mine = [
            mutant.key
            for mutant in every.get(note.question, [])
            if (mutant.before, mutant.after) == (note.before.strip(), note.after.strip())
        ]
        if len(mine) != 1:
            raise ValueError(
                f"{FILE}: {len(mine)} mutants of {note.question} have {note.after!r} in the place "
                f"of {note.before!r}, one is wanted"
            )
        found[note.question][mine[0]] = note
    return found
