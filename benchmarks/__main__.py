"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks.report import surroundings, table
from benchmarks.results import Figure, Results, Row
from benchmarks.workloads import NETWORKS, Workload
from minires.bench import compare, peak_memory
from minires.bench.machine import describe
from minires.bench.measure import OURS, PYTORCH


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
    names = [w.task.name for w in NETWORKS]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"no {', '.join(unknown)}: there are {', '.join(names)}")
    chosen = [w for w in NETWORKS if not only or w.task.name in only]
    results = Results.read(json) if json and json.exists() else Results()
    results.machine = describe()
    for workload in chosen:
        row = _measure(workload, rounds, seconds, results)
        results.add([row], datetime.now(UTC).isoformat(timespec="seconds"))
        if json:
            results.write(json)
    print(surroundings(results))
    print()
    print(table([results.rows[w.task.name] for w in chosen]))


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
    unit = "bytes" if workload.memory else "s"
    return Row(task.name, workload.words, unit, figures, workload.at_most, workload.aim)


if __name__ == "__main__":
    typer.run(main)
