"""Inference, compiled: minires's plan beside PyTorch, its compilers, and ONNX Runtime."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from minires.bench import Contestant
from minires.bench.measure import OURS, PYTORCH
from minires.bench.tasks import Task
from minires.bench.workloads import Workload

COMPILED = Contestant("minires compiled", "minires.bench.ours", "compiled")
CHANNELS_LAST = PYTORCH[1]
FROZEN = Contestant("torch.jit frozen", "benchmarks.peers.with_torch_compilers", "frozen")
TORCH_COMPILE = Contestant("torch.compile", "benchmarks.peers.with_torch_compilers", "compiled")
ONNX_RUNTIME = Contestant("ONNX Runtime", "benchmarks.peers.with_onnxruntime")

AT_MOST = {
    ("resnet18", 1): (0.88, 1.35),
    ("resnet18", 8): (0.80, 0.95),
    ("resnet50", 1): (0.88, 1.5),
    ("resnet50", 8): (0.85, 1.1),
    ("resnet20", 1): (0.90, 3.0),
    ("resnet20", 64): (0.60, 1.25),
}
"""By network and images: at most so much of PyTorch's time, and of ONNX Runtime's."""


def workloads() -> list[Workload]:
    """The networks, each with a few images."""
    found = []
    for (model, images), (limit, _) in AT_MOST.items():
        side = 32 if model == "resnet20" else 224
        task = Task(f"compiled-{model}-{images}", "inference", model, (images, side, side, 3))
        words = f"ResNet-{model.removeprefix('resnet')} inference, batch {images}"
        found.append(Workload(task, words, limit))
    return found


def of_onnx_runtime(name: str) -> float | None:
    """At most so much of ONNX Runtime's time for the workload of that name."""
    wanted = {
        f"compiled-{model}-{images}": limit for (model, images), (_, limit) in AT_MOST.items()
    }
    return wanted.get(name)


def missing() -> dict[str, str]:
    """Who cannot take part here, by name, and why."""
    reasons = {}
    if not shutil.which("g++"):
        reasons[TORCH_COMPILE.name] = "it compiles C++, and there is no g++"
    if not find_spec("onnxruntime"):
        reasons[ONNX_RUNTIME.name] = "onnxruntime is not installed"
    return reasons


def contestants() -> tuple[Contestant, ...]:
    """All that can take part here."""
    everybody = (COMPILED, OURS, CHANNELS_LAST, FROZEN, TORCH_COMPILE, ONNX_RUNTIME)
    return tuple(c for c in everybody if c.name not in missing())
