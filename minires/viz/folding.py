"""A graph of many values as one of few units: by module where a module is known, else by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minires.viz.player import TooLargeError
from minires.viz.step_through_recording import Trace, Value

MOST_UNITS = 40
"""Boxes that a reader can still follow."""


@dataclass(frozen=True)
class Unit:
    """Values that are shown as one box."""

    name: str
    members: tuple[int, ...]


def fold(trace: Trace) -> list[Unit]:
    """Units in an order where each comes after those that feed it; single values if they are few.

    Raises
    ------
    TooLargeError
        If even the coarsest folding leaves more than 40 boxes.
    """
    values = trace.values
    if len(values) <= MOST_UNITS:
        return [Unit(value.name, (i,)) for i, value in enumerate(values)]
    deepest = max(value.scope.count(".") + 1 for value in values)
    units: list[Unit] = []
    for depth in range(deepest, 0, -1):
        units = _units(values, [".".join(value.scope.split(".")[:depth]) for value in values])
        if len(units) <= MOST_UNITS:
            return units
    raise TooLargeError(
        f"this graph has {len(values)} values, and still {len(units)} boxes when folded; at most "
        f"{MOST_UNITS} can be stepped through: take a smaller expression, or see viz.graph"
    )


def _units(values: Sequence[Value], scopes: Sequence[str]) -> list[Unit]:
    """Runs of operations of one module, or of one line; each a stretch of time, so in order.

    What uses no parameter (a ReLU, an addition) stays with the operation just before it, if their
    code is in one file. A leaf goes into the unit that uses it, if it is only one.
    """
    by_line = not any(scopes)
    names: list[str] = []
    members: list[list[int]] = []
    unit_of: dict[int, int] = {}
    for i, value in enumerate(values):
        if value.is_leaf:
            continue
        before = members[-1][-1] if members else None
        if before is None:
            joins = False
        elif by_line:
            joins = values[before].line == value.line
        elif scopes[i]:
            joins = names[-1] == scopes[i]
        else:
            joins = _file(values[before]) == _file(value)
        if joins:
            members[-1].append(i)
        else:
            members.append([i])
            names.append(scopes[i] or f"{value.op}, {Path(value.line).name}")
        unit_of[i] = len(members) - 1
    alone = []
    for i, value in enumerate(values):
        if value.is_leaf:
            users = {unit_of[j] for j in unit_of if i in values[j].parents}
            if len(users) == 1:
                members[users.pop()].append(i)
            else:
                alone.append(Unit(value.name, (i,)))
    return alone + [Unit(n, tuple(sorted(m))) for n, m in zip(names, members, strict=True)]


def _file(value: Value) -> str:
    return value.line.rpartition(":")[0]
