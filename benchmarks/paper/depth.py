"""Degradation: plain and residual networks of growing depth (sections 4.1 and 4.2 of the paper)."""

from __future__ import annotations

import time
from pathlib import Path

import minires
from benchmarks.paper.inside import gradient_norms, response_deviations
from benchmarks.paper.results import Table
from benchmarks.paper.training import Settings, announce, load_images, train
from minires import models

DEPTHS = (20, 56, 8, 32, 44)  # the two that say most come first
PROBE = 256  # images by which gradients and responses are measured


def degradation(
    settings: Settings, depths: tuple[int, ...], data_dir: Path | None, work: Path, out: Path
) -> None:
    """Train the pairs of one depth after the other and write each network's row to `out`."""
    images = load_images(settings, data_dir)
    table = Table(out, settings.as_dict())
    started = time.perf_counter()
    probe, labels = images.train.take(range(min(PROBE, len(images.train))))  # type: ignore[arg-type]
    probe = images.plain(probe)
    for depth in depths:
        for kind in ("plain", "resnet"):
            name = f"{kind}{depth}"
            if name in table:
                continue
            announce(name, started)
            minires.manual_seed(settings.seed)
            model = models.create(name, len(images.train.classes), images.channels)
            at_start = gradient_norms(model, probe, labels)
            row = train(model, images, settings, work / name)
            row["gradient_norms"] = {
                "start": at_start,
                "end": gradient_norms(model, probe, labels),
            }
            row["response_deviations"] = response_deviations(model, probe)
            row["parameters"] = sum(p.size for p in model.parameters())
            table.add(name, row)
            print(f"  training error {row['train_error'][-1]}%, test {row['test_error']}%")
