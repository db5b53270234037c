"""`python -m benchmarks.recipes`: see `--help`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.paper.results import Table
from benchmarks.recipes import pages
from benchmarks.recipes.presets import PRESETS, Preset
from benchmarks.recipes.runs import OutOfTime, kernels, train
from minires.bench.machine import describe
from minires.data import DataError
from minires.data.registry import default_root


def main(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Just this preset; repeatable.")
    ] = None,
    data_dir: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Where official files are; repeatable."),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Stop then, and save; run again to go on.")] = 80,
    work: Annotated[Path, typer.Option(help="Where unfinished trainings are kept.")] = Path(
        "runs/recipes"
    ),
    out: Annotated[Path, typer.Option(help="Where the results go.")] = pages.FOLDER,
    show: Annotated[
        bool, typer.Option("--pages", help="Train nothing: write the results into the pages.")
    ] = False,
) -> None:
    """Train every preset over its seeds and two of BLAS's kernels, one after the other.

    What is known already is not trained again. Everything takes most of a day on two cores.
    """
    if show:
        pages.write_all()
        return
    if unknown := set(only or ()) - {preset.name for preset in PRESETS}:
        names = ", ".join(preset.name for preset in PRESETS)
        raise typer.BadParameter(f"no preset {', '.join(unknown)}: there are {names}")
    until = time.monotonic() + 60 * minutes
    chosen = [preset for preset in PRESETS if not only or preset.name in only]
    try:
        for preset in chosen:
            measure(preset, data_dir or [default_root()], work.resolve(), out, until)
    except OutOfTime:
        print("stopped; the same command goes on from there")


def measure(preset: Preset, official: list[Path], work: Path, out: Path, until: float) -> None:
    """Train a preset as often as is still missing and write each result to its file."""
    try:
        options, about = preset.files(official, work)
    except DataError as error:
        print(f"{preset.name}: left out, as {error}")
        return
    settings = {**preset.settings(), **({"images": about} if about else {})}
    table = Table(out / f"{preset.name}.json", settings)
    asked = list(kernels().items())[: preset.kernels]
    for seed in range(preset.seeds):
        for kernel, name in asked:
            row = f"{kernel} {seed}"
            if row in table:
                continue
            print(f"{preset.name}, {kernel}, seed {seed}: ", end="", flush=True)
            result = train(preset, options, name, seed, work / preset.name / row, until)
            about_it = {"kernel": kernel, "seed": seed, "processor": describe()["processor"]}
            table.add(row, {**about_it, **result})
            print(result.get("failed") or f"{result['test_accuracy']}%", flush=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except (ValueError, OSError) as error:
        raise SystemExit(f"benchmarks.recipes: {error}") from None
