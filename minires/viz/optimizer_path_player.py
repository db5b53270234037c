"""`optimizer_path` and `loss_landscape`: the ground that optimisers walk on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minires.grad_mode import no_grad
from minires.nn import Module
from minires.nn import functional as F
from minires.optim.optimizer import Optimizer
from minires.progress_bar import bar
from minires.tensors import Tensor
from minires.training.evaluate import device_of_model
from minires.viz.colours import HEIGHT
from minires.viz.picture import Picture, new_figure
from minires.viz.player import Frame, Player, TooLargeError
from minires.viz.scene import Box, Curve, Label, Scene, shortened
from minires.viz.text import HostArray, escape, lines, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE, LEFT, TOP = 420.0, 70.0, 30.0
GRID, LEVELS = 61, 14
MOST_STEPS = 200
LOOKS = ("path-0", "path-1", "path-2", "path-3")

Make = Callable[[list[Tensor]], Optimizer]


def optimizer_path(
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizers: Mapping[str, Make],
    start: tuple[float, float],
    steps: int = 40,
    span: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Player:
    """Follow optimisers over a function of two numbers, step by step.

    Parameters
    ----------
    loss : callable
        Of two Tensors of one shape, element by element: `lambda x, y: x ** 2 + 10 * y ** 2`.
    optimizers : mapping of str to callable
        By name what makes an optimiser of a list of Tensors: `lambda p: SGD(p, lr=0.1)`. Up to 4.
    start : (float, float)
    steps : int
        At most 200.
    span : ((float, float), (float, float)), optional
        What to draw of x and of y; by default all that the paths visit, and some more.

    Returns
    -------
    Player

    Raises
    ------
    TypeError
        If `loss` is no function of two Tensors, or `optimizers` no mapping.
    ValueError
        If there is no optimiser, `steps` is below 1, or `start` or `span` is not finite or empty.
    TooLargeError
        If there are more than 4 optimisers or 200 steps.

    Examples
    --------
    >>> from minires import optim
    >>> valley = lambda x, y: x * x + 10 * y * y
    >>> optimizer_path(valley, {"SGD": lambda p: optim.SGD(p, lr=0.05)}, (4.0, 1.0), steps=9)
    <player: Optimisers on their way, 10 steps; a notebook shows it, .plot() draws it>
    """
    if not callable(loss):
        raise TypeError(f"optimizer_path wants a function of x and y, got {type(loss).__name__}")
    if not isinstance(optimizers, Mapping):
        raise TypeError(
            "optimizer_path wants optimisers by name, {'SGD': lambda p: SGD(p, lr=0.1)}, got "
            f"{type(optimizers).__name__}"
        )
    if not optimizers:
        raise ValueError("optimizer_path wants at least one optimiser")
    if steps < 1:
        raise ValueError(f"optimizer_path wants at least 1 step, got {steps}")
    if np.shape(start) != (2,) or not np.isfinite(start).all():
        raise ValueError(f"optimizer_path wants a start of two finite numbers, got {start}")
    if span is not None and not all(low < high for low, high in span):
        raise ValueError(f"optimizer_path wants a span of ((low, high), (low, high)), got {span}")
    if len(optimizers) > len(LOOKS) or steps > MOST_STEPS:
        raise TooLargeError(
            f"optimizer_path shows {len(LOOKS)} optimisers and {MOST_STEPS} steps, got "
            f"{len(optimizers)} and {steps}"
        )
    paths = {name: walk(loss, make, start, steps) for name, make in optimizers.items()}
    return _Paths(loss, paths, span).player()


def walk(
    loss: Callable[[Tensor, Tensor], Tensor], make: Make, start: tuple[float, float], steps: int
) -> HostArray:
    """The places that an optimiser comes by: (steps + 1, 3) of x, y and the loss."""
    x, y = (Tensor(np.array([v], np.float64), requires_grad=True) for v in start)
    optimizer = make([x, y])
    rows = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # some learn too fast
        for _ in range(steps + 1):
            value = loss(x, y)
            if not isinstance(value, Tensor):
                raise TypeError(f"the loss gave {type(value).__name__}, which is no Tensor")
            value = value.sum()
            rows.append((x.item(), y.item(), value.item()))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return np.array(rows)


class _Paths:
    """Contours of the loss and the paths over them."""

    def __init__(
        self,
        loss: Callable[[Tensor, Tensor], Tensor],
        paths: Mapping[str, HostArray],
        span: tuple[tuple[float, float], tuple[float, float]] | None,
    ) -> None:
        self.paths = paths
        self.x, self.y = (np.linspace(*ends, GRID) for ends in span or _surroundings(paths))
        columns, rows = np.meshgrid(self.x, self.y)
        with no_grad(), np.errstate(all="ignore"):
            self.heights = loss(Tensor(columns), Tensor(rows)).numpy()

    def player(self) -> Player:
        return Player("Optimisers on their way", self._scene(), self._frames())

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixels; what lies outside of the picture stops at its border."""
        across = (x - self.x[0]) / (self.x[-1] - self.x[0])
        up = (y - self.y[0]) / (self.y[-1] - self.y[0])
        across, up = (float(np.clip(np.nan_to_num(v, nan=1.0), 0, 1)) for v in (across, up))
        return LEFT + SIDE * across, TOP + SIDE * (1 - up)

    def _scene(self) -> Scene:
        scene = Scene(LEFT + SIDE + 330, TOP + SIDE + 56)
        for segment in _contours(self.x, self.y, self.heights):
            points = tuple(self.place(x, y) for x, y in segment)
            scene.add(Curve(points, arrow=False))
        scene.add(Box(LEFT, TOP, SIDE, SIDE, "frame-axis", radius=0))
        for x in _ticks(self.x[0], self.x[-1]):
            across = self.place(x, self.y[0])[0]
            scene.add(Curve(((across, TOP + SIDE), (across, TOP + SIDE + 4)), "axis", arrow=False))
            scene.add(Label(across, TOP + SIDE + 14, number(x), "soft", size=11))
        for y in _ticks(self.y[0], self.y[-1]):
            up = self.place(self.x[0], y)[1]
            scene.add(Curve(((LEFT - 4, up), (LEFT, up)), "axis", arrow=False))
            scene.add(Label(LEFT - 8, up, number(y), "soft", anchor="end", size=11))
        scene.add(Label(LEFT + SIDE / 2, TOP + SIDE + 36, "x", "soft"))
        scene.add(Label(14, TOP + SIDE / 2, "y", "soft"))
        for m, (name, path) in enumerate(self.paths.items()):
            spots = [self.place(x, y) for x, y, _ in path]
            for k, (a, b) in enumerate(itertools.pairwise(spots), 1):
                scene.add(Curve((a, b), f"{LOOKS[m]} hidden", f"p{m}:{k}", arrow=False))
            left, up = spots[0]
            scene.add(Box(left - 5, up - 5, 10, 10, LOOKS[m], f"dot{m}", radius=5))
            right, top = LEFT + SIDE + 34, TOP + 24 + 62 * m
            scene.add(Box(right, top - 5, 10, 10, LOOKS[m], radius=5))
            scene.add(Label(right + 20, top, shortened(name, 260), "strong", anchor="start"))
            scene.add(Label(right + 20, top + 22, "loss", "soft", anchor="start", size=12))
            scene.add(Label(right + 150, top + 22, "", key=f"loss{m}", anchor="end"))
        top = TOP + 24 + 62 * len(self.paths)
        seen = self.heights[np.isfinite(self.heights)]
        if seen.size:
            scene.add(
                Label(LEFT + SIDE + 34, top, "grey: lines of equal loss, which is",
                      "soft", anchor="start", size=12),
                Label(LEFT + SIDE + 34, top + 18,
                      f"{number(float(seen.min()))} to {number(float(seen.max()))} in this picture",
                      "soft", anchor="start", size=12),
            )  # fmt: skip
        return scene

    def _frames(self) -> list[Frame]:
        count = len(next(iter(self.paths.values())))
        return [self._frame(k, last=k == count - 1) for k in range(count)]

    def _frame(self, k: int, last: bool) -> Frame:
        text, shift, classes, said, rows = {}, {}, {}, [], []
        for m, (name, path) in enumerate(self.paths.items()):
            x, y, value = (float(v) for v in path[k])
            text[f"loss{m}"] = number(value)
            (x0, y0), (x1, y1) = self.place(*path[0, :2]), self.place(x, y)
            shift[f"dot{m}"] = (round(x1 - x0, 2), round(y1 - y0, 2))
            if k:
                classes[f"p{m}:{k}"] = "shown"
            said.append(f"{name} is at a loss of {number(value)}")
            rows.append(
                f"{escape(name)}: <i>x</i> = {number(x)}, <i>y</i> = {number(y)}, loss "
                f"{number(value)}"
            )
        ends = {name: float(path[k, 2]) for name, path in self.paths.items()}
        lowest = min(ends, key=lambda name: ends[name] if np.isfinite(ends[name]) else np.inf)
        best = f" The lowest is {lowest}." if last and len(ends) > 1 else ""
        steps = "1 step" if k == 1 else f"{k} steps"
        return Frame(
            f"After {steps} " + ", ".join(said) + f".{best}",
            "",
            lines(*rows),
            text=text,
            shift=shift,
            classes=classes,
        )


