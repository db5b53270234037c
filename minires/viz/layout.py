"""Where the nodes of a graph go: layers from left to right, as few crossings as sweeps find.

Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system
structures": longest paths give the layers, barycentres the order within each. Long edges get a
dummy node in every layer that they pass, so that they go round the boxes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from minires.viz.scene import Point

SWEEPS = 12


@dataclass(frozen=True)
class Layout:
    """Centres of nodes; for each edge its points, a chain of Bezier curves; the whole size."""

    centres: list[Point]
    routes: list[tuple[Point, ...]]
    width: float
    height: float


def layered(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    gap: tuple[float, float] = (46, 22),
) -> Layout:
    """Lay out a graph without cycles, from left to right.

    Parameters
    ----------
    sizes : sequence of (width, height)
        Of the nodes, in an order where an edge's start comes before its end.
    edges : sequence of (int, int)
        From node to node.
    gap : (float, float)
        Between layers, and between nodes of one layer.
    """
    layer = _layers(len(sizes), edges)
    boxes = list(sizes)
    chains: list[list[int]] = []  # each edge with its dummies
    for start, end in edges:
        chain = [start]
        for between in range(layer[start] + 1, layer[end]):
            layer.append(between)
            boxes.append((1.0, 8.0))
            chain.append(len(boxes) - 1)
        chains.append([*chain, end])
    links = [pair for chain in chains for pair in itertools.pairwise(chain)]
    columns = _ordered(layer, links)
    x: dict[int, float] = {}
    left = 0.0
    for column in columns:
        wide = max((boxes[n][0] for n in column), default=0.0)
        x |= dict.fromkeys(column, left + wide / 2)
        left += wide + gap[0]
    y = _heights(columns, links, boxes, gap[1])
    top = min(y[n] - boxes[n][1] / 2 for n in y)
    y = {n: v - top for n, v in y.items()}
    routes = [_route(chain, x, y, boxes) for chain in chains]
    bottom = max(y[n] + boxes[n][1] / 2 for n in y)
    return Layout([(x[n], y[n]) for n in range(len(sizes))], routes, left - gap[0], bottom)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest path from any start; then starts move next to whom they feed."""
    layer = [0] * count
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        layer[end] = max(layer[end], layer[start] + 1)
    fed = {end for _, end in edges}
    for node in range(count):
        nearest = [layer[end] for start, end in edges if start == node]
        if node not in fed and nearest:
            layer[node] = min(nearest) - 1
    return layer


def _ordered(layer: list[int], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    columns: list[list[int]] = [[] for _ in range(max(layer, default=0) + 1)]
    for node, at in enumerate(layer):
        columns[at].append(node)
    before: dict[int, list[int]] = {n: [] for n in range(len(layer))}
    after: dict[int, list[int]] = {n: [] for n in range(len(layer))}
    for start, end in links:
        before[end].append(start)
        after[start].append(end)
    place = {n: float(i) for column in columns for i, n in enumerate(column)}
    best, fewest = [list(c) for c in columns], _crossings(columns, after, place)
    for sweep in range(SWEEPS):
        towards = before if sweep % 2 == 0 else after
        for column in columns if sweep % 2 == 0 else reversed(columns):
            centre = {
                n: sum(place[m] for m in towards[n]) / len(towards[n]) if towards[n] else place[n]
                for n in column
            }
            column.sort(key=centre.__getitem__)
            place |= {n: float(i) for i, n in enumerate(column)}
        crossings = _crossings(columns, after, place)
        if crossings < fewest:
            best, fewest = [list(c) for c in columns], crossings
    return best


def _crossings(
    columns: list[list[int]], after: dict[int, list[int]], place: dict[int, float]
) -> int:
    count = 0
    for column in columns:
        links = [(place[n], place[m]) for n in column for m in after[n]]
        count += sum(
            (a - c) * (b - d) < 0 for i, (a, b) in enumerate(links) for c, d in links[i + 1 :]
        )
    return count


def _heights(
    columns: list[list[int]],
    links: Sequence[tuple[int, int]],
    boxes: Sequence[tuple[float, float]],
    gap: float,
) -> dict[int, float]:
    """Every node near the mean of its neighbours, none on top of another."""
    near: dict[int, list[int]] = {}
    for start, end in links:
        near.setdefault(start, []).append(end)
        near.setdefault(end, []).append(start)
    y: dict[int, float] = {}
    for column in columns:
        top = 0.0
        for n in column:
            y[n] = top + boxes[n][1] / 2
            top += boxes[n][1] + gap
        for n in column:  # columns share their middle
            y[n] -= top / 2
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wish = [
                sum(y[m] for m in near[n]) / len(near[n]) if n in near else y[n] for n in column
            ]
            room = [(boxes[a][1] + boxes[b][1]) / 2 + gap for a, b in itertools.pairwise(column)]
            y |= dict(zip(column, _apart(wish, room), strict=True))
    return y


def _apart(wish: Sequence[float], room: Sequence[float]) -> list[float]:
    """Positions in order, `room` apart at least, nearest to what is wished in least squares.

    Blocks that touch move as one to their mean (the pool-adjacent-violators algorithm).
    """
    offsets = [0.0]
    for space in room:
        offsets.append(offsets[-1] + space)
    blocks: list[tuple[float, int]] = []  # (sum of wishes less offsets, members)
    for want, offset in zip(wish, offsets, strict=True):
        blocks.append((want - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            (a, m), (b, n) = blocks.pop(-2), blocks.pop()
            blocks.append((a + b, m + n))
    means = [total / n for total, n in blocks for _ in range(n)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _route(
    chain: Sequence[int],
    x: dict[int, float],
    y: dict[int, float],
    boxes: Sequence[tuple[float, float]],
) -> tuple[Point, ...]:
    start, end = chain[0], chain[-1]
    stops = [(x[start] + boxes[start][0] / 2, y[start])]
    stops += [(x[n], y[n]) for n in chain[1:-1]]
    stops += [(x[end] - boxes[end][0] / 2 - 2, y[end])]
    points = [stops[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(stops):
        middle = (x0 + x1) / 2
        points += [(middle, y0), (middle, y1), (x1, y1)]
    return tuple(points)
