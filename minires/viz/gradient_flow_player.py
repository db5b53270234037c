"""`gradient_flow`: how large activations and gradients are, layer by layer, network by network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np  # host arithmetic

import minires
from minires.backend import to_host
from minires.grad_mode import enable_grad
from minires.nn import Module, ReLU
from minires.nn import functional as F
from minires.tensors import Tensor
from minires.training.evaluate import device_of_model
from minires.viz.player import Frame, Player, TooLargeError
from minires.viz.scene import Box, Curve, Label, Scene, shortened
from minires.viz.text import escape, lines, number

MOST_NETWORKS, MOST_LAYERS = 4, 160
STEPS = 24
"""Steps in each direction; a deeper network shows several layers in one."""


@dataclass(frozen=True)
class Layer:
    """What one call of a layer gave.

    Attributes
    ----------
    name : str
        Dotted, as in the network.
    activation, gradient : float
        Root mean squares of the output and of the loss's gradient with respect to it.
    weight_gradient : float or None
        Root mean square of the gradient of the weight, for layers that have one.
    dead : float or None
        For a ReLU: the share of channels that are 0 for the whole batch.
    """

    name: str
    activation: float
    gradient: float
    weight_gradient: float | None
    dead: float | None


def gradient_flow(models: Module | Mapping[str, Module], batch: tuple[Any, Any]) -> Player:
    """Show the size of activations and gradients layer by layer, and the ReLUs that are dead.

    Each network makes one step forwards and backwards on the batch, with cross-entropy as its loss
    and in the mode that it is in. Its gradients and running statistics stay as they are.

    Parameters
    ----------
    models : Module or mapping of str to Module
        One network, or up to four by name, to be shown side by side: plain beside residual.
    batch : (images, labels)
        (N, H, W, C) and N integers.

    Returns
    -------
    Player
        Its charts share their axes, so that networks can be compared.

    Raises
    ------
    TypeError
        If `models` are no networks, or `batch` is no pair of images and labels.
    ValueError
        If there is no network or one without weights, or the batch does not fit.
    TooLargeError
        If there are more than four networks or 160 layers.
    """
    if not isinstance(models, Module | Mapping):
        raise TypeError(
            f"gradient_flow wants a Module or a mapping such as {{'plain': net}}, got "
            f"{type(models).__name__}"
        )
    named = {type(models).__name__: models} if isinstance(models, Module) else dict(models)
    wrong = [type(m).__name__ for m in named.values() if not isinstance(m, Module)]
    if wrong:
        raise TypeError(f"gradient_flow wants Modules, got {wrong[0]}")
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError("gradient_flow wants a batch of (images, labels)")
    if not named:
        raise ValueError("gradient_flow wants at least one network")
    if len(named) > MOST_NETWORKS:
        raise TooLargeError(f"gradient_flow shows {MOST_NETWORKS} networks, got {len(named)}")
    return _Flow({name: measure(model, batch) for name, model in named.items()}).player()


def measure(model: Module, batch: tuple[Any, Any]) -> list[Layer]:
    """One forward and backward of cross-entropy: a row for each call of a ReLU or weight layer."""
    images, labels = batch
    calls: list[tuple[Module, Tensor]] = []
    names = {id(module): name for name, module in model.named_modules()}
    wanted = [m for m in model.modules() if isinstance(m, ReLU) or _weight(m) is not None]
    removers = [
        m.register_forward_hook(lambda module, args, out: calls.append((module, out)))
        for m in wanted
    ]
    buffers = [(b, b.data.copy()) for b in model.buffers()]
    try:
        with enable_grad():
            x = images if isinstance(images, Tensor) else Tensor(images)
            loss = F.cross_entropy(model(x.to(device_of_model(model))), labels)
    finally:
        for remove in removers:
            remove()
        for buffer, before in buffers:
            buffer.data[...] = before
    calls = [(module, out) for module, out in calls if out.requires_grad]
    if not any(_weight(module) is not None for module, _ in calls):
        raise ValueError(f"{type(model).__name__} called no layer whose weight wants a gradient")
    weights = [weight for module, _ in calls if (weight := _weight(module)) is not None]
    trained = [w for w in dict.fromkeys(weights) if w.requires_grad]
    found = minires.grad(loss, [out for _, out in calls] + trained)
    by_weight = dict(zip(trained, found[len(calls) :], strict=True))
    layers = []
    for (module, out), g in zip(calls, found, strict=False):
        weight = _weight(module)
        known = by_weight.get(weight) if weight is not None else None
        layers.append(
            Layer(
                names[id(module)] or type(module).__name__,
                rms(out),
                rms(g),
                None if known is None else rms(known),
                dead_share(out) if isinstance(module, ReLU) else None,
            )
        )
    return layers


def _weight(module: Module) -> Any:
    """The weight matrix or filters of a layer; batch norm's vector does not count."""
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.ndim > 1 else None


