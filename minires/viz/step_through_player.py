"""`step_through`: a graph forwards value by value, then backwards rule by rule."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np  # host arithmetic

from minires.tensors import Tensor
from minires.viz.folding import Unit, fold
from minires.viz.formulas import forward_formula, local_formula, whole_formula
from minires.viz.layout import layered
from minires.viz.player import Frame, Player
from minires.viz.scene import Box, Curve, Label, Scene, text_width
from minires.viz.step_through_recording import Trace, Value, record
from minires.viz.text import (
    HostArray,
    brief,
    escape,
    factor,
    lines,
    matrix,
    number,
    partial,
    shape_text,
)

LINE = 21  # pixels


def step_through(loss: Tensor, names: Mapping[str, Any] | None = None) -> Player:
    """Step through a graph: forwards with its values, then backwards with its gradients.

    The walk is the engine's own; it keeps the graph and leaves every ``.grad`` as it is. A graph of
    more than 40 values is folded: by module if `names` has the module, else by line.

    Parameters
    ----------
    loss : Tensor
        Of one element, in a graph that no `backward` has freed.
    names : mapping of str to Tensor or Module, optional
        What to call them; a Module names its parameters. By default the caller's variables.

    Returns
    -------
    Player

    Raises
    ------
    BackwardError
        If `loss` is in no graph, has more than one element, or its graph has been freed.
    TypeError
        If `loss` is no Tensor or `names` no mapping.
    TooLargeError
        If more than 40 boxes are left after folding.

    Examples
    --------
    >>> x = Tensor(3.0, requires_grad=True)
    >>> step_through(x * x + x, names={"x": x})
    <player: Forwards and backwards through v₂, 8 steps; a notebook shows it, .plot() draws it>
    """
    if names is None:
        caller = sys._getframe(1)
        names = {
            name: value
            for name, value in {**caller.f_globals, **caller.f_locals}.items()
            if not name.startswith("_")
        }
    if not isinstance(names, Mapping):
        raise TypeError(
            f"step_through wants names as a mapping, {{'x': x}}, got {type(names).__name__}"
        )
    trace = record(loss, names)
    return _Stepper(trace, fold(trace)).player()


class _Stepper:
    """Boxes and frames of a trace; what the frames say is known before the boxes are laid out."""

    def __init__(self, trace: Trace, units: Sequence[Unit]) -> None:
        self.values, self.units = trace.values, units
        self.walk = trace.walk
        self.unit_of = {m: u for u, unit in enumerate(units) for m in unit.members}
        self.loss = trace.walk[0]
        self.root = escape(self.values[self.loss].name)
        self.sums: dict[int, HostArray] = {}  # gradients as far as they have been added up
        self.widest = [""] * len(units)  # each box's longest gradient

    def player(self) -> Player:
        frames = [*self._forwards(), *self._backwards()]
        name = self.values[self.loss].name
        return Player(f"Forwards and backwards through {name}", self._scene(), frames)

    # ------------------------------------------------------------------ the drawing

    def _scene(self) -> Scene:
        edges = sorted(
            {
                (self.unit_of[p], u)
                for u, unit in enumerate(self.units)
                for m in unit.members
                for p in self.values[m].parents
                if p is not None and self.unit_of[p] != u
            }
        )
        sizes = [(self._width(u), 3 * LINE + 14.0) for u in range(len(self.units))]
        layout = layered(sizes, edges)
        scene = Scene(layout.width + 24, layout.height + 34)
        for (start, end), points in zip(edges, layout.routes, strict=True):
            moved = tuple((x + 12, y + 20) for x, y in points)
            scene.add(Curve(moved, key=f"edge{start}-{end}", cubic=True))
        for u, (x, y) in enumerate(layout.centres):
            self._box(scene, u, x + 12 - sizes[u][0] / 2, y + 20 - sizes[u][1] / 2)
        return scene

    def _box(self, scene: Scene, u: int, x: float, y: float) -> None:
        width, height = self._width(u), 3 * LINE + 14.0
        row = [y + 7 + LINE * (i + 0.5) for i in range(3)]
        right = x + width - 10
        scene.add(
            Box(x, y, width, height, key=f"box{u}"),
            Label(x + 10, row[0], self._heading(u), "strong", anchor="start"),
            Label(x + 10, row[1], "value", "soft", anchor="start", size=12),
            Label(right, row[1], "", key=f"value{u}", anchor="end"),
            Label(x + 10, row[2], "gradient", "soft", anchor="start", size=12),
            Label(right, row[2], "", key=f"grad{u}", anchor="end"),
            Label(right + 4, y - 9, "+=", "plus hidden", key=f"plus{u}", anchor="end", size=15),
        )

    def _width(self, u: int) -> float:
        value = 56 + text_width(self._value_text(u))
        gradient = 76 + text_width(self.widest[u], 14.5)
        return max(116.0, 20 + text_width(self._heading(u)), value, gradient)

    def _heading(self, u: int) -> str:
        value = self._output(u)
        if len(self.units[u].members) > 1:
            return self.units[u].name
        return value.name if value.is_leaf else f"{value.name} = {self._plain(value)}"

    def _plain(self, value: Value) -> str:
        """The expression in a box: short, and without markup."""
        signs = {"add": "+", "subtract": "−", "multiply": "·", "divide": "/", "matmul": "@"}
        names = [self._argument(value, i) for i in range(len(value.parents))]
        if value.op in signs and len(names) == 2:
            return f"{names[0]} {signs[value.op]} {names[1]}"
        if value.op == "power" and len(names) == 2:
            return f"{names[0]} ^ {names[1]}"
        return f"{value.op}({', '.join(names)})"

    def _argument(self, value: Value, i: int) -> str:
        """A parent's name, or the constant."""
        parent = value.parents[i]
        if parent is not None:
            return self.values[parent].name
        if value.constants[i]:
            return value.constants[i]
        if value.op == "where" and i == 0:
            return "condition"
        constant = value.arguments[i]
        if constant is None:
            return "constant"
        return number(constant[()]) if constant.ndim == 0 else f"[{shape_text(constant.shape)}]"

    def _output(self, u: int) -> Value:
        return self.values[max(self.units[u].members)]

    def _value_text(self, u: int) -> str:
        value = self._output(u)
        return shape_text(value.shape) if value.value is None else brief(value.value)

    # ------------------------------------------------------------------ forwards

    def _forwards(self) -> list[Frame]:
        leaves = [u for u, unit in enumerate(self.units) if self._is_leaf(unit)]
        folded = [m for unit in self.units for m in unit.members if len(unit.members) > 1]
        held = [self.values[m] for m in folded if self.values[m].is_leaf]
        count = sum(math.prod(value.shape) for value in held)
        inside = f"{len(held)} parameters with {count:,} numbers, inside the boxes" if held else ""
        given = " and ".join(filter(None, (", ".join(map(self._given, leaves)), inside)))
        frames = [
            Frame(
                f"The graph begins with what is given: {given}.",
                "forward",
                lines(
                    *(f"{_name(self._output(u))} = {_shown(self._output(u))}" for u in leaves),
                    inside,
                ),
                text={f"value{u}": self._value_text(u) for u in leaves},
                classes={f"box{u}": "forward" for u in leaves},
            )
        ]
        for u, unit in enumerate(self.units):
            if not self._is_leaf(unit):
                one = len(unit.members) == 1
                frames.append(self._forward_one(u) if one else self._forward_many(u))
        return frames

    def _given(self, u: int) -> str:
        """A leaf in the first sentence: with its numbers if they are few."""
        text, array = self._value_text(u), self._output(u).value
        if array is not None and (array.size == 1 or text.startswith("[")):
            return f"{self.units[u].name} = {text}"
        return f"{self.units[u].name} ({_spoken(None, self._output(u).shape)})"

    def _is_leaf(self, unit: Unit) -> bool:
        return len(unit.members) == 1 and self.values[unit.members[0]].is_leaf

    def _forward_frame(self, u: int, say: str, formulas: str) -> Frame:
        return Frame(
            say,
            "forward",
            formulas,
            text={f"value{u}": self._value_text(u)},
            classes={f"box{u}": "forward"},
            marks={f"box{u}": "now"} | {f"edge{p}-{u}": "forward" for p in self._feeding(u)},
        )

    def _feeding(self, u: int) -> list[int]:
        parents = {self.unit_of[p] for m in self.units[u].members for p in self._parents(m)}
        return sorted(parents - {u})

    def _parents(self, i: int) -> list[int]:
        return [p for p in self.values[i].parents if p is not None]

    def _forward_one(self, u: int) -> Frame:
        value = self._output(u)
        formula = forward_formula(value.op, self._html_arguments(value))
        row = f"{_name(value)} = {formula}"
        known = [a for a in value.arguments if a is not None]
        if known and all(a.size == 1 for a in known) and len(known) == len(value.arguments):
            numbers = [factor(a.reshape(())) for a in known]
            called = forward_formula(value.op, numbers)
            row += " = " + re.sub(r"\((\(−[^()]*\))\)", r"\1", called)  # no log((−1))
        row += f" = {_shown(value)}"
        said = {k: v for k, v in value.keywords.items() if v is not None and v is not False}
        if said and value.op != "cross_entropy":
            options = ", ".join(f"{k} = {_option(v)}" for k, v in said.items())
            row += f'<span class="note">&emsp;with {escape(options)}</span>'
        say = f"Forward: {self._heading(u)} gives {_spoken(value.value, value.shape)}."
        return self._forward_frame(u, say, lines(row))

    def _forward_many(self, u: int) -> Frame:
        members = [self.values[m] for m in self.units[u].members]
        ops = " → ".join(v.op for v in members if v.op)
        weights = [v for v in members if v.is_leaf]
        say = (
            f"Forward through {self.units[u].name}: {ops.replace('→', 'then')} give values of "
            f"shape {shape_text(members[-1].shape) or 'one number'}."
        )
        held = ", ".join(f"{_name(v)} ({shape_text(v.shape)})" for v in weights)
        return self._forward_frame(u, say, lines(escape(ops), held and f"parameters: {held}"))

    def _html_arguments(self, value: Value) -> list[str]:
        return [
            _italic(self._argument(value, i))
            if p is not None or value.constants[i]
            else escape(self._argument(value, i))
            for i, p in enumerate(value.parents)
        ]

    # ------------------------------------------------------------------ backwards

    def _backwards(self) -> list[Frame]:
        loss = self.values[self.loss]
        assert loss.gradient is not None
        self.sums[self.loss] = loss.gradient
        start = self.unit_of[self.loss]
        frames = [
            Frame(
                f"Backward begins at the end: the gradient of {loss.name} by itself is 1.",
                "backward",
                lines(f"{partial(_italic(loss.name), _italic(loss.name))} = 1"),
                text={f"grad{start}": self._gradient_text(start)},
                classes={f"box{start}": "backward"},
                marks={f"box{start}": "now"},
            )
        ]
        order = list(dict.fromkeys(self.unit_of[i] for i in self.walk))
        settled: dict[str, str] = {}  # what a += leaves, shown without it from the next frame on
        for u in order:
            if self._is_leaf(self.units[u]):
                continue
            frame, settled = self._backward(u, settled)
            frames.append(frame)
        ends = [v for v in self.values if v.is_leaf and v.gradient is not None]
        listed = "; ".join(f"by {v.name}: {_spoken(v.gradient, v.shape)}" for v in ends)
        frames.append(
            Frame(
                f"Done. The gradients of {loss.name} are, {listed}."
                if len(ends) <= 6
                else f"Done: {len(ends)} gradients of {loss.name}, one for each leaf.",
                "backward",
                lines(
                    *(f"{self._d(v)} = {_gradient(v.gradient)}" for v in ends[:8]),
                    f"and {len(ends) - 8} more" if len(ends) > 8 else "",
                ),
                text=settled,
                marks={f"box{self.unit_of[i]}": "now" for i in self._leaf_indices()},
            )
        )
        return frames

    def _leaf_indices(self) -> list[int]:
        return [i for i, v in enumerate(self.values) if v.is_leaf and v.gradient is not None]

    def _backward(self, u: int, settled: dict[str, str]) -> tuple[Frame, dict[str, str]]:
        """The frame of one unit, and the texts that its `+=` leave to the next."""
        rows, spoken, text, after = [], [], dict(settled), {}
        again: list[str] = []  # boxes whose gradient this unit adds to
        marks = {f"box{u}": "now"}
        classes: dict[str, str] = {}
        one = len(self.units[u].members) == 1
        for m in sorted(self.units[u].members, reverse=True):
            for i, p in enumerate(self.values[m].parents):
                share = self.values[m].shares[i] if self.values[m].shares else None
                if p is None or share is None:
                    continue
                before = self.sums.get(p)
                self.sums[p] = share if before is None else before + share
                target = self.unit_of[p]
                if one:
                    rows.append(self._share(m, i, p, before))
                    spoken.append(self._spoken_share(p, share, before))
                if target == u:
                    continue
                classes[f"box{target}"] = "backward"
                marks[f"edge{target}-{u}"] = "backward"
                shown = self._gradient_text(target)
                key = f"grad{target}"
                if before is not None:
                    marks |= {f"plus{target}": "shown", key: "plus"}
                    after[key] = shown
                    again.append(
                        f"{self.units[target].name} was used more than once, so it is added"
                    )
                    if share.size == 1:
                        shown = f"{text.get(key) or number(before.reshape(()))} += "
                        shown += number(share.reshape(()))
                text[key] = shown
                self.widest[target] = max(self.widest[target], shown, key=len)
        heading = self._heading(u)
        say = f"Backward through {heading}: " + "; ".join(
            spoken or [self._spoken_fold(u), *dict.fromkeys(again)]
        )
        say += "."
        if not one:
            rows = self._fold_rows(u)
            text[f"grad{u}"] = self._gradient_text(u)
        frame = Frame(say, "backward", lines(*rows), text=text, classes=classes, marks=marks)
        return frame, after

    def _share(self, m: int, i: int, p: int, before: HostArray | None) -> str:
        """The line of one argument: upstream times local, and what it is added to."""
        value, parent = self.values[m], self.values[p]
        share, local = value.shares[i], value.locals[i]
        assert share is not None
        assert value.gradient is not None
        names = self._html_arguments(value)
        equals = "=" if before is None else '<span class="plus">+=</span>'
        formula = local_formula(value.op, i, names, _name(value))
        row = f"{self._d(parent)} {equals} "
        if value.op == "power" and value.parents[1] is None and value.arguments[1] is not None:
            exponent = value.arguments[1].reshape(-1)[0]
            formula = formula.replace(f"{names[1]} − 1", number(exponent - 1))
            formula = factor(exponent) + formula.removeprefix(names[1])
        if formula:
            times = "·" if share.size == 1 else "⊙"
            row += f"{self._d(value)} {times} {partial(_name(value), _name(parent))}"
            row += f" = {self._d(value)} {times} {formula}"
            if share.shape != value.gradient.shape:
                row += ', <span class="note">summed where broadcasting had stretched,</span>'
            if local is not None and local.shape == value.gradient.shape and local.size <= 64:
                row += f' = <span class="up">{_product(value.gradient, local, times)}</span>'
        else:
            count = max(1, math.prod(parent.shape)) // max(1, math.prod(value.shape))
            g = self._d(value)
            row += whole_formula(value.op, i, names, _name(value), g, count)
        row += f" = {_gradient(share)}"
        if before is not None:
            total = before + share
            row += (
                f'&emsp;<span class="note">in all</span> {_gradient(before)} '
                f'<span class="plus">+</span> {_summand(share)} = {_gradient(total)}'
            )
        return row

    def _spoken_share(self, p: int, share: HostArray, before: HostArray | None) -> str:
        parent = self.values[p]
        if before is None:
            return f"{parent.name} gets {_spoken(share, share.shape)}"
        total = _spoken(before + share, share.shape)
        more = _spoken(share, share.shape)
        verb = "is" if share.size == 1 else "are"
        return f"{parent.name} was used more than once, so {more} {verb} added: {total}"

    def _spoken_fold(self, u: int) -> str:
        g = self._output(u).gradient
        return f"a gradient of norm {_norm(g)} arrives and goes through its rules"

    def _fold_rows(self, u: int) -> list[str]:
        members = [self.values[m] for m in self.units[u].members]
        ops = " ← ".join(v.op for v in members if v.op)
        rows = [escape(ops), f"‖{self._d(members[-1])}‖ = {_norm(members[-1].gradient)}"]
        weights = [v for v in members if v.is_leaf]
        rows += [f"‖{self._d(v)}‖ = {_norm(v.gradient)}" for v in weights]
        return rows

    def _gradient_text(self, u: int) -> str:
        """The gradient so far of a box's output."""
        g = self.sums.get(max(self.units[u].members))
        if g is None:
            g = self._output(u).gradient
        if g is None:
            return ""
        text = brief(g)
        if g.size > 1 and not text.startswith("["):
            text = f"‖·‖ {_norm(g)}"
        self.widest[u] = max(self.widest[u], text, key=len)
        return text

    def _d(self, value: Value) -> str:
        return (
            f'<span class="up">{partial(_italic(self.values[self.loss].name), _name(value))}</span>'
        )


