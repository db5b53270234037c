"""Inference in ONNX Runtime, from the file that `export_onnx` writes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from minires.bench import tasks
from minires.bench.tasks import Task, Work
from minires.interop import export_onnx
from minires.kernels import get_num_threads


def about() -> dict[str, str]:
    """Its version and threads."""
    return {
        "library": f"ONNX Runtime {onnxruntime.__version__}",
        "threads": str(get_num_threads()),
        "kernels": "MLAS",
    }


def build(task: Task, layout: str) -> Work:
    """Make inference ready; images are (N, C, H, W), as it likes them."""
    if task.kind != "inference":
        raise ValueError(f"ONNX Runtime takes part in inference only, not {task.kind}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        export_onnx(tasks.network(task).eval(), path, task.shape[1:])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = get_num_threads()
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    x = np.ascontiguousarray(tasks.images(task)[0].transpose(0, 3, 1, 2))
    name = session.get_inputs()[0].name

    def run() -> Any:
        return session.run(None, {name: x})[0]

    return Work(run, lambda: {"logits": run()})
