"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from benchmarks import contestants, inference, layers, plot, story
from benchmarks.results import Results
from minires.bench import Contestant, compare, parts, peak_memory
from minires.bench.machine import describe
from minires.bench.measure import ContestantError
from minires.bench.report import Figure, Row
from minires.bench.workloads import NETWORKS, Workload


def main(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Just what fits this, such as 'conv2d*'; repeatable."),
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", help="Bursts of each library.", min=1)] = 7,
    seconds: Annotated[float, typer.Option(metavar="X", help="How long a burst is.", min=0)] = 0.3,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="At a size that shows only whether it runs.")
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the figures here, beside those of earlier runs."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw all figures, such as figures.png.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Measure nothing: show what is in --json FILE.")
    ] = False,
    names: Annotated[bool, typer.Option("--names", help="List what there is to measure.")] = False,
) -> None:
    """Measure minires, PyTorch and others in turns; show tables, keep the figures.

    With no option that is everything: most of an hour on two cores.
    """
    chosen = _choose(only)
    if names:
        print("\n".join(f"{w.name:<40}  {w.words}" for w in chosen))
        return
    results = Results.read(json) if json and json.exists() else Results()
    if not show:
        if tiny:
            # torch.compile takes minutes for a large network, however small its images
            large = ("compiled-resnet18", "compiled-resnet50")
            chosen = [w.tiny() for w in chosen if not w.name.startswith(large)]
            rounds, seconds = 1, 0.0
        results.machine = describe()
        if any(w.name.startswith("compiled-") for w in chosen):
            for name, reason in inference.missing().items():
                print(f"{name} is left out: {reason}")
        _measure(chosen, results, rounds, seconds, json)
    print(results.text([w.name for w in chosen]))
    if picture:
        plot.draw(results).savefig(picture, dpi=110)
        print(f"\ndrawn: {picture}")


def _choose(patterns: list[str] | None) -> list[Workload]:
    everything = [
        *NETWORKS,
        *inference.workloads(),
        contestants.OTHERS,
        *contestants.SETTINGS,
        *layers.limits(),
        *story.workloads(),
        *layers.growth(),
        *layers.layers(),
        *layers.resizing(),
    ]
    for pattern in patterns or ():
        if not any(fnmatchcase(w.name, pattern) for w in everything):
            raise typer.BadParameter(f"nothing is called {pattern}: --names lists what there is")
    return [w for w in everything if not patterns or any(fnmatchcase(w.name, p) for p in patterns)]


def _measure(
    workloads: list[Workload],
    results: Results,
    rounds: int,
    seconds: float,
    path: Path | None,
) -> None:
    """Measure and put the rows into the results, and these into their file, one by one."""

    def who(workload: Workload) -> tuple[str, list[Contestant]]:
        return workload.what, contestants.of(workload)

    with tqdm(total=len(workloads) * rounds, leave=False, disable=None) as bar:
        for (what, everybody), together in itertools.groupby(workloads, who):
            by_name = {w.name: w for w in together}
            bar.set_description(next(iter(by_name)))
            if what != "time":
                for workload in by_name.values():
                    found = (
                        {c.name: float(peak_memory(workload.task, c)) for c in everybody}
                        if what == "memory"
                        else parts(workload.task, everybody[0])
                    )
                    figures = {name: Figure(x, x, x, 1) for name, x in found.items()}
                    results.add(Row.of(workload, figures), _now(), path)
                    bar.update(rounds)
                continue
            tasks = [w.task for w in by_name.values()]
            for measured in compare(
                tasks, everybody, rounds=rounds, seconds=seconds, progress=bar.update
            ):
                workload = by_name[measured.task.name]
                bar.set_description(workload.name)
                figures = {name: Figure.of(t) for name, t in measured.timings.items()}
                results.contestants |= {n: t.about for n, t in measured.timings.items()}
                work = {
                    "operations": layers.operations(measured.task),
                    "traffic": layers.traffic(measured.task),
                }
                results.add(Row.of(workload, figures, **work), _now(), path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except ContestantError as error:
        raise SystemExit(f"benchmarks: {error}") from None
