"""Results as text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import Results, Row
from minires.bench.measure import OURS


def table(rows: Sequence[Row]) -> str:
    """A line a workload: what each contestant took, and the ratio to PyTorch beside its target."""
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    head = ["", *names, "ratio", "at most", "aim"]
    lines = [[row.words, *(_cell(row, n) for n in names), *_targets(row)] for row in rows]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    shown = []
    for line in [head, *lines]:
        cells = [c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]
        shown.append("  ".join([line[0].ljust(widths[0]), *cells]).rstrip())
    return "\n".join(shown)


def _cell(row: Row, name: str) -> str:
    return amount(row.figures[name].median, row.unit) if name in row.figures else "-"


def amount(value: float, unit: str) -> str:
    """Seconds in ms, bytes in MiB."""
    return f"{value * 1e3:.4g} ms" if unit == "s" else f"{value / 2**20:.0f} MiB"


def _targets(row: Row) -> list[str]:
    ratio = row.ratio(row.best)
    wanted = ["" if x is None else f"{x:.2f}" for x in (row.at_most, row.aim)]
    missed = ratio is not None and row.at_most is not None and ratio > row.at_most
    return ["-" if ratio is None else f"{ratio:.2f}{'!' if missed else ' '}", *wanted]


def surroundings(results: Results) -> str:
    """The machine, and each contestant's version, threads and kernels."""
    lines = [f"{name}: {value}" for name, value in results.machine.items()]
    for name, facts in results.contestants.items():
        rest = ", ".join(f"{k} {v}" for k, v in facts.items() if k != "library")
        lines.append(f"{name}: {facts['library']}, {rest}")
    lines.append(f"ratio: {OURS.name} over PyTorch in its faster layout; ! is more than asked")
    return "\n".join(lines)
