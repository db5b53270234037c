"""`minires checkup`: a training in somebody's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minires.checks.run import checkup
from minires.checks.setup import SetupError
from minires.files import atomic_write
from minires.gradcheck.own_file import run_file, told


def checkup_command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py[:FUNCTION]",
            help="A file of yours, whose code is run, and in it the function without arguments "
            "that gives a fresh minires.Setup: make, if it is not named.",
        ),
    ],
    seconds: Annotated[float, typer.Option(help="About how long it may take.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
) -> int:
    """Check a training that does not learn, or is about to begin; exit code 1 if one is broken."""
    place, _, name = target.replace("::", ":").rpartition(":")
    if not place.endswith(".py"):
        place, name = target, "make"
    path = Path(place)
    make = getattr(run_file(path), name, None)
    if not callable(make):
        raise ValueError(f"{path} defines no function {name!r} that gives a minires.Setup")
    try:
        report = checkup(make, seconds=seconds, seed=seed)
    except (OSError, MemoryError, SetupError):
        raise
    except Exception as error:
        raise ValueError(f"{name}: {told(error, path) or error}") from error
    if html is not None:
        with atomic_write(html) as file:
            file.write(report.to_html().encode())
    print(report.to_json() if json else report)
    if html is not None and not json:
        print(f"written: {html}")
    return 0 if report.ok else 1
