"""The tasks in minires."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import threadpoolctl

import minires
from minires import Tensor, data, grad, kernels, no_grad, optim
from minires.bench import tasks
from minires.bench.tasks import Task, Work
from minires.kernels import ConvGeometry
from minires.kernels.machinery.threads import parallel
from minires.nn import functional as F


def about() -> dict[str, str]:
    """Versions, threads and the BLAS kernels that run."""
    blas = [
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    ]
    return {
        "library": f"minires {minires.__version__}",
        "threads": str(kernels.get_num_threads()),
        "kernels": ", ".join(blas),
    }


def build(task: Task, layout: str) -> Work:
    """Make a task ready; inference in the layout "compiled" by a plan."""
    if layout == "compiled":
        return _compiled(task)
    builders = {
        "step": _step,
        "inference": _inference,
        "batch_norm": _batch_norm,
        "scalars": _scalars,
        "product": _product,
        "copy": _copy,
        "resize": _resize,
    }
    return builders.get(task.kind, _convolution)(task)


def _step(task: Task) -> Work:
    network = tasks.network(task)
    optimizer = optim.SGD(
        network.parameters(),
        lr=tasks.LEARNING_RATE,
        momentum=tasks.MOMENTUM,
        weight_decay=tasks.WEIGHT_DECAY,
    )
    pixels, labels = tasks.images(task)
    x = Tensor(pixels)

    def run() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    def outputs() -> dict[str, Any]:
        found: dict[str, Any] = {"loss": run().data}
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            found[f"gradient of {name}"] = parameter.grad.data
            found[f"new {name}"] = parameter.data
        return found

    return Work(run, outputs)


def _inference(task: Task) -> Work:
    network = tasks.network(task).eval()
    x = Tensor(tasks.images(task)[0])

    def run() -> Tensor:
        with no_grad():
            return network(x)  # type: ignore[no-any-return]

    return Work(run, lambda: {"logits": run().data})


def _compiled(task: Task) -> Work:
    x = tasks.images(task)[0]
    plan = minires.compile(tasks.network(task).eval(), x)
    return Work(lambda: plan(x), lambda: {"logits": plan(x).data})


def _convolution(task: Task) -> Work:
    x, w, g = tasks.convolution(task)
    walk: dict[str, Any] = {
        "stride": (task.stride, task.stride),
        "padding": (task.padding, task.padding),
        "dilation": (1, 1),
        "groups": 1,
    }

    def run() -> Any:
        if task.kind == "conv2d":
            return kernels.conv2d(x, w, geometry=ConvGeometry(**walk))
        if task.kind == "conv2d_dx":
            return kernels.conv2d_dx(g, w, input_size=x.shape[1:3], geometry=ConvGeometry(**walk))
        return kernels.conv2d_dw(x, g, kernel_size=w.shape[:2], geometry=ConvGeometry(**walk))

    return Work(run, lambda: {"result": run()})


def _batch_norm(task: Task) -> Work:
    x, gamma, beta, g = tasks.normalization(task)
    inputs = [Tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    upstream = Tensor(g)

    def run() -> tuple[Tensor, ...]:
        y = F.batch_norm(inputs[0], None, None, inputs[1], inputs[2], training=True)
        return y, *grad(y, inputs, upstream)

    def outputs() -> dict[str, Any]:
        return {n: t.data for n, t in zip(("y", "dx", "dgamma", "dbeta"), run(), strict=True)}

    return Work(run, outputs)


def _scalars(task: Task) -> Work:
    x, w, b = (Tensor(value, requires_grad=True) for value in tasks.SCALARS)

    def run() -> Tensor:
        x.grad = w.grad = b.grad = None
        y = x
        for _ in range(task.length // 2):
            y = y * w + b
        y.backward()
        return y

    def outputs() -> dict[str, Any]:
        found = {"y": run().data}
        for name, tensor in zip("xwb", (x, w, b), strict=True):
            assert tensor.grad is not None
            found[name] = tensor.grad.data
        return found

    return Work(run, outputs)


def _product(task: Task) -> Work:
    x, y = tasks.matrices(task)
    out = np.empty_like(x)

    def run() -> Any:
        return np.matmul(x, y, out=out)  # by the threads of the BLAS

    return Work(run, lambda: {"result": run()})


def _copy(task: Task) -> Work:
    x, out = tasks.matrices(task)
    blocks = list(zip(np.array_split(x, 16), np.array_split(out, 16), strict=True))

    def run() -> Any:
        parallel(lambda block: np.copyto(block[1], block[0]), blocks)
        return out

    return Work(run, lambda: {"rows": run()[:16]})


def _resize(task: Task) -> Work:
    x, resize = tasks.pixels(task), data.Resize(task.length)
    return Work(lambda: resize(x), lambda: {"result": resize(x).astype(np.float32)})


def parts(task: Task, runs: int) -> dict[str, float]:
    """How the seconds of a run divide; meant for one thread, where times add up.

    The matrix products of convolutions are told from the rest of them, which is lowering and
    transforms, by a stopwatch around NumPy's `matmul`.
    """
    run = build(task, "").run
    run()
    products, matmul = 0.0, np.matmul

    def timed(*args: Any, **options: Any) -> Any:
        nonlocal products
        start = time.perf_counter()
        result = matmul(*args, **options)
        caller = sys._getframe(1).f_globals["__name__"]
        if caller.startswith("minires.kernels.") and not caller.endswith("channel_rows"):
            products += time.perf_counter() - start
        return result

    np.matmul = timed  # type: ignore[assignment]
    try:
        with minires.profile() as profile:
            for _ in range(runs):
                run()
    finally:
        np.matmul = matmul
    took = {name: passes.seconds for name, passes in profile.operations.items()}

    def taken(*beginnings: str) -> float:
        return sum(took.pop(name) for name in list(took) if name.startswith(beginnings))

    convolutions = taken("conv2d")
    norms = taken("batch_norm", "scale_shift")
    found = {
        "convolutions: matrix products": products,
        "convolutions: lowering and transforms": convolutions - products,
        "batch norm": norms,
        "adds, ReLU, pooling, other operations": sum(took.values()),
    }
    found["engine, optimiser, Python"] = profile.seconds - sum(found.values())
    return {name: seconds / runs for name, seconds in found.items()}