def rms(x: Tensor | None) -> float:
    """The root mean square; 0 for no tensor."""
    if x is None:
        return 0.0
    return float(np.sqrt(np.mean(np.square(to_host(x.data), dtype=np.float64))))


def dead_share(out: Tensor) -> float:
    """The share of channels that are 0 everywhere in the batch."""
    host = to_host(out.data)
    return float((host.reshape(-1, host.shape[-1]) == 0).all(axis=0).mean())


@dataclass(frozen=True)
class _Row:
    """One chart under each network: its quantity on a scale of tens, or from 0 to 1."""

    key: str
    title: str
    style: str
    low: float
    high: float
    logarithmic: bool = True

    def part(self, value: float) -> float:
        """How much of the height a value takes."""
        if not self.logarithmic:
            return value
        if not math.isfinite(value):
            return 1.0
        floor = 10.0**self.low
        return (math.log10(max(value, floor)) - self.low) / (self.high - self.low)


WIDE, HIGH, LEFT, TOP, DOWN = 380.0, 92.0, 66.0, 58.0, 154.0


class _Flow:
    """The charts of several networks."""

    def __init__(self, measured: Mapping[str, Sequence[Layer]]) -> None:
        self.names = list(measured)
        self.weighted = [[r for r in rows if r.dead is None] for rows in measured.values()]
        self.relus = [[r for r in rows if r.dead is not None] for rows in measured.values()]
        self.deepest = max(map(len, self.weighted))
        if self.deepest > MOST_LAYERS:
            raise TooLargeError(
                f"gradient_flow shows {MOST_LAYERS} layers, this network has {self.deepest}"
            )
        every = [layer for rows in self.weighted for layer in rows]
        self.rows = [
            _Row("a", "activation, root mean square", "solid-forward",
                 *_decades([r.activation for r in every])),
            _Row("g", "gradient, root mean square", "solid-backward",
                 *_decades([r.gradient for r in every])),
        ]  # fmt: skip
        if any(self.relus):
            self.rows.append(_Row("d", "dead channels after ReLU", "solid-soft", 0, 1, False))

    def player(self) -> Player:
        return Player("Activations and gradients by layer", self._scene(), self._frames())

    def _values(self, row: _Row, model: int) -> list[float]:
        if row.key == "d":
            return [layer.dead or 0.0 for layer in self.relus[model]]
        quantity = "activation" if row.key == "a" else "gradient"
        return [getattr(layer, quantity) for layer in self.weighted[model]]

    # ------------------------------------------------------------------ the drawing

    def _scene(self) -> Scene:
        count = len(self.names)
        scene = Scene(LEFT + count * (WIDE + 28) + 4, TOP + DOWN * len(self.rows) - 24)
        for m, name in enumerate(self.names):
            x = LEFT + m * (WIDE + 28)
            scene.add(Label(x, 14, shortened(name, WIDE, 15), "strong", anchor="start", size=15))
            for r, row in enumerate(self.rows):
                self._chart(scene, row, m, x, TOP + DOWN * r)
        return scene

    def _chart(self, scene: Scene, row: _Row, m: int, x: float, y: float) -> None:
        values = self._values(row, m)
        if m == 0:
            for part, text in self._ticks(row):
                scene.add(Label(x - 8, y + HIGH * (1 - part), text, "soft", anchor="end", size=11))
        for part, _ in self._ticks(row):
            at = y + HIGH * (1 - part)
            scene.add(Curve(((x, at), (x + WIDE, at)), "line", arrow=False))
        scene.add(Label(x, y - 14, row.title, "soft", anchor="start", size=12))
        step = WIDE / max(len(values), 1)
        for i, value in enumerate(values):
            finite = math.isfinite(value)
            high = max(HIGH * row.part(value), 1.0)
            wide = max(step * 0.8, 1.0)
            left = x + i * step + (step - wide) / 2
            key, cls = f"{row.key}{m}:{i}", f"{row.style if finite else 'hole'} hidden"
            scene.add(Box(left, y + HIGH - high, wide, high, cls, key, radius=1))
            if not finite and step > 24:
                middle = left + wide / 2
                scene.add(Label(middle, y + HIGH / 2, number(value), "soft hidden", key, size=11))
        scene.add(Curve(((x, y + HIGH), (x + WIDE, y + HIGH)), "axis", arrow=False))
        scene.add(Label(x, y + HIGH + 13, "1", "soft", size=11, anchor="start"))
        scene.add(Label(x + WIDE, y + HIGH + 13, str(len(values)), "soft", size=11, anchor="end"))
        what = "ReLU" if row.key == "d" else "weight layer"
        label = f"{what}, from input to output"
        scene.add(Label(x + WIDE / 2, y + HIGH + 13, label, "soft", size=11))

    @staticmethod
    def _ticks(row: _Row) -> list[tuple[float, str]]:
        if not row.logarithmic:
            return [(part, f"{part:.0%}") for part in (0.0, 0.5, 1.0)]
        span = int(row.high - row.low)
        every = -(-span // 4)
        return [(k / span, _power(int(row.low) + k)) for k in range(0, span + 1, every)]

    # ------------------------------------------------------------------ frames

    def _frames(self) -> list[Frame]:
        chunk = -(-self.deepest // STEPS)
        parts = [range(i, i + chunk) for i in range(0, self.deepest, chunk)]
        frames = [self._forward(part) for part in parts]
        frames += [self._backward(part) for part in reversed(parts)]
        return [*frames, self._end()]

    def _forward(self, part: range) -> Frame:
        keys, rows = [], []
        for m, name in enumerate(self.names):
            further = range(part[-1] + 1, len(self.relus[m]))  # more ReLUs than weight layers
            further = further if part[-1] + 1 >= self.deepest else range(0)
            keys += [f"a{m}:{i}" for i in part] + [f"d{m}:{i}" for i in (*part, *further)]
            for i in part:
                if i < len(self.weighted[m]):
                    layer = self.weighted[m][i]
                    rows.append(
                        f"{escape(name)}, {escape(layer.name)}: activation "
                        f"{number(layer.activation)}{self._dead_text(m, i)}"
                    )
            rows += [f"{escape(name)}{self._dead_text(m, i)}" for i in further]
        say = f"Forward through {_layers(part, self.deepest)}."
        return self._frame("forward", say, rows, keys)

    def _dead_text(self, m: int, i: int) -> str:
        if i >= len(self.relus[m]):
            return ""
        return f", ReLU {i + 1} dead in {number(round(100 * (self.relus[m][i].dead or 0), 2))} %"

    def _backward(self, part: range) -> Frame:
        keys, rows = [], []
        for m, name in enumerate(self.names):
            keys += [f"g{m}:{i}" for i in part]
            for i in reversed(part):
                if i < len(self.weighted[m]):
                    layer = self.weighted[m][i]
                    own = layer.weight_gradient
                    weight = "" if own is None else f", of its weight {number(own)}"
                    rows.append(
                        f"{escape(name)}, {escape(layer.name)}: gradient "
                        f"{number(layer.gradient)}{weight}"
                    )
        say = f"Backward through {_layers(part, self.deepest)}."
        return self._frame("backward", say, rows, keys)

    @staticmethod
    def _frame(phase: str, say: str, rows: Sequence[str], keys: Sequence[str]) -> Frame:
        marks = {key: "now" for key in keys if key[0] == ("a" if phase == "forward" else "g")}
        return Frame(say, phase, lines(*rows), classes=dict.fromkeys(keys, "shown"), marks=marks)

    def _end(self) -> Frame:
        """How much smaller the gradient is at the input than at the output, network by network."""
        parts, rows = [], []
        for name, layers in zip(self.names, self.weighted, strict=True):
            first, last = layers[0].gradient, layers[-1].gradient
            ratio = number(first / last) if last else "undefined"
            parts.append(f"in {name} {ratio}")
            rows.append(
                f"{escape(name)}: {number(first)} at {escape(layers[0].name)}, {number(last)} at "
                f"{escape(layers[-1].name)}"
            )
        say = "The first layer's gradient over the last one's: " + ", ".join(parts) + "."
        say += self._dead_sentence()
        return Frame(say, "backward", lines(*rows))

    def _dead_sentence(self) -> str:
        """Where channels never rise above 0: they pass no gradient on."""
        worst = [
            (max(layers, key=lambda layer: layer.dead or 0.0), name)
            for name, layers in zip(self.names, self.relus, strict=True)
            if layers
        ]
        found = [
            f"{number(round(100 * layer.dead, 2))} % after {layer.name} of {name}"
            for layer, name in worst
            if layer.dead
        ]
        if not found:
            return " No ReLU has a dead channel." if worst else ""
        return " Dead channels, at most: " + ", ".join(found) + "."


def _layers(part: range, deepest: int) -> str:
    last = min(part[-1], deepest - 1)
    if last == part[0]:
        return f"weight layer {part[0] + 1} of {deepest}"
    return f"weight layers {part[0] + 1} to {last + 1} of {deepest}"


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """The powers of ten that enclose the values; at most twelve."""
    seen = [math.log10(v) for v in values if v > 0 and math.isfinite(v)]
    if not seen:
        return 0.0, 1.0
    high = math.ceil(max(seen) + 1e-9)
    low = min(math.floor(min(seen) - 1e-9), high - 1)
    return float(max(low, high - 12)), float(high)


def _power(exponent: int) -> str:
    return number(10.0**exponent) if -3 < exponent < 4 else number(float(f"1e{exponent}"))
