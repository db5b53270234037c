"""`python -m benchmarks.gpu --minutes 8`: is it right on a real GPU, and how fast is each part.

What decides most comes first; each part's figures are in the file as soon as they are there. What
there is no time for is left out and said, and so are PyTorch's columns where it is missing.
"""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.gpu import parts
from minires import backend
from minires.files import atomic_write


def main(
    minutes: Annotated[float, typer.Option(help="Stop in time for this.", min=0)] = 8.0,
    json_file: Annotated[Path, typer.Option("--json", help="The figures.")] = Path("gpu.json"),
    tiny: Annotated[bool, typer.Option("--tiny", help="Shows only whether it runs.")] = False,
) -> None:
    """Measure minires, and PyTorch if it is there, on this machine's GPU."""
    try:
        cupy = backend.load_cupy()
    except backend.DeviceError as error:
        raise SystemExit(f"benchmarks.gpu: {error}") from None
    run(cupy, minutes, json_file, tiny)


def run(cupy: Any, minutes: float, path: Path, tiny: bool) -> dict[str, Any]:
    """Every part in turn, its figures written at once; what went wrong is among them."""
    end = time.monotonic() + 60 * minutes
    results: dict[str, Any] = {}
    torch, why = parts.find_torch()
    if why:
        print(f"PyTorch is left out: {why}")
    bench = parts.Bench(cupy, torch, tiny, lambda: end - time.monotonic())
    results["about"] = bench.about() | {"PyTorch": why or torch.__version__}
    for part in bench.all():
        name, began = part.__name__, time.monotonic()
        figures = results[name] = {}
        try:
            for key, value in part():
                figures[key] = value
                _write(path, results)
        except Exception:  # the others are worth having
            figures["failed"] = traceback.format_exc()[-1500:]
        if bench.late():
            figures["not all"] = "no time was left"
        print(f"{name}: {time.monotonic() - began:.1f} s, {len(figures)} figures")
        _write(path, results)
    return results


def _write(path: Path, results: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write((json.dumps(results, indent=1) + "\n").encode())


if __name__ == "__main__":
    typer.run(main)
