"""`minires bench`: how fast it is here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from minires.bench import compare
from minires.bench.machine import describe
from minires.bench.measure import OURS, PYTORCH
from minires.bench.report import TARGETS, Figure, Row, surroundings, table
from minires.bench.workloads import NETWORKS
from minires.cli.options import option
from minires.progress_bar import bar

SHORT = ("resnet20_step", "resnet20_inference", "resnet18_inference_1", "scalars")


def bench_command(
    rounds: Annotated[int, option("N", "Bursts of each library.", min=1)] = 5,
    seconds: Annotated[float, option("X", "How long a burst is.", min=0)] = 0.3,
) -> None:
    """Time networks on this machine, beside PyTorch if it is installed: half a minute.

    Each library runs in a process of its own, and they take turns; close what
    else is running. The whole comparison is `python -m benchmarks` in the
    repository.
    """
    workloads = {w.name: w for w in NETWORKS if w.name in SHORT}
    contestants = [OURS, *(PYTORCH if find_spec("torch") else ())]
    rows, about = [], {}
    with bar(total=len(workloads) * rounds, unit="round") as shown:
        tasks = [w.task for w in workloads.values()]
        for measured in compare(
            tasks, contestants, rounds=rounds, seconds=seconds, progress=shown.update
        ):
            figures = {name: Figure.of(timing) for name, timing in measured.timings.items()}
            rows.append(Row.of(workloads[measured.task.name], figures))
            about = {name: timing.about for name, timing in measured.timings.items()}
    print(surroundings(describe(), about))
    print()
    print(table(rows, [c.name for c in contestants], TARGETS if len(contestants) > 1 else ()))
    if len(contestants) == 1:
        print("\nPyTorch is not installed: pip install torch, and it is measured beside.")
