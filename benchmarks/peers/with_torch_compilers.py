"""Inference through PyTorch's two compilers, with images in channels_last.

`torch.jit.freeze` makes constants of the weights and folds batch norm into them; `torch.compile`
writes C++ and has it compiled, frozen as well.
"""

from __future__ import annotations

import shutil
from typing import Any

import torch
import torch._inductor.config

from minires.bench import pytorch, tasks, twins
from minires.bench.tasks import Task, Work


def about() -> dict[str, str]:
    """Versions, threads and the instructions that its kernels use."""
    return pytorch.about()


def build(task: Task, layout: str) -> Work:
    """Make inference ready, by the compiler that `layout` names: "frozen" or "compiled"."""
    if task.kind != "inference":
        raise ValueError(f"the compilers take part in inference only, not {task.kind}")
    channels_last = torch.channels_last
    network = twins.with_numbers(tasks.network(task)).to(memory_format=channels_last).eval()
    pixels = torch.from_numpy(tasks.images(task)[0])
    x = pixels.permute(0, 3, 1, 2).contiguous(memory_format=channels_last)
    compiled: Any
    with torch.inference_mode():
        if layout == "frozen":
            compiled = torch.jit.freeze(torch.jit.trace(network, x))
            compiled = torch.jit.optimize_for_inference(compiled)
        else:
            if not shutil.which("g++"):
                raise RuntimeError("torch.compile compiles C++, and there is no g++")
            torch._inductor.config.freezing = True
            compiled = torch.compile(network)

    def run() -> Any:
        with torch.inference_mode():
            return compiled(x)

    for _ in range(3):  # the compilers look at the first calls
        run()
    return Work(run, lambda: {"logits": run().numpy()})
