"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks.results import Results
from minires.bench import compare, peak_memory
from minires.bench.machine import describe
from minires.bench.measure import OURS, PYTORCH
from minires.bench.report import Figure, Row, surroundings, table
from minires.bench.workloads import NETWORKS, Workload


def main(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Just this; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Bursts of each library.", min=1)] = 10,
    seconds: Annotated[float, typer.Option(metavar="X", help="How long a burst is.")] = 0.3,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures here, into older ones.")
    ] = None,
) -> None:
    """Measure minires and PyTorch in turns, and show a table."""
    names = [w.name for w in NETWORKS]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"no {', '.join(unknown)}: there are {', '.join(names)}")
    chosen = [w for w in NETWORKS if not only or w.name in only]
    results = Results.read(json) if json and json.exists() else Results()
    results.machine = describe()
    for workload in chosen:
        row = _measure(workload, rounds, seconds, results)
        results.add([row], datetime.now(UTC).isoformat(timespec="seconds"))
        if json:
            results.write(json)
    print(surroundings(results.machine, results.contestants))
    print()
    print(table([results.rows[w.name] for w in chosen]))


def _measure(workload: Workload, rounds: int, seconds: float, results: Results) -> Row:
    contestants, task = [OURS, *PYTORCH], workload.task
    if workload.memory:
        figures = {}
        for c in tqdm(contestants, desc=task.name, leave=False, disable=None):
            peak = peak_memory(task, c)
            figures[c.name] = Figure(peak, peak, peak, 1)
    else:
        with tqdm(total=rounds, desc=task.name, leave=False, disable=None) as bar:
            (measured,) = compare(
                [task], contestants, rounds=rounds, seconds=seconds, progress=bar.update
            )
        figures = {name: Figure.of(timing) for name, timing in measured.timings.items()}
        results.contestants |= {name: t.about for name, t in measured.timings.items()}
    return Row.of(workload, figures)


if __name__ == "__main__":
    typer.run(main)
