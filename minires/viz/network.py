"""`graph`: a whole network, or the graph behind a tensor, as one picture."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np  # for an input of zeros

from minires.backward import topological_order
from minires.engine import Node
from minires.grad_mode import enable_grad
from minires.nn import Module
from minires.nn.modes import evaluating
from minires.tensors import Tensor
from minires.viz.layout import Layout, layered
from minires.viz.player import Frame, Player, TooLargeError
from minires.viz.scene import Box, Curve, Label, Point, Scene, text_width
from minires.viz.text import shape_text

MOST_BOXES = 400
READABLE = 60
"""Boxes of a module's picture, where `depth` is not given: layers are folded until there are fewer.

`MOST_BOXES` is what can be drawn at all.
"""


@dataclass(frozen=True)
class Block:
    """A box: its name, what kind of thing it is, and its output's shape."""

    name: str
    kind: str
    shape: tuple[int, ...]


def graph(
    what: Tensor | Module,
    input_shape: tuple[int, ...] | None = None,
    *,
    depth: int | None = None,
    names: Mapping[str, Any] | None = None,
) -> Player:
    """Draw the graph behind a tensor, or a whole network, with the shapes on the edges.

    Graphviz's `dot` places the boxes where it is installed, a plain layered layout where not.

    Parameters
    ----------
    what : Tensor or Module
    input_shape : tuple of int, optional
        For a Module: one sample's shape, (H, W, C) for an image.
    depth : int, optional
        For a Module: how many levels of its dotted names to tell apart; 1 draws its direct parts.
        By default as many as leave at most 60 boxes.
    names : mapping of str to Tensor, optional
        For a Tensor: what to call the leaves. By default the caller's variables.

    Returns
    -------
    Player
        Of a single step.

    Raises
    ------
    TypeError
        If `what` is neither, or a Module comes without `input_shape`.
    ValueError
        If a tensor is in no graph.
    TooLargeError
        If there are more than 400 boxes.
    """
    if isinstance(what, Module):
        if input_shape is None:
            raise TypeError("graph of a Module wants input_shape, one sample's: (32, 32, 3)")
        blocks, edges = _module_blocks(what, input_shape, depth)
        title = type(what).__name__
    elif isinstance(what, Tensor):
        if names is None:
            caller = sys._getframe(1)
            names = {**caller.f_globals, **caller.f_locals}
        blocks, edges = _tensor_blocks(what, names)
        title = "The graph behind a tensor"
    else:
        raise TypeError(f"graph wants a Tensor or a Module, got {type(what).__name__}")
    if len(blocks) > MOST_BOXES:
        raise TooLargeError(
            f"this graph has {len(blocks)} boxes, more than {MOST_BOXES}: give a Module a smaller "
            "depth"
        )
    sentence = (
        f"{title}: {len(blocks)} boxes from {blocks[0].name} to {blocks[-1].name}; each arrow "
        "carries the shape of what flows along it."
    )
    scene = _scene(blocks, edges, batch=isinstance(what, Module))
    return Player(title, scene, [Frame(sentence)])


# ---------------------------------------------------------------------- boxes and edges

Edges = list[tuple[int, int, tuple[int, ...]]]
"""From box, to box, and the shape of what flows."""


def _tensor_blocks(tensor: Tensor, names: Mapping[str, Any]) -> tuple[list[Block], Edges]:
    if tensor.node is None:
        raise ValueError("this tensor is in no graph: nothing behind it requires a gradient")
    own = {
        value.node: name
        for name, value in reversed(list(names.items()))
        if isinstance(value, Tensor) and value.node is not None and not name.startswith("_")
    }
    nodes = topological_order(tensor.node)
    place = {node: i for i, node in enumerate(nodes)}
    blocks = [
        Block(
            own.get(node, "") or (node.op.name if node.op else "leaf"),
            node.op.name if node.op and node in own else "" if node.op else "leaf",
            node.shape,
        )
        for node in nodes
    ]
    edges = {(place[p], place[n], p.shape) for n in nodes for p in n.parents if p is not None}
    return blocks, sorted(edges)


