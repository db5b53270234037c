"""Who is measured, in groups that are tables of their own."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers import installed
from minires.bench import Contestant
from minires.bench.measure import OURS, PYTORCH

AS_THEY_COME = (OURS, *PYTORCH)
ONE_THREAD = tuple(replace(c, name=f"{c.name}, 1 thread", threads=1) for c in AS_THEY_COME)
MEMORY_KEPT = tuple(
    replace(c, name=f"{c.name}, memory kept", keeps_memory=True) for c in AS_THEY_COME
)


def groups() -> dict[str, tuple[Contestant, ...]]:
    """By what a table says of them."""
    return {
        "as they come": AS_THEY_COME,
        "one thread": ONE_THREAD,
        "glibc told to keep freed memory": MEMORY_KEPT,
        "other libraries": (OURS, *installed()),
    }


def of(name: str) -> list[Contestant]:
    """The contestants for a workload."""
    if name.startswith(("resnet", "scalars")) and not name.endswith("memory"):
        everybody = [*AS_THEY_COME, *ONE_THREAD, *MEMORY_KEPT]
        return everybody + (installed() if name == "resnet20_step" else [])
    return list(AS_THEY_COME)
