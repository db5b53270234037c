"""Who is measured, in groups that are tables of their own."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import inference, story
from benchmarks.peers import installed
from minires.bench import Contestant
from minires.bench.measure import OURS, PYTORCH
from minires.bench.workloads import NETWORKS, Workload

AS_THEY_COME = (OURS, *PYTORCH)
ONE_THREAD = tuple(replace(c, name=f"{c.name}, 1 thread", threads=1) for c in AS_THEY_COME)
MEMORY_KEPT = tuple(
    replace(c, name=f"{c.name}, memory kept", keeps_memory=True) for c in AS_THEY_COME
)


PILLOW = Contestant("Pillow", "benchmarks.peers.with_pillow")


def groups() -> dict[str, tuple[Contestant, ...]]:
    """By what a table says of them."""
    return {
        "default settings": AS_THEY_COME,
        "one thread": ONE_THREAD,
        "glibc told to keep freed memory": MEMORY_KEPT,
        "other libraries": (OURS, *installed()),
        "beside Pillow": (OURS, PILLOW),
        "compiled": inference.contestants(),
    }


OTHERS = replace(
    NETWORKS[0],
    task=replace(NETWORKS[0].task, name="resnet20_others"),
    words="ResNet-20 training step, batch 128, in other libraries",
    limit=None,
    target=None,
)
"""The step in libraries on NumPy, and in JAX."""

SETTINGS = [
    replace(w, task=replace(w.task, name=f"settings-{w.name}"), limit=None, target=None)
    for w in NETWORKS
    if w.what == "time"
]
"""The networks again, on one thread and with memory kept."""

STORY = {
    step: Contestant(
        words, "benchmarks.story", step, None if step in ("threads", "shared passes") else 1
    )
    for step, words in story.STEPS.items()
}
"""From loops to the library, a step each."""


def of(workload: Workload) -> list[Contestant]:
    """The contestants for a workload."""
    name = workload.name
    if workload.what == "parts":
        return [ONE_THREAD[0]]
    if name == "story-loops":
        return [STORY["loops"]]
    if name.startswith("story"):
        steps = story.LAYER if name == "story-layer" else story.NORM
        return [*(STORY[step] for step in steps), *ONE_THREAD[1:], *PYTORCH]
    if name.startswith("settings-"):
        return [*ONE_THREAD, *MEMORY_KEPT]
    if name.startswith("compiled-"):
        return list(inference.contestants())
    if name.startswith("resize-"):
        return [OURS, PILLOW]
    if name == OTHERS.name:
        return [*AS_THEY_COME, *installed()]
    return list(AS_THEY_COME)