def _module_blocks(
    model: Module, input_shape: tuple[int, ...], depth: int | None
) -> tuple[list[Block], Edges]:
    first = next(model.parameters(), None)
    zeros = np.zeros((1, *input_shape), np.float32 if first is None else first.dtype)
    x = Tensor(zeros).to("cpu" if first is None else first.device).requires_grad_()
    with _spans(model) as spans, enable_grad():
        out = model(x)
    if not isinstance(out, Tensor) or out.node is None or x.node is None:
        raise ValueError(f"{type(model).__name__} returned nothing that depends on its input")
    parameters = {p.node for p in model.parameters()}
    nodes = [
        n for n in topological_order(out.node) if n not in parameters and (n.op or n is x.node)
    ]
    levels = max((name.count(".") + 1 for name, *_ in spans), default=1)
    tries = [depth] if depth is not None else range(levels, 0, -1)
    for level in tries:
        blocks, edges = _grouped(nodes, spans, level, x.node)
        if len(blocks) <= READABLE:
            break
    return blocks, edges


@contextmanager
def _spans(model: Module) -> Any:
    """In evaluation mode; lists (name, kind, first, last): the nodes' order in each leaf's call."""
    spans: list[tuple[str, str, int, int]] = []
    names = {id(module): name for name, module in model.named_modules()}
    starts: list[int] = []
    removers = []

    def before(module: Module, args: Any) -> None:
        starts.append(Node(np.empty(0)).order)

    def after(module: Module, args: Any, out: Any) -> None:
        kind = type(module).__name__
        spans.append((names[id(module)] or kind, kind, starts.pop(), Node(np.empty(0)).order))

    for module in model.modules():
        if not list(module.children()):
            removers += [
                module.register_forward_pre_hook(before),
                module.register_forward_hook(after),
            ]
    try:
        with evaluating(model):
            yield spans
    finally:
        for remove in removers:
            remove()


def _grouped(
    nodes: Sequence[Node], spans: Sequence[tuple[str, str, int, int]], level: int, x: Node
) -> tuple[list[Block], Edges]:
    """Neighbours in time whose names agree in the first `level` parts are one box."""
    labels: list[tuple[str, str]] = []
    for node in nodes:
        span = next((s for s in spans if s[2] < node.order < s[3]), None)
        if node is x:
            labels.append(("input", ""))
        elif span is None:
            labels.append((node.op.name if node.op else "leaf", ""))
        else:
            name = ".".join(span[0].split(".")[:level])
            labels.append((name, span[1] if name == span[0] else "module"))
    box_of: dict[Node, int] = {}
    blocks: list[Block] = []
    last: tuple[str, str] | None = None
    for node, label in zip(nodes, labels, strict=True):
        inside = label[1] != ""
        if not inside or label != last:
            blocks.append(Block(*label, node.shape))
        else:
            blocks[-1] = Block(*label, node.shape)
        last = label
        box_of[node] = len(blocks) - 1
    edges = {
        (box_of[p], box_of[n], p.shape)
        for n in nodes
        for p in n.parents
        if p in box_of and box_of[p] != box_of[n]
    }
    return blocks, sorted(edges)


# ---------------------------------------------------------------------- the drawing


