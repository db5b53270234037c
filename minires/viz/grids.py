"""Grids of numbers in a drawing, whose cells frames can change."""

from __future__ import annotations

from collections.abc import Iterable

from minires.viz.scene import Box, Label, Scene
from minires.viz.text import HostArray, number

CELL = 36.0  # pixels


def add_grid(
    scene: Scene,
    key: str,
    title: str,
    corner: tuple[float, float],
    size: tuple[int, int],
    classes: dict[tuple[int, int], str] | None = None,
    cell: tuple[float, float] = (CELL, CELL),
) -> None:
    """An empty grid of (rows, columns) cells below its title; a cell's key is `cell_key`'s."""
    x, y = corner
    wide, high = cell
    scene.add(Label(x, y - 14, title, "strong", anchor="start"))
    for i in range(size[0]):
        for j in range(size[1]):
            cls = (classes or {}).get((i, j), "cell")
            name = cell_key(key, i, j)
            left, top = x + j * wide, y + i * high
            scene.add(
                Box(left + 1, top + 1, wide - 2, high - 2, cls, name, radius=3),
                Label(left + wide / 2, top + high / 2, "", cls, name, size=12),
            )


def cell_key(key: str, i: int, j: int) -> str:
    """The key of one cell's box and number."""
    return f"{key}:{i},{j}"


def grid_text(key: str, values: HostArray) -> dict[str, str]:
    """The numbers of a whole grid, for a frame's `text`."""
    rows, columns = values.shape
    return {cell_key(key, i, j): number(values[i, j]) for i in range(rows) for j in range(columns)}


def mark(key: str, cells: Iterable[tuple[int, int]], cls: str) -> dict[str, str]:
    """One class for some cells, for a frame's `marks` or `classes`."""
    return {cell_key(key, i, j): cls for i, j in cells}
