"""The results as a picture."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from benchmarks import contestants
from benchmarks.results import Results
from minires.bench.measure import OURS
from minires.bench.workloads import NETWORKS

BLUE, ORANGE, GREY, RED = "#0a6ebd", "#d96c00", "#777777", "#c62828"


def draw(results: Results) -> Figure:
    """Ratios to PyTorch with their targets; other libraries; growth with batch and depth."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(5, 4))
    left, right = top.subplots(1, 2, width_ratios=(3, 2))
    ratios(left, results)
    others(right, results)
    for ax, memory in zip(bottom.subplots(1, 2), (False, True), strict=True):
        growth(ax, results, memory)
    return figure


def ratios(ax: Any, results: Results) -> None:
    """A bar a network: minires over PyTorch in its faster layout; the limit and the target."""
    rows = [results.rows[w.name] for w in NETWORKS if w.name in results.rows]
    rows = [row for row in rows if row.ratio() is not None]
    for i, row in enumerate(rows):
        ax.barh(i, row.ratio(), 0.6, color=BLUE)
        ax.text(0.02, i, f"{row.ratio():.2f}", va="center", fontsize=8, color="white")
        for target, colour in ((row.limit, RED), (row.target, GREY)):
            if target:
                ax.plot([target, target], [i - 0.4, i + 0.4], color=colour, lw=1.6)
    ax.plot([], [], color=RED, label="limit")
    ax.plot([], [], color=GREY, label="target")
    ax.axvline(1, color="black", lw=0.8, ls=":", zorder=0)
    ax.set_yticks(range(len(rows)), [row.words for row in rows], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("time (memory) over PyTorch's in its faster layout")
    furthest = (max(row.ratio() or 0, row.limit or 0) for row in rows)
    ax.set_xlim(right=1.05 * max(furthest, default=1))
    ax.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def others(ax: Any, results: Results) -> None:
    """The ResNet-20 step in every library."""
    row = results.rows.get(contestants.OTHERS.name)
    if row is None:
        ax.set_axis_off()
        return
    names = sorted(row.figures, key=lambda name: row.figures[name].median)
    for i, name in enumerate(names):
        ms = row.figures[name].median * 1e3
        ax.barh(i, ms, 0.6, color=BLUE if name == OURS.name else GREY)
        ax.text(ms * 1.05, i, f"{ms:.0f} ms", va="center", fontsize=8)
    ax.set(xscale="log", xlabel="milliseconds a step")
    ax.set_title(row.words, fontsize=9, loc="right")
    ax.set_xlim(right=ax.get_xlim()[1] * 4)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.invert_yaxis()


def growth(ax: Any, results: Results, memory: bool) -> None:
    """A step's time or memory by images, and by depth at one batch size."""
    kind = "memory" if memory else "step"
    prefix = f"growth-{kind}-resnet"
    points: dict[tuple[int, int], float] = {}
    for name, row in results.rows.items():
        if name.startswith(prefix):
            depth, batch = map(int, name.removeprefix(prefix).split("-"))
            points[depth, batch] = row.figures[OURS.name].median
    scale = 2.0**-20 if memory else 1e3
    if not points:
        ax.set_axis_off()
        return
    by_batch = sorted((batch, y * scale) for (depth, batch), y in points.items() if depth == 20)
    by_depth = sorted((depth, y * scale) for (depth, batch), y in points.items() if batch == 32)
    ax.plot(*zip(*by_batch, strict=True), "o-", color=BLUE, label="ResNet-20, by images a batch")
    ax.plot(*zip(*by_depth, strict=True), "s-", color=ORANGE, label="batch 32, by layers")
    ax.set(xlim=0, ylim=0, xlabel="images, or layers")
    ax.set_ylabel("peak memory, MiB" if memory else "milliseconds a step")
    ax.legend(fontsize=8)
    ax.grid(alpha=0.25)
