"""What docs/distributed.md says of time, and its pictures: measured here, or computed by `ring`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from benchmarks import markdown
from benchmarks.distributed import ring
from benchmarks.markdown import Blocks, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "distributed.json"
PAGE, IMAGES = ROOT / "docs" / "distributed.md", ROOT / "docs" / "images"

BLUE, ORANGE, GREY, GREEN = "#0a6ebd", "#d96c00", "#777777", "#2e7d32"


@dataclass(frozen=True)
class Work:
    """A network and the batch of a step."""

    network: str
    side: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.network}, {self.batch} images of {self.side}x{self.side}"


@dataclass(frozen=True)
class Setup:
    """How a machine is shared, and what else is different."""

    ranks: int
    threads: int
    how: str = "ordered"

    @property
    def name(self) -> str:
        more = {"ordered": "", "allreduce": ", Allreduce", "sync": ", synchronised batch norm"}
        plural = ["", "s"]
        return (
            f"{self.ranks} rank{plural[self.ranks > 1]} of {self.threads} "
            f"thread{plural[self.threads > 1]}{more[self.how]}"
        )


WORK = [Work("resnet20", 32, 128), Work("resnet50", 128, 8)]
BASE = Setup(1, 2)
SETUPS = [
    *(Setup(1, 1), BASE, Setup(2, 1), Setup(4, 1)),
    *(Setup(2, 1, "allreduce"), Setup(2, 1, "sync")),
]


def speed_table(found: dict[str, Any]) -> str:
    """Medians over the rounds; ratios are of one round each, since a machine's speed changes."""
    parts = []
    for work, setups in found["rounds"].items():
        rows = []
        for name, turns in setups.items():
            pairs = zip(turns, setups[BASE.name], strict=True)
            rows.append(
                {
                    work: name,
                    "a step": f"{1e3 * median(t['step'] for t in turns):.0f} ms",
                    "of it the sum": f"{median(t['sum'] / t['step'] for t in turns):.1%}",
                    f"/ {BASE.name}": f"{median(t['step'] / b['step'] for t, b in pairs):.2f}",
                }
            )
        parts.append(table(rows))
    machine = found["machine"]
    parts.append(
        f"Medians of {len(turns)} turns of {found['steps a turn']} steps each, on "
        f"{machine['cores']} cores of {machine['processor']}; {found['versions']['MPI']}; load "
        f"before: {found['load before'][0]}, after: {found['load after'][0]}. "
        "Ratios below 1 are faster."
    )
    return "\n\n".join(parts)


def speed() -> str:
    if not RESULTS.exists():
        return "*Not measured yet: `python -m benchmarks.distributed`, on a machine that rests.*"
    picture = "![Time of a step, and of the sum in it, by ranks](images/distributed-speed.png)"
    return f"{speed_table(_results())}\n\n{picture}"


def _results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def speed_figure(found: dict[str, Any]) -> Figure:
    """Bars of a step's time, the sum's part of them in another colour."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, len(found["rounds"]), squeeze=False, sharey=True)[0]
    for ax, (work, setups) in zip(axes, found["rounds"].items(), strict=True):
        for i, turns in enumerate(setups.values()):
            step, part = (1e3 * median(t[key] for t in turns) for key in ("step", "sum"))
            ax.barh(i, step, 0.6, color=BLUE, label="a step" if i == 0 else None)
            ax.barh(i, part, 0.6, color=ORANGE, label="of it the sum" if i == 0 else None)
        ax.set_yticks(range(len(setups)), list(setups), fontsize=8)
        ax.set(title=work, xlabel="ms")
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8
    )
    return figure


# ---------------------------------------------------------------------- the cost model


def ring_table() -> str:
    """Milliseconds of a sum of ResNet-50's gradients."""
    rows = []
    for link in ring.LINKS:
        label = f"{link.gigabits} Gbit/s, {1e6 * link.alpha:.0f} µs"
        times = {str(n): f"{1e3 * ring.seconds(n, link, ring.size()):.0f}" for n in ring.RANKS}
        rows.append({"ms, by ranks": label, **times})
    return table(rows)


def efficiency_table() -> str:
    rows = []
    for step in ring.STEPS:
        for link in ring.LINKS:
            shares = {
                str(n): f"{100 * ring.efficiency(n, link, ring.size(), step):.0f}"
                for n in ring.RANKS
            }
            rows.append({"%, by ranks": f"{step:g} s, {link.gigabits} Gbit/s", **shares})
    return table(rows)