def _italic(name: str) -> str:
    return f"<i>{escape(name)}</i>"


def _name(value: Value) -> str:
    return _italic(value.name)


def _shown(value: Value) -> str:
    if value.value is None:
        return f'<span class="note">{shape_text(value.shape)} numbers</span>'
    return matrix(value.value)


def _gradient(g: HostArray | None) -> str:
    if g is None:
        return "0"
    if g.size <= 64:
        return matrix(g)
    return f'<span class="note">{shape_text(g.shape)} numbers of norm {_norm(g)}</span>'


def _summand(g: HostArray) -> str:
    return factor(g.reshape(())) if g.size == 1 else _gradient(g)


def _norm(g: HostArray | None) -> str:
    return number(0.0 if g is None else float(np.sqrt(np.square(g, dtype=np.float64).sum())))


def _product(g: HostArray, local: HostArray, times: str) -> str:
    if g.size == 1:
        return f"{factor(g.reshape(()))} {times} {factor(local.reshape(()))}"
    return f"{matrix(g)} {times} {matrix(local)}"


def _option(value: Any) -> str:
    """A keyword's value as a program has it: a slice as 1:3, an array by its shape."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_option, value))}{',' * (len(value) == 1)})"
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop)]
        return ":".join(ends if value.step is None else [*ends, str(value.step)])
    if value is Ellipsis:
        return "..."
    return f"[{shape_text(value.shape)}]" if getattr(value, "ndim", 0) else str(value)


def _spoken(array: HostArray | None, shape: Sequence[int]) -> str:
    """Numbers in a sentence: one, a few, or how many of what size."""
    many = f"{shape_text(shape)} numbers"
    if array is None or not array.size:
        return many
    if array.size == 1:
        return number(array.reshape(()))
    if array.size <= 4:
        return ", ".join(map(number, array.ravel()))
    missing = int(np.isnan(array).sum())
    if missing:
        return f"{many}, {missing} of them NaN"
    low, high = number(array.min()), number(array.max())
    return f"{many}, all {low}" if low == high else f"{many} between {low} and {high}"
