"""The layers of the networks one by one, and what grows with batch and depth."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from minires import Tensor, models, nn, no_grad
from minires.bench import Task
from minires.bench.tasks import Kind
from minires.bench.workloads import What, Workload

NETWORKS = (("resnet20", 128, 32), ("resnet18", 8, 224), ("resnet50", 8, 224))
"""Names, images a batch, pixels a side."""

PASSES: dict[Kind, str] = {"conv2d": "", "conv2d_dx": ", dx", "conv2d_dw": ", dw"}


@cache
def layers() -> list[Workload]:
    """Each convolution of the networks, forward, dx and dw, and each batch norm; none twice."""
    convolutions: dict[str, Workload] = {}
    norms: dict[str, Workload] = {}
    for model, batch, side in NETWORKS:
        for layer, shape in _calls(model, side):
            images = (batch, *shape)
            size = "x".join(map(str, images))
            if isinstance(layer, nn.BatchNorm2d):
                name = f"batch_norm-{size}"
                norms[name] = Workload(Task(name, "batch_norm", shape=images), f"batch norm {size}")
            elif isinstance(layer, nn.Conv2d):
                for kind, words in PASSES.items():
                    K, O, S = layer.kernel_size[0], layer.out_channels, layer.stride[0]
                    task = Task(
                        f"{kind}-{size}-{K}x{K}x{O}-s{S}",
                        kind,
                        shape=images,
                        kernel=(K, K, shape[-1], O),
                        stride=S,
                        padding=layer.padding[0],
                    )
                    where = f"{size}, {K}x{K} to {O}{' / 2' if S == 2 else ''}"
                    convolutions[task.name] = Workload(task, where + words)
    return [*convolutions.values(), *norms.values()]


def _calls(model: str, side: int) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """The layers of a network in the order of their calls, each with its input's shape but N."""
    calls: list[tuple[nn.Module, tuple[int, ...]]] = []
    network = models.create(model).eval()
    for module in network.modules():
        module.register_forward_hook(
            lambda layer, inputs, output: calls.append((layer, tuple(inputs[0].shape[1:])))
        )
    with no_grad():
        network(Tensor(np.zeros((1, side, side, 3), np.float32)))
    return calls


def limits() -> list[Workload]:
    """What the machine can do at best: a large product, and a copy of more than its caches hold."""
    return [
        Workload(Task("product", "product", shape=(2048, 2048)), "product of 2048 x 2048 matrices"),
        Workload(Task("copy", "copy", shape=(8192, 8192)), "copy of 256 MiB"),
    ]


BATCHES = (16, 32, 64, 128, 256)
DEPTHS = (20, 32, 56, 110)
MEMORY = "step's peak memory"


def growth() -> list[Workload]:
    """Time and memory of steps: ResNet-20 by batch, and by depth at batch 32."""
    sizes = [(20, batch) for batch in BATCHES] + [(depth, 32) for depth in DEPTHS if depth > 20]
    found = []
    kinds: tuple[tuple[str, What], ...] = (("step", "time"), ("memory", "memory"))
    for kind, what in kinds:
        for depth, batch in sizes:
            task = Task(
                f"growth-{kind}-resnet{depth}-{batch}",
                "step",
                f"resnet{depth}",
                (batch, 32, 32, 3),
            )
            words = f"ResNet-{depth} {'step' if kind == 'step' else MEMORY}, batch {batch}"
            found.append(Workload(task, words, what=what))
    return found


RESIZED = {
    "photo": ((1, 375, 500, 3), 256),
    "camera": ((1, 3000, 4000, 3), 256),
    "batch": ((256, 32, 32, 3), 64),
    "high": ((1, 1000, 10, 3), 256),
    "wide": ((1, 10, 1000, 3), 256),
}
"""Images, and what their shorter side becomes."""


def resizing() -> list[Workload]:
    """Photographs made smaller, small images enlarged, and shapes that nobody thinks of."""
    timed = []
    for name, (shape, length) in RESIZED.items():
        task = Task(f"resize-{name}", "resize", shape=shape, length=length)
        timed.append(Workload(task, f"resize {'x'.join(map(str, shape))} to {length}", 2.0, 1.5))
    memory = [
        replace(w, task=replace(w.task, name=f"{w.name}-memory"), words=f"{w.words}, memory")
        for w in timed
        if w.name in ("resize-camera", "resize-high")
    ]
    return [*timed, *(replace(w, what="memory") for w in memory)]


def operations(task: Task) -> float:
    """The multiplications and additions that a task's products take at least; 0 if none."""
    if task.kind == "product":
        return 2.0 * task.shape[0] ** 3
    if task.kind.startswith("conv2d"):
        return 2.0 * _outputs(task) * np.prod(task.kernel[:3])
    if task.kind not in ("step", "inference"):
        return 0.0
    network: Any = models.create(task.model)
    summary = nn.summary(network, task.shape[1:])
    forward = 2.0 * summary.multiply_adds * task.shape[0]
    if task.kind == "inference":
        return forward
    first = 2.0 * next(row for row in summary.rows if row.name == "conv1").multiply_adds
    return 3 * forward - first * task.shape[0]  # nobody wants the images' gradient


def traffic(task: Task) -> float:
    """The bytes that a task must read and write at least; 0 if its products take longer anyway."""
    size = 4.0 * np.prod(task.shape)
    if task.kind == "copy":
        return 2 * size
    if task.kind == "batch_norm":
        return 8 * size  # x twice and y; then x and g twice (for the sums, for dx), and dx
    if task.kind.startswith("conv2d"):
        return size + 4.0 * (np.prod(task.kernel) + _outputs(task))
    return 0.0


def _outputs(task: Task) -> float:
    N, H, W, _ = task.shape
    KH, KW, _, O = task.kernel
    Ho, Wo = ((n + 2 * task.padding - k) // task.stride + 1 for n, k in ((H, KH), (W, KW)))
    return float(N * Ho * Wo * O)
