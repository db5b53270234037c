"""Grids of numbers in a drawing, whose cells frames can change."""

from __future__ import annotations

from collections.abc import Iterable

from minires.viz.scene import Box, Label, Scene
from minires.viz.text import HostArray, number

CELL = 36.0  # pixels, a cell's height and its least width


def add_grid(
    scene: Scene,
    key: str,
    title: str,
    corner: tuple[float, float],
    size: tuple[int, int],
    wide: float = CELL,
    classes: dict[tuple[int, int], str] | None = None,
) -> None:
    """An empty grid of (rows, columns) cells below its title; a cell's key is `cell_key`'s."""
    x, y = corner
    scene.add(Label(x, y - 14, title, "strong", anchor="start"))
    for i in range(size[0]):
        for j in range(size[1]):
            cls = (classes or {}).get((i, j), "cell")
            name = cell_key(key, i, j)
            left, top = x + j * wide, y + i * CELL
            scene.add(
                Box(left + 1, top + 1, wide - 2, CELL - 2, cls, name, radius=3),
                Label(left + wide / 2, top + CELL / 2, "", cls, name, size=12),
            )


def cell_key(key: str, i: int, j: int) -> str:
    """The key of one cell's box and number."""
    return f"{key}:{i},{j}"


def cell_width(texts: Iterable[tuple[str, str]], letter: str) -> float:
    """What the longest text takes in the grids whose name ends with this letter, as x and dx."""
    lengths = [len(text) for key, text in texts if key.partition(":")[0].rstrip("0123456789")
               .endswith(letter)]  # fmt: skip
    return max(CELL, 10 + 7.7 * max(lengths, default=0))


def grid_text(key: str, values: HostArray) -> dict[str, str]:
    """The numbers of a whole grid, for a frame's `text`."""
    rows, columns = values.shape
    return {cell_key(key, i, j): number(values[i, j]) for i in range(rows) for j in range(columns)}


def mark(key: str, cells: Iterable[tuple[int, int]], cls: str) -> dict[str, str]:
    """One class for some cells, for a frame's `marks` or `classes`."""
    return {cell_key(key, i, j): cls for i, j in cells}
