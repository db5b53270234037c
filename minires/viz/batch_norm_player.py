"""`batch_norm`: a channel before and after, and the three paths that its gradient takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np  # host arithmetic on one channel

import minires
from minires import ops
from minires.tensors import Tensor
from minires.viz.player import Frame, Player
from minires.viz.scene import Box, Curve, Label, Scene, text_width
from minires.viz.text import HostArray, factor, fraction, lines, number

BINS = 16
ARROW = 56.0  # pixels of the longest arrow
MOST_ROWS = 8
"""Values whose gradients are drawn; of more, some from the smallest to the largest."""

PATHS = ("direct", "mean", "variance", "dx")


def batch_norm(
    x: Any, channel: int = 0, *, dy: Any = None, gamma: float = 1.0, eps: float = 1e-5
) -> Player:
    """Step through batch normalisation of one channel: its values, then its gradient's three paths.

    Forwards a histogram moves and narrows (Ioffe and Szegedy 2015, algorithm 1). Backwards each
    value reaches the output directly, through the mean and through the variance; three arrows, one
    for each path, add up to `dx`.

    Parameters
    ----------
    x : array_like (N,), (N, C) or (N, H, W, C)
        At least two values a channel.
    channel : int
    dy : array_like, optional
        The gradient that comes from above, of the channel's size; by default a fixed random draw.
        (A constant one would show nothing: no path could change a constant.)
    gamma : float
        The learned scale; beta only shifts and is left at 0.
    eps : float
        Added to the variance.

    Returns
    -------
    Player

    Raises
    ------
    ValueError
        If there are fewer than two values, no such channel, `dy` has another size, a number is not
        finite, or the variance and `eps` are both 0.
    """
    array = _finite(x, "x")
    if array.ndim > 1:
        if not isinstance(channel, int | np.integer) or not (
            -array.shape[-1] <= channel < array.shape[-1]
        ):
            raise ValueError(f"x has {array.shape[-1]} channels, there is no channel {channel}")
        array = array[..., channel]
    values = array.ravel()
    if values.size < 2:
        raise ValueError(f"batch_norm wants more than one value per channel, got {values.size}")
    if dy is None:
        dy = np.random.default_rng(0).normal(size=values.size).round(2)
    dy = _finite(dy, "dy").ravel()
    gamma, eps = float(_finite(gamma, "gamma")), float(_finite(eps, "eps"))
    with np.errstate(over="ignore"):
        scale = values.var() + eps
    if not (eps >= 0 and 0 < scale < np.inf):
        raise ValueError(
            f"batch_norm cannot divide by √(variance + eps) with variance {number(scale - eps)} "
            f"and eps {number(eps)}"
        )
    if dy.size != values.size:
        raise ValueError(f"dy wants {values.size} values, one for each of x, got {dy.size}")
    return _Normalizing(values, dy, gamma, eps).player()


def _finite(value: Any, name: str) -> HostArray:
    """Numbers as float64."""
    try:
        given = value.numpy() if isinstance(value, Tensor) else value
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"batch_norm wants numbers in {name}") from None
    if not np.isfinite(array).all():
        raise ValueError(f"batch_norm: {name} holds numbers that are not finite (NaN or infinite)")
    return array


def gradient_paths(
    values: HostArray, dy: HostArray, gamma: float, eps: float
) -> tuple[HostArray, HostArray, HostArray]:
    """The engine's gradient by each path: the other two see copies of `values` of their own."""
    direct, by_mean, by_var = (Tensor(values.copy(), requires_grad=True) for _ in range(3))
    centred = direct - by_mean.mean()
    y = gamma * centred / (by_var.var() + eps).sqrt()
    paths = minires.grad(y, (direct, by_mean, by_var), Tensor(dy))
    first, second, third = (path.numpy() for path in paths)
    return first, second, third


