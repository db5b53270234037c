"""Tasks in words, and how good minires must be at them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from minires.bench.tasks import Kind, Task

What = Literal["time", "memory", "parts"]
"""What is measured: seconds, the peak of memory, or how a run's seconds divide."""


@dataclass(frozen=True)
class Workload:
    """A task, in words, with what is asked of it.

    Attributes
    ----------
    task : Task
    words : str
    limit, target : float or None
        Of the time (or memory) over PyTorch's in its faster layout.
    what : str
        One of `What`.
    """

    task: Task
    words: str
    limit: float | None = None
    target: float | None = None
    what: What = "time"

    @property
    def name(self) -> str:
        """The task's."""
        return self.task.name

    def tiny(self) -> Workload:
        """The same at a size that takes next to no time, to see whether it runs at all."""
        shape = self.task.shape
        if len(shape) == 4:
            N, H, W, C = shape
            shape = (min(N, 4), min(H, 64), min(W, 64), C)
        elif shape:
            shape = (32, 32)
        return replace(self, task=replace(self.task, shape=shape, length=min(self.task.length, 10)))


def _network(
    name: str,
    kind: Kind,
    model: str,
    batch: int,
    words: str,
    limit: float | None = None,
    target: float | None = None,
    what: What = "time",
) -> Workload:
    size = 32 if model == "resnet20" else 224
    task = Task(name, kind, model, (batch, size, size, 3))
    return Workload(task, f"{words}, batch {batch}", limit, target, what)


NETWORKS = (
    _network("resnet20_step", "step", "resnet20", 128, "ResNet-20 training step", 1.35, 1.0),
    _network("resnet20_inference", "inference", "resnet20", 128, "ResNet-20 inference", 1.7, 1.0),
    _network("resnet18_inference_8", "inference", "resnet18", 8, "ResNet-18 inference", 1.15, 0.85),
    _network("resnet18_inference_1", "inference", "resnet18", 1, "ResNet-18 inference", 1.5, 1.0),
    _network("resnet50_inference_8", "inference", "resnet50", 8, "ResNet-50 inference", 1.3, 1.0),
    _network("resnet50_inference_1", "inference", "resnet50", 1, "ResNet-50 inference"),
    _network("resnet18_step", "step", "resnet18", 8, "ResNet-18 training step", 1.2, 1.0),
    Workload(
        Task("scalars", "scalars", length=1000),
        "1,000 scalar operations, forward and backward",
        1.2,
        0.8,
    ),
    _network(
        "resnet20_memory",
        "step",
        "resnet20",
        128,
        "ResNet-20 step's peak memory",
        1.3,
        0.9,
        "memory",
    ),
)
"""Whole networks on images of 32 x 32 (ResNet-20) and 224 x 224, and the engine alone."""
