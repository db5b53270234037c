"""`minires coursework statistics`: what a class's work says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minires.coursework.outputs import write_csv
from minires.coursework.result import file_name
from minires.coursework.statistics import readable, statistics
from minires.coursework.statistics_outputs import (
    MEANING,
    mistakes_csv,
    questions_csv,
    table,
    write_picture,
)
from minires.coursework.store import FOLDER, Store


def statistics_command(
    folder: Annotated[Path, typer.Argument(help="What `minires grade --out` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write. [default: FOLDER/statistics]"),
    ] = None,
) -> None:
    """Say how hard each question was, what it tells apart, and which mistakes were frequent.

    Counted are the points as graded. Written are questions.csv, mistakes.csv and, for each
    assignment, a picture.
    """
    if not (folder / FOLDER).is_dir():
        raise ValueError(
            f"{folder} holds no graded work: name the folder that minires grade --out wrote"
        )
    store = Store(folder)
    out = folder / "statistics" if out is None else out
    everything, shown = [], []
    for name in store.assignments():
        results = store.of(name)
        if not readable(results):
            shown.append(f"{name}: nothing that was handed in could be read")
            continue
        found = statistics(results)
        if not found:
            shown.append(f"{name}: the grader failed on all of it: grade it again")
            continue
        everything += found
        shown.append(table(results, found))
        title = f"{results[0].title}: {len(readable(results))} graded"
        write_picture(out / f"{file_name(name)}.png", title, found)
    shown += [f"{path} is damaged and was not read" for path in store.damaged]
    if not everything:
        raise ValueError("; ".join(shown) or f"{folder} holds no results")
    write_csv(out / "questions.csv", questions_csv(everything))
    write_csv(out / "mistakes.csv", mistakes_csv(everything))
    print("\n\n".join([*shown, MEANING]))
    names = dict.fromkeys(one.assignment for one in everything)
    pictures = ", ".join(f"{file_name(name)}.png" for name in names)
    print(f"written: {out}/questions.csv, mistakes.csv, {pictures}")