class _Normalizing:
    """Numbers of one channel, from the engine, and their drawing."""

    def __init__(self, values: HostArray, dy: HostArray, gamma: float, eps: float) -> None:
        column = Tensor(values[:, None], requires_grad=True)
        scale, shift = Tensor(np.array([gamma])), Tensor(np.zeros(1))
        y, (mean, var, _) = ops.batch_norm(column, scale, shift, eps=eps, with_saved=True)
        self.values, self.dy, self.gamma, self.eps = values, dy, gamma, eps
        self.mean, self.var = float(mean[0]), float(var[0])
        self.y = y.numpy()[:, 0]
        self.dx = minires.grad(y, column, Tensor(dy[:, None])).numpy()[:, 0]
        self.paths = gradient_paths(values, dy, gamma, eps)
        order = np.argsort(values, kind="stable")
        picked = np.unique(np.linspace(0, values.size - 1, min(MOST_ROWS, values.size)).round())
        self.rows = [int(order[int(i)]) for i in picked]
        self.smallest = 1e-12 * float(np.abs([*self.paths, self.dx]).max())

    def player(self) -> Player:
        return Player("Batch normalisation of a channel", self._scene(), self._frames())

    # ------------------------------------------------------------------ the drawing

    def _scene(self) -> Scene:
        scene = Scene(0, 0)
        stages = (
            ("before", "x", self.values, self.mean),
            ("centred", "x − mean", self.values - self.mean, 0.0),
            ("after", "y", self.y, float(self.y.mean())),
        )
        for i, stage in enumerate(stages):
            span = _span([values for _, _, values, _ in stages], i)
            self._histogram(scene, *stage, (20 + 300 * i, 48), span)
        top = 236
        peak = max(abs(size) for row in self.rows for size in self._sizes(row)) or 1.0
        names = [number(self.values[row]) for row in self.rows]
        sizes = [[number(size) for size in self._sizes(row)] for row in self.rows]
        left = max(80.0, 16 + text_width(max(names, key=len)))
        text = text_width(max((t for row in sizes for t in row), key=len), 12.5)
        column = max(190.0, 2 * ARROW + text + 20)
        zeros = [left + 66 + column * i for i in range(len(PATHS))]
        heads = ("value of x", "direct", "through the mean", "through the variance", "sum: dx")
        scene.add(Label(left, top, heads[0], "strong hidden", "head0", anchor="end"))
        for i, zero in enumerate(zeros):
            scene.add(Label(zero + 22, top, heads[i + 1], "strong hidden", f"head{i + 1}"))
        for r, row in enumerate(self.rows):
            y = top + 30 + 27 * r
            scene.add(Label(left, y, names[r], "hidden", f"row{r}", anchor="end"))
            for path, zero, size, written in zip(
                PATHS, zeros, self._sizes(row), sizes[r], strict=True
            ):
                end = zero + ARROW + 6 + text
                self._arrow(scene, f"{path}{r}", zero, end, y, size / peak, written)
        scene.width = max(900.0, zeros[-1] + ARROW + text + 20)
        scene.height = top + 24 + 27 * len(self.rows)
        return scene

    def _sizes(self, row: int) -> list[float]:
        """The three shares of one value's gradient and their sum; 0 for what rounding left."""
        sizes = [float(path[row]) for path in (*self.paths, self.dx)]
        return [0.0 if abs(size) < self.smallest else size for size in sizes]

    @staticmethod
    def _arrow(
        scene: Scene, key: str, x: float, end: float, y: float, part: float, text: str
    ) -> None:
        """From a zero line at `x` to the right if positive, to the left if negative."""
        cls = "backward" if not key.startswith("dx") else "now"
        scene.add(
            Curve(((x, y - 10), (x, y + 10)), "axis hidden", key, arrow=False),
            Label(end, y, text, "hidden", key, anchor="end", size=12),
        )
        if abs(part) > 0.005:
            scene.add(Curve(((x, y), (x + ARROW * part, y)), f"{cls} hidden", key, arrow=True))

    @staticmethod
    def _histogram(
        scene: Scene,
        key: str,
        title: str,
        values: HostArray,
        mean: float,
        corner: tuple[float, float],
        span: tuple[float, float],
    ) -> None:
        x, y = corner
        wide, high = 250.0, 110.0
        cls = "hidden" if key != "before" else ""
        counts, edges = np.histogram(values, BINS, range=span)
        scale = wide / ((span[1] - span[0]) or 1.0)
        scene.add(Label(x, y - 24, title, f"strong {cls}", key, anchor="start"))
        each = counts.max() < 100  # else there is no room for every bar's number
        unit = "count" if each else f"count, up to {counts.max()}"
        scene.add(Label(x + wide, y - 24, unit, f"soft {cls}", key, anchor="end", size=12))
        for count, left in zip(counts, edges, strict=False):
            if count:
                top = high * count / counts.max()
                bar = Box(
                    x + (left - span[0]) * scale, y + high - top, wide / BINS - 1, top,
                    f"solid-forward {cls}", key, radius=1,
                )  # fmt: skip
                scene.add(bar)
                if each:
                    middle = bar.x + bar.width / 2
                    scene.add(Label(middle, bar.y - 7, str(count), f"soft {cls}", key, size=10))
        zero = x - span[0] * scale
        middle = x + (mean - span[0]) * scale
        scene.add(
            Curve(((x, y + high), (x + wide, y + high)), f"axis {cls}", key, arrow=False),
            Curve(((middle, y), (middle, y + high + 7)), f"now {cls}", key, arrow=False),
            Label(x, y + high + 12, number(span[0]), f"soft {cls}", key, anchor="start", size=11),
            Label(x + wide, y + high + 12, number(span[1]), f"soft {cls}", key, "end", 11),
        )
        ends = [text_width(number(end), 11) + 8 for end in span]
        if ends[0] < zero - x < wide - ends[1]:
            scene.add(Label(zero, y + high + 12, "0", f"soft {cls}", key, size=11))
        size = max(map(abs, span))
        deviation = number(_round(values.std(), size))
        numbers = f"mean {number(_round(mean, size))} (the line), deviation {deviation}"
        if len(numbers) > 40:
            numbers = numbers.replace(" (the line)", "")
        scene.add(Label(x + wide / 2, y + high + 32, numbers, cls, key, size=12))

    # ------------------------------------------------------------------ frames

    def _frames(self) -> list[Frame]:
        count, std = self.values.size, (self.var + self.eps) ** 0.5
        largest = float(np.abs(self.values).max())
        mean, gamma = number(_round(self.mean, largest)), number(self.gamma)
        root = "√(<i>σ</i><sup>2</sup> + <i>ε</i>)"
        up = '<span class="up"><i>dy</i></span>'
        scale = f"{fraction('<i>γ</i>', root)} = {number(self.gamma / std)}"
        shares = [float(np.abs(path).sum()) for path in self.paths]
        texts = [f"{number(s)}" for s in shares]
        steps = [
            (
                f"Forward: the channel has {count} values of mean {mean} and variance "
                f"{number(self.var)}.",
                f"<i>μ</i> = mean of <i>x</i> = {mean}, "
                f"<i>σ</i><sup>2</sup> = mean of (<i>x</i> − <i>μ</i>)<sup>2</sup> = "
                f"{number(self.var)}",
                (),
            ),
            (
                "Forward: the mean is subtracted, which moves the histogram to 0.",
                f"<i>x</i> − <i>μ</i> = <i>x</i> − {factor(_round(self.mean, largest))}",
                ("centred",),
            ),
            (
                f"Forward: dividing by the root of the variance, {number(std)}, gives deviation "
                f"{number(self.values.std() / std)}; gamma = {gamma} scales it.",
                f"<i>y</i> = <i>γ</i> · {fraction('<i>x</i> − <i>μ</i>', root)}, "
                f"{root} = {number(std)}, <i>γ</i> = {gamma}",
                ("after",),
            ),
        ]
        frames = [
            Frame(say, "forward", lines(math), classes=dict.fromkeys(keys, "shown"))
            for say, math, keys in steps
        ]
        rows = [f"row{r}" for r in range(len(self.rows))]
        some = "" if len(self.rows) == count else f" {len(self.rows)} of {count} are drawn."
        sentences = (
            f"Backward, directly: each value gets its own dy times {number(self.gamma / std)}; in "
            f"absolute size {texts[0]} together.{some}",
            "Backward, through the mean: every value moves the mean, so all get the same share, "
            f"{number(self._sizes(0)[1])}.",
            "Backward, through the variance: a value far from the mean moves the variance more, so "
            f"the share grows with its distance; {texts[2]} together.",
        )
        formulas = (
            f"direct = {scale} · {up}",
            f"through the mean = −{fraction('<i>γ</i>', root)} · mean of {up} = "
            f"{number(self._sizes(0)[1])}",
            f"through the variance = −{fraction('<i>γ</i>', root)} · x̂ · mean of ({up} · x̂), "
            f"with x̂ = {fraction('<i>x</i> − <i>μ</i>', root)}",
        )
        for i, (path, say, math) in enumerate(zip(PATHS, sentences, formulas, strict=False)):
            keys = [f"{path}{r}" for r in range(len(rows))] + [f"head{i + 1}"]
            keys += [*rows, "head0"] if i == 0 else []
            frames.append(Frame(say, "backward", lines(math), classes=dict.fromkeys(keys, "shown")))
        keys = [f"dx{r}" for r in range(len(rows))] + ["head4"]
        r = self.rows[-1]
        sizes, total = self._sizes(r), float(self.dx.sum())
        sums = " + ".join([number(sizes[0]), *map(factor, sizes[1:3])]) + f" = {number(sizes[3])}"
        frames.append(
            Frame(
                "Backward: the three add up to dx. Its sum over the channel is "
                f"{number(0.0 if abs(total) < len(self.dx) * self.smallest else total)}: shifting "
                "all values alike changes nothing.",
                "backward",
                lines(
                    "<i>dx</i> = direct + through the mean + through the variance",
                    f"for <i>x</i> = {number(self.values[r])}: {sums}",
                ),
                classes=dict.fromkeys(keys, "shown"),
            )
        )
        return frames


def _span(stages: Sequence[HostArray], i: int) -> tuple[float, float]:
    """The ends of a histogram's axis: one for all stages, which shows how the values move.

    Where a stage would be a sliver on it, as values far from 0 are, each has an axis of its own.
    """
    every = np.concatenate(stages)
    low, high = float(min(every.min(), 0)), float(max(every.max(), 0))
    widths = [float(np.ptp(values)) for values in stages]
    if min(widths) < 0.15 * (high - low) or high == low:
        low, high = float(stages[i].min()), float(stages[i].max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # all alike
        room = 0.5 * abs(high) or 1.0
        low, high = low - room, high + room
    return low, high


def _round(value: float, size: float) -> float:
    """Zero where only the rounding errors of numbers of this size are left."""
    return 0.0 if abs(value) < 1e-12 * size else float(value)