def _surroundings(paths: Mapping[str, HostArray]) -> list[tuple[float, float]]:
    """What the paths visit of x and of y, and some more.

    A path that runs away to heights of more than a thousand starts is left out from there on.
    """
    every = []
    for path in paths.values():
        with np.errstate(invalid="ignore"):
            far = ~(np.abs(path[:, :2]).max(axis=1) <= 1e3 * (np.abs(path[0, :2]).max() or 1.0))
        every.append(path[: int(np.argmax(far)) if far.any() else len(path), :2])
    places = np.concatenate(every)
    low, high = places.min(axis=0), places.max(axis=0)
    room = 0.15 * np.maximum(high - low, 0.3 * (high - low).max() or 1.0)
    return list(zip((low - room).tolist(), (high + room).tolist(), strict=True))


def _ticks(low: float, high: float) -> HostArray:
    """A few round numbers between the ends."""
    from matplotlib.ticker import MaxNLocator  # takes half a second, so only when it is drawn

    found = np.asarray(MaxNLocator(5).tick_values(low, high))
    return found[(found >= low) & (found <= high)]


def _contours(x: HostArray, y: HostArray, heights: HostArray) -> list[HostArray]:
    """Lines of equal height, closer together near the lowest: levels are squares of even steps."""
    figure = new_figure(1, 1)
    seen = heights[np.isfinite(heights)]
    low, high = float(seen.min(initial=np.inf)), float(seen.max(initial=-np.inf))
    if not high > low:
        return []
    levels = low + (high - low) * np.linspace(0, 1, LEVELS + 2)[1:-1] ** 2
    heights = np.ma.masked_invalid(heights)
    found = figure.subplots().contour(x, y, heights, levels)
    return [segment for level in found.allsegs for segment in level if len(segment) > 1]


