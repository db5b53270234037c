"""The file of results: a new run replaces the rows that it measured anew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minires.bench.report import Figure, Row
from minires.files import atomic_write


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
