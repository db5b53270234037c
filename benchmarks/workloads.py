"""What is measured, and how good it must be."""

from __future__ import annotations

from dataclasses import dataclass

from minires.bench import Task


@dataclass(frozen=True)
class Workload:
    """A task, in words, with what is asked of it.

    Attributes
    ----------
    task : Task
    words : str
    at_most, aim : float or None
        Of the time (or memory) over PyTorch's, in its faster layout.
    memory : bool
        Whether the peak of memory is measured instead of time.
    """

    task: Task
    words: str
    at_most: float | None = None
    aim: float | None = None
    memory: bool = False


def _network(name: str, kind: str, model: str, batch: int, size: int) -> Task:
    return Task(name, kind, model, (batch, size, size, 3))  # type: ignore[arg-type]


NETWORKS = [
    Workload(
        _network("resnet20_step", "step", "resnet20", 128, 32),
        "ResNet-20, training step, batch 128",
        1.5,
        1.0,
    ),
    Workload(
        _network("resnet20_inference", "inference", "resnet20", 128, 32),
        "ResNet-20, inference, batch 128",
        1.7,
        1.0,
    ),
    Workload(
        _network("resnet18_inference_8", "inference", "resnet18", 8, 224),
        "ResNet-18, inference, 8 x 224 x 224",
        1.15,
        0.85,
    ),
    Workload(
        _network("resnet18_inference_1", "inference", "resnet18", 1, 224),
        "ResNet-18, inference, 1 x 224 x 224",
        1.5,
        1.0,
    ),
    Workload(
        _network("resnet50_inference_8", "inference", "resnet50", 8, 224),
        "ResNet-50, inference, 8 x 224 x 224",
        1.3,
        1.0,
    ),
    Workload(
        _network("resnet50_inference_1", "inference", "resnet50", 1, 224),
        "ResNet-50, inference, 1 x 224 x 224",
    ),
    Workload(
        _network("resnet18_step", "step", "resnet18", 8, 224),
        "ResNet-18, training step, 8 x 224 x 224",
        1.4,
        1.0,
    ),
    Workload(
        Task("scalars", "scalars", length=1000),
        "1,000 operations on scalars, forward and backward",
        1.2,
        0.8,
    ),
    Workload(
        _network("resnet20_memory", "step", "resnet20", 128, 32),
        "ResNet-20, training step, batch 128: peak memory",
        1.3,
        0.9,
        memory=True,
    ),
]
