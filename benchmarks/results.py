"""The results: their file, in which a new run replaces what it measured anew, and their tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import contestants, inference
from minires.bench.measure import OURS
from minires.bench.report import TARGETS, Column, Figure, Row, amount, surroundings, table
from minires.files import atomic_write


@dataclass
class Results:
    """Rows by name; what was measured on, and when."""

    machine: dict[str, str] = field(default_factory=dict)
    contestants: dict[str, dict[str, str]] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """What `add` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: _row(row) for name, row in data.pop("rows").items()}
        return cls(rows=rows, **data)

    def add(self, row: Row, date: str, path: Path | None = None) -> None:
        """Put a row in, in the place of an older one of its name, and write all to a file."""
        self.rows[row.name], self.dates[row.name] = row, date
        if path:
            with atomic_write(path) as file:
                file.write((json.dumps(asdict(self), indent=1) + "\n").encode())

    def limit(self, row: Row) -> float | None:
        """The seconds that a row's work takes at the machine's limits; None if they are unknown.

        Its products at the speed of the fastest large product, or its reads and writes at that of
        the fastest large copy, whichever takes longer.
        """
        if "product" not in self.rows or "copy" not in self.rows or row.unit != "s":
            return None
        product, copy = self.rows["product"], self.rows["copy"]
        computing = row.operations / product.operations * _fastest(product)
        moving = row.traffic / copy.traffic * _fastest(copy)
        return max(computing, moving) or None

    def text(self, names: Sequence[str]) -> str:
        """The surroundings and a table for each group of contestants."""
        chosen = [self.rows[name] for name in names if name in self.rows]
        seen = {name for row in chosen for name in row.figures}
        about = {name: facts for name, facts in self.contestants.items() if name in seen}
        parts = [surroundings(self.machine, about)]
        grouped = set()
        for title, group in contestants.groups().items():
            rivals = {c.name for c in group[1:]}
            rows = [r for r in chosen if group[0].name in r.figures and rivals & set(r.figures)]
            if title != "compiled":
                rows = [r for r in rows if inference.COMPILED.name not in r.figures]
            if rows:
                grouped |= {row.name for row in rows}
                shown = [c.name for c in group if any(c.name in row.figures for row in rows)]
                parts += ["", f"{title}:", table(rows, shown, self._columns(title, shown))]
        for row in chosen:
            if row.name not in grouped:  # steps towards the library, or parts of a run
                parts += ["", f"{row.words}:", *_lines(row)]
        return "\n".join(parts)

    def _columns(self, title: str, group: Sequence[str]) -> Sequence[Column]:
        if title == "default settings":
            return (*TARGETS, ("of the limit", self._share))
        if title == "compiled":
            return _of_compiled()
        if title == "other libraries":
            return [(f"{name} / ours", partial(_over, (name,), group[:1])) for name in group[1:]]
        ratio = [("ratio", partial(_over, group[:1], group[1:]))]
        return [*ratio, *TARGETS[1:]] if title == "beside Pillow" else ratio

    def _share(self, row: Row) -> str:
        limit = self.limit(row)
        return "" if limit is None else f"{limit / row.figures[OURS.name].median:.0%}"


def _over(some: Sequence[str], others: Sequence[str], row: Row) -> str:
    ratio = row.over(some, others)
    return "" if ratio is None else f"{ratio:.2f}"


def _of_compiled() -> list[Column]:
    """Ratios to PyTorch and to ONNX Runtime, each with its limit."""
    ours = (inference.COMPILED.name,)

    def limit(row: Row) -> str:
        found = inference.of_onnx_runtime(row.name)
        return "" if found is None else f"{found:.2f}"

    return [
        ("of PyTorch", partial(_over, ours, (inference.CHANNELS_LAST.name,))),
        ("limit", lambda row: f"{row.limit:.2f}" if row.limit else ""),
        ("of ONNX Runtime", partial(_over, ours, (inference.ONNX_RUNTIME.name,))),
        ("limit", limit),
    ]


def _lines(row: Row) -> list[str]:
    width = max(map(len, row.figures))
    return [f"  {n:<{width}}  {amount(f.median, row.unit):>9}" for n, f in row.figures.items()]


def _fastest(row: Row) -> float:
    return min(figure.median for figure in row.figures.values())


def _row(data: dict[str, Any]) -> Row:
    figures = {}
    for name, figure in data.pop("figures").items():
        rounds = tuple(figure.pop("rounds", ()))  # of older files
        figures[name] = Figure(**figure, rounds=rounds)
    return Row(figures=figures, **data)
