"""`batch_norm`: a channel before and after, and the three paths that its gradient takes."""

from __future__ import annotations

from typing import Any

import numpy as np  # host arithmetic on one channel

import minires
from minires import ops
from minires.tensor import Tensor
from minires.viz.player import Frame, Player
from minires.viz.scene import Box, Curve, Label, Scene
from minires.viz.text import HostArray, factor, fraction, lines, number

BINS = 16
COLUMN = 184.0  # pixels from path to path
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
        If there are fewer than two values, no such channel, or `dy` has another size.
    """
    array = x.numpy() if isinstance(x, Tensor) else np.asarray(x, np.float64)
    if array.ndim > 1:
        if not -array.shape[-1] <= channel < array.shape[-1]:
            raise ValueError(f"x has {array.shape[-1]} channels, there is no channel {channel}")
        array = array[..., channel]
    values = array.astype(np.float64).ravel()
    if dy is None:
        dy = np.random.default_rng(0).normal(size=values.size).round(2)
    dy = np.asarray(dy, np.float64).ravel()
    if dy.size != values.size:
        raise ValueError(f"dy wants {values.size} values, one for each of x, got {dy.size}")
    return _Normalizing(values, dy, gamma, eps).player()


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
        y, (mean, var) = ops.batch_norm(column, scale, shift, eps=eps, with_saved=True)
        self.values, self.dy, self.gamma, self.eps = values, dy, gamma, eps
        self.mean, self.var = float(mean[0]), float(var[0])
        self.y = y.numpy()[:, 0]
        self.dx = minires.grad(y, column, Tensor(dy[:, None])).numpy()[:, 0]
        self.paths = gradient_paths(values, dy, gamma, eps)
        order = np.argsort(values, kind="stable")
        picked = np.unique(np.linspace(0, values.size - 1, min(MOST_ROWS, values.size)).round())
        self.rows = [int(order[int(i)]) for i in picked]

    def player(self) -> Player:
        return Player("Batch normalisation of a channel", self._scene(), self._frames())

    # ------------------------------------------------------------------ the drawing

    def _scene(self) -> Scene:
        scene = Scene(900, 0)
        stages = (
            ("before", "x", self.values),
            ("centred", "x − mean", self.values - self.mean),
            ("after", "y", self.y),
        )
        every = np.concatenate([values for *_, values in stages])
        span = (float(min(every.min(), 0)), float(max(every.max(), 0)))
        for i, (key, title, values) in enumerate(stages):
            self._histogram(scene, key, title, values, (20 + 300 * i, 48), span)
        top = 236
        peak = max(abs(size) for row in self.rows for size in self._sizes(row)) or 1.0
        heads = ("value of x", "direct", "through the mean", "through the variance", "sum: dx")
        for i, head in enumerate(heads):
            x = 84 if i == 0 else COLUMN * i
            scene.add(
                Label(
                    x, top, head, "strong hidden", f"head{i}", anchor="end" if i == 0 else "middle"
                )
            )
        for r, row in enumerate(self.rows):
            y = top + 30 + 27 * r
            scene.add(Label(80, y, number(self.values[row]), "hidden", f"row{r}", anchor="end"))
            for i, (path, size) in enumerate(zip(PATHS, self._sizes(row), strict=True)):
                self._arrow(
                    scene, f"{path}{r}", COLUMN * (i + 1) - 22, y, size / peak, number(size)
                )
        scene.height = top + 24 + 27 * len(self.rows)
        return scene

    def _sizes(self, row: int) -> list[float]:
        return [float(path[row]) for path in (*self.paths, self.dx)]

    @staticmethod
    def _arrow(scene: Scene, key: str, x: float, y: float, part: float, text: str) -> None:
        """From a zero line to the right if positive, to the left if negative."""
        tip = x + 58 * part
        cls = "backward" if not key.startswith("dx") else "now"
        scene.add(
            Curve(((x, y - 10), (x, y + 10)), "axis hidden", key, arrow=False),
            Label(x + 122, y, text, "hidden", key, anchor="end", size=12),
        )
        if abs(part) > 0.005:
            scene.add(Curve(((x, y), (tip, y)), f"{cls} hidden", key, arrow=True))

    @staticmethod
    def _histogram(
        scene: Scene,
        key: str,
        title: str,
        values: HostArray,
        corner: tuple[float, float],
        span: tuple[float, float],
    ) -> None:
        x, y = corner
        wide, high = 250.0, 110.0
        cls = "hidden" if key != "before" else ""
        counts, edges = np.histogram(values, BINS, range=span)
        scale = wide / ((span[1] - span[0]) or 1.0)
        scene.add(Label(x, y - 22, title, f"strong {cls}", key, anchor="start"))
        scene.add(Label(x + wide, y - 22, "count", f"soft {cls}", key, anchor="end", size=12))
        for count, left in zip(counts, edges, strict=False):
            if count:
                top = high * count / counts.max()
                bar = Box(
                    x + (left - span[0]) * scale, y + high - top, wide / BINS - 1, top,
                    f"solid-forward {cls}", key, radius=1,
                )  # fmt: skip
                scene.add(bar)
                middle = bar.x + bar.width / 2
                scene.add(Label(middle, bar.y - 7, str(count), f"soft {cls}", key, size=10))
        zero = x - span[0] * scale
        middle = x + (float(values.mean()) - span[0]) * scale
        scene.add(
            Curve(((x, y + high), (x + wide, y + high)), f"axis {cls}", key, arrow=False),
            Curve(((middle, y + 4), (middle, y + high)), f"now {cls}", key, arrow=False),
            Label(x, y + high + 12, number(span[0]), f"soft {cls}", key, anchor="start", size=11),
            Label(x + wide, y + high + 12, number(span[1]), f"soft {cls}", key, "end", 11),
        )
        if 40 < zero - x < wide - 40:
            scene.add(Label(zero, y + high + 12, "0", f"soft {cls}", key, size=11))
        numbers = f"mean {number(_round(values.mean()))}, deviation {number(_round(values.std()))}"
        scene.add(Label(x + wide / 2, y + high + 32, numbers, cls, key, size=12))

    # ------------------------------------------------------------------ frames

    def _frames(self) -> list[Frame]:
        count, std = self.values.size, (self.var + self.eps) ** 0.5
        mean, gamma = number(_round(self.mean)), number(self.gamma)
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
                f"<i>x</i> − <i>μ</i> = <i>x</i> − {factor(_round(self.mean))}",
                ("centred",),
            ),
            (
                f"Forward: dividing by the root of the variance, {number(std)}, gives deviation 1; "
                f"gamma = {gamma} scales it.",
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
            f"{number(_round(self.paths[1][0]))}.",
            "Backward, through the variance: a value far from the mean moves the variance more, so "
            f"the share grows with its distance; {texts[2]} together.",
        )
        formulas = (
            f"direct = {scale} · {up}",
            f"through the mean = −{fraction('<i>γ</i>', root)} · mean of {up} = "
            f"{number(_round(self.paths[1][0]))}",
            f"through the variance = −{fraction('<i>γ</i>', root)} · x̂ · mean of ({up} · x̂), "
            f"with x̂ = {fraction('<i>x</i> − <i>μ</i>', root)}",
        )
        for i, (path, say, math) in enumerate(zip(PATHS, sentences, formulas, strict=False)):
            keys = [f"{path}{r}" for r in range(len(rows))] + [f"head{i + 1}"]
            keys += [*rows, "head0"] if i == 0 else []
            frames.append(Frame(say, "backward", lines(math), classes=dict.fromkeys(keys, "shown")))
        keys = [f"dx{r}" for r in range(len(rows))] + ["head4"]
        r = self.rows[-1]
        sizes = [_round(v) for v in self._sizes(r)]
        sums = " + ".join([number(sizes[0]), *map(factor, sizes[1:3])]) + f" = {number(sizes[3])}"
        frames.append(
            Frame(
                "Backward: the three add up to dx. Its sum over the channel is "
                f"{number(_round(self.dx.sum()))}: shifting all values alike changes nothing.",
                "backward",
                lines(
                    "<i>dx</i> = direct + through the mean + through the variance",
                    f"for <i>x</i> = {number(self.values[r])}: {sums}",
                ),
                classes=dict.fromkeys(keys, "shown"),
            )
        )
        return frames


def _round(value: float) -> float:
    """Zero where only rounding errors are left."""
    return 0.0 if abs(value) < 1e-12 else float(value)
