"""`minires coursework marks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minires.coursework.grading.store import Store
from minires.coursework.marks.identifiers import Identifiers, require_known, require_one_kind
from minires.coursework.marks.publish import published, read_left_out, rules_of
from minires.coursework.submissions.roster import read_roster
from minires.locks import hold

RosterOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Who is in the class: name who is missing."),
]
AnonymousOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write identifiers in the place of names; DIR is the course's `instructor` folder, "
        "whose secret seed makes them and where identifiers.csv tells who is who.",
        show_default=False,
    ),
]


def marks_command(
    graded: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where `minires grade --out` keeps results.")
    ],
    roster: RosterOption = None,
    anonymous: AnonymousOption = None,
) -> int:
    """Make tables and feedback anew from stored results and your own rules; nothing is graded.

    The exit code is 1 if a stored result is damaged.

    Rules are files in DIR that you write, all optional. `minires grade --out DIR`
    follows them too.

    adjustments.csv: student, question, points (plus or minus), comment;
    for the whole assignment without a question

    extensions.csv: student, due

    times.csv: student, submitted; where files do not tell the time

    course.toml: dates, penalties, and what questions count now:

        zone = "Europe/Berlin"     # by default this computer's
        [04_batch_norm]
        due = "2026-10-01 23:59"
        penalty = "10% per day"    # or "2 points per hour, at most 50%"
        [04_batch_norm.points]
        batch_norm_train = 6
    """
    people = None if roster is None else read_roster(roster)
    identifiers = None if anonymous is None else Identifiers(anonymous)
    if not graded.is_dir():
        raise ValueError(f"{graded} is no folder; `minires grade --out {graded}` writes one")
    with hold(graded):
        store = Store(graded)
        if not store.assignments():
            raise ValueError(f"{graded} holds no results; `minires grade --out` writes them")
        require_one_kind(store, identifiers)
        require_known(store, identifiers)
        private = graded if identifiers is None else identifiers.folder
        left_out = read_left_out(private / "not_graded.csv")
        rules = rules_of(graded, store, identifiers, roster=people, left_out=left_out)
        found = published(store, rules, people, identifiers, left_out)
        found.write(graded)
    damaged = (f"{path} is damaged and was not read" for path in store.damaged)
    print("\n\n".join(text for text in (*found.texts(), *damaged) if text))
    print(found.written(graded))
    return 1 if store.damaged else 0
