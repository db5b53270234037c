"""Resizing in Pillow, from pictures to pictures: neither begins nor ends as an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL
from PIL import Image

from minires.bench import Task, tasks
from minires.bench.tasks import Work


def about() -> dict[str, str]:
    """The version."""
    return {"library": f"Pillow {PIL.__version__}", "threads": "1"}


def build(task: Task, layout: str) -> Work:
    """Make a task ready. There is one layout."""
    pictures = [Image.fromarray(image) for image in tasks.pixels(task)]
    height, width = task.shape[1:3]
    scale = task.length / min(height, width)
    size = int(scale * width), int(scale * height)

    def run() -> list[Any]:
        return [picture.resize(size, Image.Resampling.BILINEAR) for picture in pictures]

    return Work(run, lambda: {"result": np.array([np.asarray(p, np.float32) for p in run()])})