def ring_figure() -> Figure:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for link, colour in zip(ring.LINKS, (ORANGE, BLUE, GREEN), strict=True):
        label = f"{link.gigabits} Gbit/s"
        times = [1e3 * ring.seconds(n, link, ring.size()) for n in ring.RANKS]
        left.plot(ring.RANKS, times, "o-", ms=3, color=colour, label=label)
        for step, style in zip(ring.STEPS[1:], ("-", "--"), strict=True):
            shares = [100 * ring.efficiency(n, link, ring.size(), step) for n in ring.RANKS]
            right.plot(
                ring.RANKS, shares, style, color=colour, label=f"{label}, {step:g} s to compute"
            )
    left.set(xlabel="ranks", ylabel="ms for a sum of ResNet-50's gradients", ylim=(0, None))
    right.set(xlabel="ranks", ylabel="% of the time spent computing", ylim=(0, 102))
    for ax in (left, right):
        ax.set_xscale("log", base=2)
        ax.set_xticks(ring.RANKS, [str(n) for n in ring.RANKS])
        ax.legend(fontsize=7)
    return figure


# ---------------------------------------------------------------------- how it works, drawn


def step_figure() -> Figure:
    """A step of four ranks: what each has and does, and the one sum."""
    figure = Figure(figsize=(9, 4.3), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0, 12.4), ylim=(-0.4, 5.3))
    ax.axis("off")
    colours = (BLUE, ORANGE, GREEN, "#7b1fa2")
    ax.text(0.55, 4.9, "one batch,\nin one order", ha="center", fontsize=8)
    for rank, colour in enumerate(colours):
        y = 3.4 - 1.1 * rank
        _box(ax, 0.1, y, 0.9, 0.95, colour, "")
        _arrow(ax, 1.1, y + 0.47, 1.9)
        _box(ax, 2, y, 3.3, 0.95, colour, f"rank {rank}: forward, backward\non its stretch")
        _arrow(ax, 5.4, y + 0.47, 6.1)
        for part in range(4):
            _box(ax, 6.2 + 0.35 * part, y, 0.33, 0.95, colour, f"{part}", alpha=0.35)
        _arrow(ax, 7.7, y + 0.47, 8.3)
        _box(ax, 8.4, y, 1.4, 0.95, GREY, "the sum", alpha=0.25)
        _arrow(ax, 9.9, y + 0.47, 10.5)
        _box(ax, 10.6, y, 1.7, 0.95, GREY, "the same\noptimiser step", alpha=0.25)
    ax.text(3.65, 4.9, "the whole network each,\nequal to the bit", ha="center", fontsize=8)
    ax.text(6.9, 4.9, "gradients of its\npart of the loss", ha="center", fontsize=8)
    ax.text(9.1, 4.9, "added up\nin rank order", ha="center", fontsize=8)
    ax.text(
        *(6.2, -0.3),
        "rank k adds up part k of everybody's gradients, 0 + 1 + 2 + 3, and sends the sum to all",
        ha="center",
        fontsize=8,
    )
    return figure


def _box(
    ax: Axes, x: float, y: float, w: float, h: float, colour: str, text: str, alpha: float = 0.6
) -> None:
    ax.add_patch(Rectangle((x, y), w, h, facecolor=colour, alpha=alpha, edgecolor="white"))
    ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=8)


def _arrow(ax: Axes, x: float, y: float, to: float) -> None:
    arrow = FancyArrowPatch((x, y), (to, y), arrowstyle="->", mutation_scale=10, color=GREY)
    ax.add_patch(arrow)


# ---------------------------------------------------------------------- the page

BLOCKS: Blocks = {"speed": speed, "ring": ring_table, "efficiency": efficiency_table}


def figures() -> dict[str, Callable[[], Figure]]:
    """The pictures by name; that of the measurement, once there is one."""
    found: dict[str, Callable[[], Figure]] = {"step": step_figure, "ring": ring_figure}
    if RESULTS.exists():
        found["speed"] = lambda: speed_figure(_results())
    return found


def write_all() -> None:
    """Write the marked blocks and draw the pictures."""
    markdown.write(PAGE, BLOCKS)
    for name, make in figures().items():
        make().savefig(IMAGES / f"distributed-{name}.png", dpi=100, metadata={"Software": None})
