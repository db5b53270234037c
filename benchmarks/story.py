"""From seven loops to the library in five steps, for docs/where-the-time-goes.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import kernels
from minires.bench import Task, ours, tasks
from minires.bench.tasks import Work
from minires.bench.workloads import NETWORKS, Workload
from minires.kernels import ConvGeometry, reference

STEPS = {
    "loops": "seven loops",
    "product": "one matrix product",
    "blocks": "blocks that fit the cache",
    "winograd": "fewer multiplications",
    "threads": "two threads",
    "formulas": "formulas in NumPy",
    "passes": "few passes",
    "shared passes": "few passes, two threads",
}
"""What each is called in tables. Those on two threads are the library as it comes."""

LAYER = ("product", "blocks", "winograd", "threads")
NORM = ("formulas", "passes", "shared passes")


def workloads() -> list[Workload]:
    """The layer (the loops do a smaller one), and how whole networks' time divides."""
    loops = Task("story-loops", "conv2d", shape=(1, 8, 8, 64), kernel=(3, 3, 64, 16), padding=1)
    layer = Task("story-layer", "conv2d", shape=(8, 56, 56, 64), kernel=(3, 3, 64, 64), padding=1)
    norm = Task("story-norm", "batch_norm", shape=(128, 32, 32, 16))
    divided = [
        Workload(
            Task(f"parts-{w.name}", w.task.kind, w.task.model, w.task.shape),
            f"{w.words}, one thread",
            what="parts",
        )
        for w in NETWORKS
        if w.name in ("resnet20_step", "resnet18_inference_8", "resnet18_step")
    ]
    return [
        Workload(loops, "3x3 convolution, 64 to 16 channels, 1 x 8 x 8"),
        Workload(layer, "3x3 convolution, 64 to 64 channels, 8 x 56 x 56"),
        Workload(norm, "batch norm, forward and backward, 128 x 32 x 32 x 16"),
        *divided,
    ]


def product(x: Any, w: Any) -> Any:
    """3x3, padding 1: every window as the row of one large matrix, times the weights."""
    N, H, W, C = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(N * H * W, 9 * C)  # nine times as large
    return (columns @ w.reshape(9 * C, -1)).reshape(N, H, W, -1)


def batch_norm(x: Any, gamma: Any, beta: Any, g: Any) -> tuple[Any, Any, Any, Any]:
    """The output, and the gradients of x, gamma and beta, as in textbooks."""
    axes, M = (0, 1, 2), x.size // x.shape[3]
    mean, var = x.mean(axis=axes), x.var(axis=axes)
    inv_std = 1 / np.sqrt(var + 1e-5)
    xhat = (x - mean) * inv_std
    y = gamma * xhat + beta
    dgamma, dbeta = (g * xhat).sum(axis=axes), g.sum(axis=axes)
    dx = gamma * inv_std * (g - dbeta / M - xhat * dgamma / M)
    return y, dx, dgamma, dbeta


def about() -> dict[str, str]:
    """The library's."""
    return ours.about()


def build(task: Task, layout: str) -> Work:
    """A convolution, 3x3 with padding 1, or a batch norm, as in one of `STEPS`."""
    if layout in ("passes", "shared passes"):
        return ours.build(task, "")
    if layout == "formulas":
        inputs = tasks.normalization(task)
        names = ("y", "dx", "dgamma", "dbeta")
        return Work(
            lambda: batch_norm(*inputs), lambda: dict(zip(names, batch_norm(*inputs), strict=True))
        )
    x, w, _ = tasks.convolution(task)
    walk: dict[str, Any] = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}

    def forced(algorithm: str) -> Any:
        with kernels.use_algorithm(algorithm):
            return kernels.conv2d(x, w, geometry=ConvGeometry(**walk))

    steps: dict[str, Callable[[], Any]] = {
        "loops": lambda: reference.conv2d(x, w, padding=(1, 1)),
        "product": lambda: product(x, w),
        "blocks": lambda: forced("im2col"),
        "winograd": lambda: forced("winograd1d"),
        "threads": lambda: kernels.conv2d(x, w, geometry=ConvGeometry(**walk)),
    }
    run = steps[layout]
    return Work(run, lambda: {"result": run()})