def _scene(blocks: Sequence[Block], edges: Edges, batch: bool) -> Scene:
    sizes = [
        (max(96.0, 20 + text_width(b.name), 20 + text_width(b.kind, 11)), 46.0 if b.kind else 30.0)
        for b in blocks
    ]
    pairs = [(a, b) for a, b, _ in edges]
    images = {i for i, block in enumerate(blocks) if batch and block.name == "input"}
    for a, b in pairs:  # in the order of time
        images |= {b} if a in images else set()  # weights have no N
    texts = [
        f"N × {shape_text(s[1:])}" if a in images else shape_text(s) or "number"
        for a, _, s in edges
    ]
    layout, spots = _by_dot(sizes, pairs, texts) or _downwards(sizes, pairs, texts)
    right = max((x + _half(text) for (x, _), text in zip(spots, texts, strict=True)), default=0)
    scene = Scene(max(layout.width, right) + 24, layout.height + 24)
    for points, text, (x, y) in zip(layout.routes, texts, spots, strict=True):
        scene.add(Curve(tuple((x + 12, y + 12) for x, y in points), cubic=True))
        scene.add(Label(x + 12, y + 12, text, "soft", size=11))
    for block, (x, y), (width, height) in zip(blocks, layout.centres, sizes, strict=True):
        scene.add(Box(x + 12 - width / 2, y + 12 - height / 2, width, height, _look(block)))
        scene.add(Label(x + 12, y + (3 if block.kind else 12), block.name, "strong"))
        if block.kind:
            scene.add(Label(x + 12, y + 22, block.kind, "soft", size=11))
    return scene


def _half(text: str) -> float:
    """Half of what a label beside an edge takes."""
    return text_width(text, 11) / 2


def _look(block: Block) -> str:
    return "box forward" if block.kind == "leaf" or block.name == "input" else "box"


Placed = tuple[Layout, list[Point]]


def _downwards(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], texts: Sequence[str]
) -> Placed:
    """Our own layout from left to right, turned so that it runs downwards."""
    turned = layered([(h, w) for w, h in sizes], edges, gap=(44, 70))
    routes = [tuple((x, y) for y, x in route) for route in turned.routes]
    layout = Layout([(x, y) for y, x in turned.centres], routes, turned.height, turned.width)
    spots = [
        (x + 5 + _half(text), (y + middle) / 2)
        for ((x, y), (_, middle), *_), text in zip(routes, texts, strict=True)
    ]
    return layout, spots


def _by_dot(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], texts: Sequence[str]
) -> Placed | None:
    """The layout that Graphviz finds; None where it is not installed or fails.

    It gets numbers and shapes only, no names, so nothing needs quoting.
    """
    dot = shutil.which("dot")
    if dot is None:
        return None
    lines = ["digraph {", "node [shape=box fixedsize=true]", "ranksep=0.4 nodesep=0.5"]
    lines.append("edge [arrowhead=none fontsize=11]")
    lines += [f"n{i} [width={w / 72:.4f} height={h / 72:.4f}]" for i, (w, h) in enumerate(sizes)]
    for (a, b), text in zip(edges, texts, strict=True):
        lines.append(f'n{a} -> n{b} [label="{text}"]')
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [dot, "-Tplain"],
            input="\n".join([*lines, "}"]),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=30,
            check=True,
        )
        return _read_plain(done.stdout, edges)
    return None


def _read_plain(text: str, edges: Sequence[tuple[int, int]]) -> Placed:
    """Graphviz's plain format: inches, with the origin at the bottom left."""
    rows = [line.split() for line in text.splitlines()]
    width, height = (72 * float(v) for v in rows[0][2:4])
    centres: dict[int, Point] = {}
    found: dict[tuple[int, int], list[tuple[tuple[Point, ...], Point]]] = {}
    for row in rows:
        if row[0] == "node":
            centres[int(row[1][1:])] = (72 * float(row[2]), height - 72 * float(row[3]))
        elif row[0] == "edge":
            count = int(row[3])
            flat = [72 * float(v) for v in row[4 : 4 + 2 * count]]
            points = tuple(zip(flat[::2], (height - y for y in flat[1::2]), strict=True))
            label = row[4 + 2 * count :]
            spot = points[count // 2]
            if len(label) >= 4:  # the text has spaces, so the place is counted from the end
                spot = (72 * float(label[-4]) + 6, height - 72 * float(label[-3]))
            found.setdefault((int(row[1][1:]), int(row[2][1:])), []).append((points, spot))
    placed = [found[edge].pop(0) for edge in edges]
    layout = Layout(
        [centres[i] for i in range(len(centres))], [route for route, _ in placed], width, height
    )
    return layout, [spot for _, spot in placed]
