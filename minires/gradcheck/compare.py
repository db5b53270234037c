"""Analytic against numerical gradients, element by element or along random directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np  # host arithmetic in float64

from minires.gradcheck.comparison import Comparison
from minires.gradcheck.entries import Check, Entries
from minires.gradcheck.numeric import (
    direction_line,
    element_line,
    element_steps,
    retry_steps,
    spread,
)
from minires.gradcheck.subject import HostArray

DIRECTIONS = 4
"""How many random directions the directional mode looks along."""

MOST_CULPRITS = 5
"""After how many inputs with a wrong gradient the directional mode stops looking for more."""


def compare_elements(check: Check) -> list[Comparison]:
    """Every element of every input: two evaluations each."""
    of_inputs = []
    for i, array in enumerate(check.lines.point):
        places = [element_line(array, index) for index in np.ndindex(array.shape)]
        steps = element_steps(array, check.step).ravel()
        retries = [retry_steps(*pair) for pair in zip(steps, array.ravel(), strict=True)]
        analytic = np.array([_analytic(check, row, i).ravel() for row in check.rows])
        of_inputs.append(Entries(check, places, list(steps), retries, analytic))
    numeric = [entries.numeric for entries in of_inputs]
    return [
        comparison
        for i, entries in enumerate(of_inputs)
        for comparison in entries.comparisons(
            check.problem.inputs[i], check.lines.point[i].shape, i, numeric
        )
    ]


def compare_directions(check: Check, rng: np.random.Generator) -> list[Comparison]:
    """Random directions through all inputs at once; if one is wrong, halves, to find the culprits.

    An error in any one entry of the gradient shows in a random direction, unless it is hidden
    below the tolerance of the sum.
    """
    everything = list(range(len(check.lines.point)))
    found = _compare_along(check, everything, rng)
    waiting = [] if all(c.passed for c in found) else _halves(everything)
    culprits = 0
    while waiting and culprits < MOST_CULPRITS:
        moved = waiting.pop()
        comparisons = _compare_along(check, moved, rng)
        if all(c.passed for c in comparisons):
            continue
        waiting += _halves(moved)
        if len(moved) == 1:
            found += [c for c in comparisons if not c.passed]
            culprits += 1
    return found


def _halves(indices: list[int]) -> list[list[int]]:
    middle = len(indices) // 2
    return [indices[middle:], indices[:middle]] if middle else []


def random_directions(arrays: Sequence[HostArray], rng: np.random.Generator) -> list[HostArray]:
    """Normal entries, scaled to each array's spread (its size if it is constant, 1 if it is 0)."""
    return [
        np.asarray(rng.normal(size=a.shape) * (spread(a) or abs(a).max(initial=0) or 1.0))
        for a in arrays
    ]


def _compare_along(check: Check, moved: list[int], rng: np.random.Generator) -> list[Comparison]:
    inputs = check.problem.inputs
    name = inputs[moved[0]] if len(moved) == 1 else f"{len(moved)} inputs, {inputs[moved[0]]} first"
    arrays = [check.lines.point[i] for i in moved]
    directions = [random_directions(arrays, rng) for _ in range(DIRECTIONS)]
    places = [direction_line(arrays, direction) for direction in directions]
    analytic = np.array(
        [
            [
                sum(
                    float((_analytic(check, row, i) * u).sum())
                    for i, u in zip(moved, direction, strict=True)
                )
                for direction in directions
            ]
            for row in check.rows
        ]
    )
    steps, retries = [check.step] * DIRECTIONS, [retry_steps(check.step)] * DIRECTIONS
    entries = Entries(check, places, steps, retries, analytic)
    return entries.comparisons(name, None, moved[0] if len(moved) == 1 else None)


def _analytic(check: Check, row: tuple[int, int], i: int) -> HostArray:
    gradient = check.gradients[row[0]][row[1]][i]
    return np.zeros(check.problem.point[i].shape) if gradient is None else gradient
