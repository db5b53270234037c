"""`python -m benchmarks.distributed`: see `--help`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.distributed import pages
from benchmarks.distributed.pages import SETUPS, WORK, Setup, Work
from minires import __version__
from minires.bench.machine import describe
from minires.files import atomic_write


def main(
    rounds: Annotated[int, typer.Option(help="How often each set-up has its turn.")] = 7,
    steps: Annotated[int, typer.Option(help="Training steps a turn.")] = 6,
    tiny: Annotated[bool, typer.Option(help="At a size that shows only whether it runs.")] = False,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = pages.RESULTS,
    show: Annotated[
        bool, typer.Option("--pages", help="Measure nothing: write the pages anew.")
    ] = False,
) -> None:
    """Time training steps on ranks and threads, which take turns, for two networks."""
    if not show:
        work = [Work("resnet8", 8, 8)] if tiny else WORK
        found: dict[str, Any] = {
            "machine": describe(),
            "versions": {"minires": __version__, "NumPy": np.__version__, "MPI": _mpi()},
            "load before": [round(x, 1) for x in os.getloadavg()],
            "steps a turn": 2 if tiny else steps,
            "rounds": {},
        }
        for one in work:
            rows: dict[str, list[dict[str, float]]] = {setup.name: [] for setup in SETUPS}
            for number in range(1 if tiny else rounds):
                for setup in SETUPS:
                    rows[setup.name].append(turn(one, setup, found["steps a turn"]))
                print(f"{one.name}: round {number + 1}", flush=True)
            found["rounds"][one.name] = rows
        found["load after"] = [round(x, 1) for x in os.getloadavg()]
        with atomic_write(out) as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())
        print(pages.speed_table(found))
    if out == pages.RESULTS:
        pages.write_all()


def turn(work: Work, setup: Setup, steps: int) -> dict[str, float]:
    """What a step takes, and the sum in it, in processes that are started for it."""
    command = [_mpirun(), "-n", setup.ranks, sys.executable, "-m", "benchmarks.distributed.worker"]
    options = [work.network, work.side, work.batch, setup.threads, setup.how, steps]
    done = subprocess.run(
        [*map(str, [*command, *options])], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _mpirun() -> str:
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise ValueError("there is no mpirun: pip install 'minires[mpi]'")
    return found


def _mpi() -> str:
    code = "from mpi4py import MPI; v = MPI.get_vendor(); print(v[0], '.'.join(map(str, v[1])))"
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except (ValueError, OSError) as error:
        raise SystemExit(f"benchmarks.distributed: {error}") from None
