"""Results as rows, and their file: a new run replaces the rows that it measured anew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minires.bench.measure import OURS, PYTORCH, Timing
from minires.files import atomic_write


@dataclass(frozen=True)
class Figure:
    """What one contestant took: the median and quartiles of its runs, in seconds or bytes."""

    median: float
    lower: float
    upper: float
    runs: int
    difference: float = 0.0
    """The largest relative difference of its results from minires's."""

    @classmethod
    def of(cls, timing: Timing) -> Figure:
        runs = sum(map(len, timing.bursts))
        lower, median, upper = (timing.quantile(q) for q in (0.25, 0.5, 0.75))
        return cls(median, lower, upper, runs, timing.difference)


@dataclass(frozen=True)
class Row:
    """The figures of one workload, by contestant."""

    name: str
    words: str
    unit: str
    figures: dict[str, Figure]
    at_most: float | None = None
    aim: float | None = None

    @property
    def best(self) -> str | None:
        """PyTorch in its better layout, set up as it comes."""
        names = [c.name for c in PYTORCH if c.name in self.figures]
        return min(names, key=lambda name: self.figures[name].median) if names else None

    def ratio(self, other: str | None) -> float | None:
        """How many times as much minires took as another contestant."""
        if other not in self.figures or OURS.name not in self.figures:
            return None
        return self.figures[OURS.name].median / self.figures[other].median


@dataclass
class Results:
    """Rows by name; what was measured on, and when."""

    machine: dict[str, str] = field(default_factory=dict)
    contestants: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """What `write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: _row(row) for name, row in data.pop("rows").items()}
        return cls(rows=rows, **data)

    def write(self, path: Path) -> None:
        """As JSON."""
        with atomic_write(path) as file:
            file.write((json.dumps(asdict(self), indent=1) + "\n").encode())

    def add(self, rows: Iterable[Row], date: str) -> None:
        """Put rows in, in the place of older ones of the same names."""
        for row in rows:
            self.rows[row.name] = row
            self.dates[row.name] = date


def _row(data: dict[str, Any]) -> Row:
    figures = {name: Figure(**figure) for name, figure in data.pop("figures").items()}
    return Row(figures=figures, **data)
