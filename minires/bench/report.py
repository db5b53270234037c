"""What was measured, as rows of a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from minires.bench.measure import OURS, PYTORCH, Timing
from minires.bench.workloads import Workload
from minires.markup import aligned


@dataclass(frozen=True)
class Figure:
    """What one contestant took: the median and quartiles of its runs, in seconds or bytes."""

    median: float
    lower: float
    upper: float
    runs: int
    difference: float = 0.0
    """The largest relative difference of its results from minires's."""
    rounds: tuple[float, ...] = ()
    """The median of each round, in which the contestants took turns; empty if there were none."""

    @classmethod
    def of(cls, timing: Timing) -> Figure:
        """The quartiles of all its runs."""
        runs = sum(map(len, timing.bursts))
        lower, median, upper = (timing.quantile(q) for q in (0.25, 0.5, 0.75))
        rounds = tuple(map(statistics.median, timing.bursts))
        return cls(median, lower, upper, runs, timing.difference, rounds)

    def over(self, other: Figure) -> float:
        """How many times as much as the other it took: the median of the rounds' ratios.

        What slows a machine down for some rounds hits both sides of these ratios.
        """
        if not self.rounds or len(self.rounds) != len(other.rounds):
            return self.median / other.median
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


@dataclass(frozen=True)
class Row:
    """The figures of one workload, by contestant."""

    name: str
    words: str
    unit: str
    figures: dict[str, Figure]
    limit: float | None = None
    target: float | None = None
    operations: float = 0.0
    """The multiplications and additions of its products."""
    traffic: float = 0.0
    """The bytes that it must read and write."""

    @classmethod
    def of(cls, workload: Workload, figures: dict[str, Figure], **work: float) -> Row:
        """A workload's figures, with what is asked of them."""
        unit = "bytes" if workload.what == "memory" else "s"
        asked = workload.limit, workload.target
        return cls(workload.name, workload.words, unit, figures, *asked, **work)

    def ratio(self) -> float | None:
        """How many times as much minires took as PyTorch in its faster layout, as both come."""
        return self.over([OURS.name], [c.name for c in PYTORCH])

    def over(self, some: Sequence[str], others: Sequence[str]) -> float | None:
        """How many times as much the fastest of some contestants took as the fastest of others."""
        one, other = (
            [self.figures[name] for name in names if name in self.figures]
            for names in (some, others)
        )
        if not one or not other:
            return None
        fastest, rival = (min(figures, key=lambda f: f.median) for figures in (one, other))
        return fastest.over(rival)


def table(rows: Sequence[Row], contestants: Sequence[str], more: Sequence[Column] = ()) -> str:
    """A line a workload with what each contestant took, and more columns after that."""
    lines = [["", *contestants, *(head for head, _ in more)]]
    for row in rows:
        cells = [
            amount(row.figures[name].median, row.unit) if name in row.figures else ""
            for name in contestants
        ]
        lines.append([row.words, *cells, *(cell(row) for _, cell in more)])
    return "\n".join(aligned(lines))


def amount(value: float, unit: str) -> str:
    """Seconds in milliseconds, bytes in MiB."""
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    ms = value * 1e3
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def _ratio(row: Row) -> str:
    ratio = row.ratio()
    missed = ratio is not None and row.limit is not None and ratio > row.limit
    return "" if ratio is None else f"{ratio:.2f}{'!' if missed else ' '}"


Column = tuple[str, Callable[[Row], str]]

TARGETS: tuple[Column, ...] = (
    ("ratio", _ratio),
    ("limit", lambda row: f"{row.limit:.2f}" if row.limit else ""),
    ("target", lambda row: f"{row.target:.2f}" if row.target else ""),
)
"""The ratio to PyTorch, and what is asked of it."""


def surroundings(machine: Mapping[str, str], contestants: Mapping[str, Mapping[str, str]]) -> str:
    """The machine, each contestant's version, threads and kernels, and what the ratio is."""
    lines = [f"{name}: {value}" for name, value in machine.items()]
    for name, facts in contestants.items():
        rest = ", ".join(f"{k} {v}" for k, v in facts.items() if k != "library")
        lines.append(f"{name}: {facts['library']}, {rest}")
    if any(c.name in contestants for c in PYTORCH):
        lines.append(
            "ratio: minires over PyTorch in its faster layout, the median of the rounds' ratios; "
            "! marks one above its limit"
        )
    return "\n".join(lines)