def loss_landscape(
    model: Module,
    batch: tuple[Any, Any],
    *,
    span: float = 1.0,
    points: int = 21,
    seed: int = 0,
) -> Picture:
    """Draw the loss around a network's weights, along two random directions.

    Each filter of a direction has the norm of the network's own filter (Li et al. 2018, section 4,
    "filter-wise normalisation"), so that landscapes of networks can be compared; vectors, such as
    batch norm's, stay where they are.

    Parameters
    ----------
    model : Module
        Its weights and running statistics are put back; it runs in the mode that it is in.
    batch : (images, labels)
    span : float
        How far to go in both directions; 1 is as far as the weights are long.
    points : int
        Along each direction; `points * points` forward passes.
    seed : int
        Of the directions.

    Returns
    -------
    Picture
        Its `values` are `"loss"` (points, points) and `"steps"` (points,).

    Raises
    ------
    ValueError
        If there are fewer than three points, `span` is not positive and finite, or the network has
        no weights.
    """
    if points < 3:
        raise ValueError(f"loss_landscape wants at least 3 points, got {points}")
    if not 0 < span < np.inf:
        raise ValueError(f"loss_landscape wants a positive span, got {span}")
    weights = [p for p in model.parameters() if p.ndim > 1]
    if not weights:
        raise ValueError(f"{type(model).__name__} has no weight of two axes or more to move")
    images, labels = batch
    x = images if isinstance(images, Tensor) else Tensor(images)
    x = x.to(device_of_model(model))
    rng = np.random.default_rng(seed)
    own = [w.numpy().copy() for w in weights]
    first, second = ([_direction(w, rng) for w in own] for _ in range(2))
    buffers = [(b, b.data.copy()) for b in model.buffers()]
    steps = np.linspace(-span, span, points)
    losses = np.zeros((points, points))
    try:
        with no_grad():
            cells = [(i, j) for i in range(points) for j in range(points)]
            for i, j in bar(cells, desc="loss landscape"):
                for w, at, d, e in zip(weights, own, first, second, strict=True):
                    moved = at + steps[j] * d + steps[i] * e
                    w.data[...] = Tensor(moved.astype(at.dtype)).to(w.device).data
                losses[i, j] = F.cross_entropy(model(x), labels).item()
    finally:
        for w, at in zip(weights, own, strict=True):
            w.data[...] = Tensor(at).to(w.device).data
        for buffer, before in buffers:
            buffer.data[...] = before
    seen = losses[np.isfinite(losses)]
    if not seen.size:
        raise ValueError("loss_landscape: the loss is not finite (NaN or infinite) anywhere")
    at_cross = f", {number(round(losses[points // 2, points // 2], 6))}" if points % 2 else ""
    gaps = "" if seen.size == losses.size else " White: not finite."
    caption = (
        f"Cross-entropy around the weights (the cross{at_cross}); it runs from "
        f"{number(seen.min())} to {number(seen.max())}. Round and evenly spaced lines are easy "
        f"ground, kinks and narrow valleys are hard.{gaps}"
    )
    values = {"loss": losses, "steps": steps}
    return Picture("Loss landscape", caption, values, lambda: _landscape(losses, steps))


