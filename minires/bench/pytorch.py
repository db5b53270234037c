"""The tasks in PyTorch. Only a process that measures PyTorch imports this module."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from minires.bench import tasks, twins
from minires.bench.tasks import Task, Work

LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def about() -> dict[str, str]:
    """Versions, threads and the instructions that its kernels use."""
    return {
        "library": f"PyTorch {torch.__version__}",
        "threads": str(torch.get_num_threads()),
        "kernels": f"oneDNN and MKL, {torch.backends.cpu.get_cpu_capability()}",
    }


def build(task: Task, layout: str) -> Work:
    """Make a task ready, with images in one of `LAYOUTS`."""
    builders = {
        "step": _step,
        "inference": _inference,
        "batch_norm": _batch_norm,
        "scalars": _scalars,
        "product": _product,
        "copy": _copy,
    }
    return builders.get(task.kind, _convolution)(task, LAYOUTS[layout])


def _images(x: Any, layout: Any) -> Any:
    """(N, H, W, C) as PyTorch's (N, C, H, W), in the memory format."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)


def _back(x: Any) -> Any:
    return x.detach().permute(0, 2, 3, 1).numpy()


def _step(task: Task, layout: Any) -> Work:
    network = twins.with_numbers(tasks.network(task)).to(memory_format=layout)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=tasks.LEARNING_RATE,
        momentum=tasks.MOMENTUM,
        weight_decay=tasks.WEIGHT_DECAY,
    )
    pixels, numbers = tasks.images(task)
    x, labels = _images(pixels, layout), torch.from_numpy(numbers)

    def run() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    def outputs() -> dict[str, Any]:
        found: dict[str, Any] = {"loss": run().detach().numpy()}
        for name, parameter in network.named_parameters():
            found[f"gradient of {name}"] = twins.back(parameter.grad)
            found[f"new {name}"] = twins.back(parameter)
        return found

    return Work(run, outputs)


def _inference(task: Task, layout: Any) -> Work:
    network = twins.with_numbers(tasks.network(task)).to(memory_format=layout).eval()
    x = _images(tasks.images(task)[0], layout)

    def run() -> Any:
        with torch.inference_mode():
            return network(x)

    return Work(run, lambda: {"logits": run().numpy()})


def _convolution(task: Task, layout: Any) -> Work:
    pixels, weights, upstream = tasks.convolution(task)
    x, g = _images(pixels, layout), _images(upstream, layout)
    w = twins.theirs(weights).contiguous(memory_format=layout)
    walk = [task.stride] * 2, [task.padding] * 2
    wanted = [task.kind == "conv2d_dx", task.kind == "conv2d_dw", False]
    backward = torch.ops.aten.convolution_backward

    def run() -> Any:
        with torch.inference_mode():
            if task.kind == "conv2d":
                return F.conv2d(x, w, None, *walk)
            dx, dw, _ = backward(g, x, w, None, *walk, [1, 1], False, [0, 0], 1, wanted)
            return dx if wanted[0] else dw

    convert = twins.back if task.kind == "conv2d_dw" else _back
    return Work(run, lambda: {"result": convert(run())})


def _batch_norm(task: Task, layout: Any) -> Work:
    pixels, gamma, beta, upstream = tasks.normalization(task)
    x, g = _images(pixels, layout).requires_grad_(), _images(upstream, layout)
    w, b = (torch.from_numpy(a).requires_grad_() for a in (gamma, beta))

    def run() -> Any:
        y = F.batch_norm(x, None, None, w, b, training=True)
        return y, *torch.autograd.grad(y, (x, w, b), g)

    def outputs() -> dict[str, Any]:
        y, dx, dgamma, dbeta = run()
        numbers = {"dgamma": dgamma.numpy(), "dbeta": dbeta.numpy()}
        return {"y": _back(y), "dx": _back(dx), **numbers}

    return Work(run, outputs)


def _scalars(task: Task, layout: Any) -> Work:
    x, w, b = (torch.tensor(value, requires_grad=True) for value in tasks.SCALARS)

    def run() -> Any:
        x.grad = w.grad = b.grad = None
        y = x
        for _ in range(task.length // 2):
            y = y * w + b
        y.backward()
        return y

    def outputs() -> dict[str, Any]:
        y = run()
        gradients = {name: t.grad.numpy() for name, t in zip("xwb", (x, w, b), strict=True)}
        return {"y": y.detach().numpy(), **gradients}

    return Work(run, outputs)


def _product(task: Task, layout: Any) -> Work:
    x, y = map(torch.from_numpy, tasks.matrices(task))
    out = torch.empty_like(x)

    def run() -> Any:
        return torch.mm(x, y, out=out)

    return Work(run, lambda: {"result": run().numpy()})


def _copy(task: Task, layout: Any) -> Work:
    x, out = map(torch.from_numpy, tasks.matrices(task))

    def run() -> Any:
        return out.copy_(x)

    return Work(run, lambda: {"rows": run()[:16].numpy()})