def _direction(w: HostArray, rng: np.random.Generator) -> HostArray:
    """A random direction whose every filter (its last index) is as long as the network's."""
    direction = rng.normal(size=w.shape)
    axes = tuple(range(w.ndim - 1))
    own = np.sqrt(np.square(w, dtype=np.float64).sum(axis=axes, keepdims=True))
    length = np.sqrt(np.square(direction).sum(axis=axes, keepdims=True))
    scaled: HostArray = direction * (own / np.maximum(length, 1e-12))
    return scaled


def _landscape(losses: HostArray, steps: HostArray) -> Figure:
    figure = new_figure(6, 4.8)
    axes = figure.subplots()
    seen = np.ma.masked_invalid(losses)
    filled: Any
    if float(np.ptp(seen)) > 0:
        filled = axes.contourf(steps, steps, seen, 20, cmap=HEIGHT)
        axes.contour(steps, steps, seen, 20, colors="white", linewidths=0.4)
    else:
        filled = axes.pcolormesh(steps, steps, seen, cmap=HEIGHT)
    axes.plot([0], [0], "+", color="white", markersize=14, markeredgewidth=2)
    axes.set(xlabel="along the first direction", ylabel="along the second direction")
    axes.set_aspect("equal")
    figure.colorbar(filled, ax=axes, label="cross-entropy (nats)")
    return figure
