"""`convolution`: the window slides forwards; backwards its gradients are scattered and gathered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np  # host arithmetic on small images

import minires
from minires.kernels import ConvGeometry
from minires.nn import functional as F
from minires.nn.functional import pair
from minires.tensors import Tensor
from minires.viz.grids import CELL, add_grid, cell_key, cell_width, grid_text, mark
from minires.viz.player import Frame, Player, TooLargeError
from minires.viz.scene import Label, Scene
from minires.viz.text import HostArray, factor, lines, number

MOST_CELLS, MOST_WINDOWS, MOST_PRODUCTS = 144, 64, 36
GAP = 52.0  # pixels between grids


def convolution(
    x: Any,
    w: Any,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dy: Any = None,
) -> Player:
    """Step through one convolution: forwards, then the gradients of the image and of the weights.

    Forwards the window slides over the image, and the products and their sum are shown. Backwards
    `dx` is a scatter-add of the kernel, and `dw` a correlation of the image with `dy`, whose
    entries the stride has moved apart.

    Parameters
    ----------
    x : array_like (H, W) or (1, H, W, C)
        One image, with padding at most 144 pixels. Integers stay integers on the screen, booleans
        are 0 and 1.
    w : array_like (KH, KW) or (KH, KW, C, 1)
        One filter of at most 36 weights.
    stride, padding : int or (int, int)
    dy : array_like (Ho, Wo), optional
        The gradient that comes from above; by default 1, 2, 3 and so on, so that each entry can
        be told from the others.

    Returns
    -------
    Player

    Raises
    ------
    ValueError
        If shapes do not fit, there is more than one image or filter, a stride is below 1 or a
        padding below 0, or results of integers are beyond 2 ** 53, where doubles round.
    TooLargeError
        If there are more pixels, windows (64) or weights than can be shown.
    """
    walk = pair(stride, "stride"), pair(padding, "padding")
    if min(walk[0]) < 1 or min(walk[1]) < 0:
        raise ValueError(
            f"convolution wants a stride of at least 1 and a padding of at least 0, got stride="
            f"{walk[0]} and padding={walk[1]}"
        )
    return _Sliding(_image(x), _filter(w), *walk, dy).player()


def _numbers(value: Any, name: str) -> HostArray:
    """A float64 or int64 array, so that sums of small integers such as pixels do not overflow."""
    try:
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    except ValueError:
        raise ValueError(f"convolution: the rows of {name} differ in length") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"convolution shows numbers, {name} holds {array.dtype}")
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def _image(x: Any) -> HostArray:
    array = _numbers(x, "x")
    if array.ndim == 2:
        return array[..., None]
    if array.ndim == 4 and array.shape[0] == 1:
        image: HostArray = array[0]
        return image
    raise ValueError(
        f"convolution shows one image, (H, W) or (1, H, W, C), got {array.shape}: x[:1] is the "
        "first of a batch"
    )


def _filter(w: Any) -> HostArray:
    array = _numbers(w, "w")
    if array.ndim == 2:
        return array[..., None]
    if array.ndim == 4 and array.shape[3] == 1:
        return array[..., 0]
    raise ValueError(
        f"convolution shows one filter, (KH, KW) or (KH, KW, C, 1), got {array.shape}: w[..., :1] "
        "is the first of several"
    )


class _Sliding:
    """Arrays as the engine gives them, and the frames that show how each number comes about."""

    def __init__(
        self,
        x: HostArray,  # (H, W, C)
        w: HostArray,  # (KH, KW, C)
        stride: tuple[int, int],
        padding: tuple[int, int],
        dy: Any,
    ) -> None:
        if x.shape[2] != w.shape[2]:
            raise ValueError(
                f"convolution: x has {x.shape[2]} channels, and w weights for {w.shape[2]}"
            )
        out = ConvGeometry(stride, padding).output_size(x.shape[:2], w.shape[:2])
        self.stride, self.padding = stride, padding
        cells = (x.shape[0] + 2 * padding[0]) * (x.shape[1] + 2 * padding[1]) * x.shape[2]
        if cells > MOST_CELLS or out[0] * out[1] > MOST_WINDOWS or w.size > MOST_PRODUCTS:
            raise TooLargeError(
                f"convolution shows at most {MOST_CELLS} pixels with padding, {MOST_WINDOWS} "
                f"windows and {MOST_PRODUCTS} weights, got {cells}, {out[0] * out[1]} and "
                f"{w.size}: take a part, such as x[:6, :6]"
            )
        self.dy = self._upstream(dy, out)
        image = Tensor(x[None].astype(np.float64), requires_grad=True)
        kernel = Tensor(w[..., None].astype(np.float64), requires_grad=True)
        y = F.conv2d(image, kernel, stride=stride, padding=padding)
        above = Tensor(self.dy[None, ..., None].astype(np.float64))
        dx, dw = minires.grad(y, (image, kernel), above)
        whole = all(array.dtype.kind == "i" for array in (x, w, self.dy))
        keep = _exact if whole else np.asarray
        self.y = keep(y.numpy()[0, ..., 0])
        self.dx, self.dw = keep(dx.numpy()[0]), keep(dw.numpy()[..., 0])
        (ph, pw), self.w = padding, w
        self.padded = np.pad(x, ((ph, ph), (pw, pw), (0, 0)))
        self.channels = range(x.shape[2])
        self.inside = {
            (i, j) for i in range(ph, ph + x.shape[0]) for j in range(pw, pw + x.shape[1])
        }

    @staticmethod
    def _upstream(dy: Any, size: tuple[int, int]) -> HostArray:
        if dy is None:
            return 1 + np.arange(size[0] * size[1]).reshape(size)
        array = _numbers(dy, "dy")
        if array.size != size[0] * size[1]:
            raise ValueError(
                f"convolution: dy wants the output's {size[0]} × {size[1]} numbers, got shape "
                f"{array.shape}"
            )
        return array.reshape(size)

    def player(self) -> Player:
        frames = [self._start(), *self._forwards(), *self._scatter(), *self._correlate()]
        return Player("Convolution, forwards and backwards", self._scene(frames), frames)

    # ------------------------------------------------------------------ the drawing

    def _scene(self, frames: Sequence[Frame]) -> Scene:
        high, wide, channels = self.padded.shape
        spread = self._spread_size()
        kernel = self.w.shape[:2]
        columns = [wide, kernel[1], max(self.y.shape[1], spread[1])]
        texts = [item for frame in frames for item in frame.text.items()]
        cells = [cell_width(texts, ends) for ends in ("x", "w", "y")]  # dx is below x, and so on
        left = [14.0]
        for n, cell in zip(columns, cells, strict=True):
            left.append(left[-1] + max(n * cell, 90) + GAP)
        padding = {
            (i, j): "padding" for i in range(high) for j in range(wide)
            if (i, j) not in self.inside
        }  # fmt: skip
        holes = {
            (i, j): "hole" for i in range(spread[0]) for j in range(spread[1])
            if i % self.stride[0] or j % self.stride[1]
        }  # fmt: skip
        scene = Scene(left[-1] - GAP + 14, 0)
        row = max(high, kernel[0], spread[0]) * CELL + 50
        for c in self.channels:
            of = f", channel {c}" if channels > 1 else ""
            top = 40 + 2 * c * row
            for d, y in (("", top), ("d", top + row)):
                image = f"{d}x{of}", (left[0], y), (high, wide), cells[0], padding
                add_grid(scene, f"{d}x{c}", *image)
                add_grid(scene, f"{d}w{c}", f"{d}w{of}", (left[1], y), kernel, cells[1])
        add_grid(scene, "y", "y", (left[2], 40), self.y.shape, cells[2])
        title = "dy, as far apart as the windows" if holes else "dy"
        add_grid(scene, "dy", title, (left[2], 40 + row), spread, cells[2], holes)
        scene.width = max(scene.width, left[2] + 14 + 7.4 * len(title))
        scene.height = 2 * channels * row + 14
        if self.padding != (0, 0):
            scene.add(Label(left[0], scene.height - 8, "dashed: padding", "soft", anchor="start"))
            scene.height += 10
        return scene

    def _spread_size(self) -> tuple[int, int]:
        (sh, sw), (ho, wo) = self.stride, self.y.shape
        return (ho - 1) * sh + 1, (wo - 1) * sw + 1

    # ------------------------------------------------------------------ frames

    def _window(self, i: int, j: int) -> list[tuple[int, int]]:
        (sh, sw), (kh, kw, _) = self.stride, self.w.shape
        return [(sh * i + a, sw * j + b) for a in range(kh) for b in range(kw)]

    def _start(self) -> Frame:
        high, wide, _ = self.padded.shape
        text: dict[str, str] = {}
        for c in self.channels:
            text |= grid_text(f"x{c}", self.padded[..., c]) | grid_text(f"w{c}", self.w[..., c])
        (kh, kw), (sh, sw) = self.w.shape[:2], self.stride
        padded = " with its padding, which rows and columns count" if any(self.padding) else ""
        several = len(self.channels) > 1
        over = "<i>a</i>,<i>b</i>,<i>c</i>" if several else "<i>a</i>,<i>b</i>"
        channel = ", <i>c</i>" if several else ""
        return Frame(
            f"The image x is {high} × {wide}{padded}; the kernel w is {kh} × {kw}. It moves {sh} "
            f"down and {sw} to the right, so the output y is {self.y.shape[0]} × "
            f"{self.y.shape[1]}.",
            "forward",
            lines(
                f"<i>y</i>[<i>i</i>, <i>j</i>] = Σ<sub>{over}</sub> "
                f"<i>x</i>[{_times(sh, 'i')} + <i>a</i>, {_times(sw, 'j')} + <i>b</i>{channel}] · "
                f"<i>w</i>[<i>a</i>, <i>b</i>{channel}]"
            ),
            text=text,
        )

    def _forwards(self) -> list[Frame]:
        frames = []
        for i, j in np.ndindex(self.y.shape):
            window = self._window(i, j)
            sums = []
            marks = mark("y", [(i, j)], "now")
            kernel = list(np.ndindex(*self.w.shape[:2]))
            for c in self.channels:
                marks |= mark(f"x{c}", window, "now") | mark(f"w{c}", kernel, "forward")
                sums += self._products(
                    [self.padded[at][c] for at in window], self.w[..., c].ravel(), self.w.shape[1]
                )
            y = number(self.y[i, j])
            frames.append(
                Frame(
                    f"Forward: the window at row {window[0][0]}, column {window[0][1]} gives "
                    f"y[{i}, {j}] = {y}.",
                    "forward",
                    lines(f"<i>y</i>[{i}, {j}] =", *sums, f"= {y}"),
                    text={cell_key("y", i, j): y},
                    classes={cell_key("y", i, j): "forward"},
                    marks=marks,
                )
            )
        return frames

    @staticmethod
    def _products(left: Any, right: Any, in_a_row: int) -> list[str]:
        """The sum of products, written out with one row of the kernel on each line."""
        terms = [f"{factor(a)}·{factor(b)}" for a, b in zip(left, right, strict=True)]
        rows = [terms[i : i + in_a_row] for i in range(0, len(terms), in_a_row)]
        return ["&emsp;+ " + " + ".join(row) for row in rows]

    def _scatter(self) -> list[Frame]:
        sh, sw = self.stride
        spread = np.zeros(self._spread_size(), self.dy.dtype)
        spread[::sh, ::sw] = self.dy
        total = np.zeros(self.padded.shape, self.dx.dtype)
        text = grid_text("dy", spread)
        for c in self.channels:
            text |= grid_text(f"dx{c}", total[..., c])
        holes = "; the holes between them are the stride's" if (sh, sw) != (1, 1) else ""
        frames = [
            Frame(
                f"Backward: dy comes from above, one number for each window{holes}. dx starts at "
                "0.",
                "backward",
                lines(
                    f"<i>dx</i>[{_times(sh, 'i')} + <i>a</i>, {_times(sw, 'j')} + <i>b</i>] "
                    '<span class="plus">+=</span> '
                    "<i>dy</i>[<i>i</i>, <i>j</i>] · <i>w</i>[<i>a</i>, <i>b</i>]"
                ),
                text=text,
            )
        ]
        last = (self.dy.shape[0] - 1, self.dy.shape[1] - 1)
        for i, j in np.ndindex(self.dy.shape):
            window = self._window(i, j)
            text, rows = {}, []
            marks = mark("dy", [(sh * i, sw * j)], "now")
            for c in self.channels:
                marks |= mark(f"dx{c}", window, "now")
                marks |= mark(f"w{c}", np.ndindex(*self.w.shape[:2]), "backward")
                for at, weight in zip(window, self.w[..., c].ravel(), strict=True):
                    total[at][c] += self.dy[i, j] * weight
                    text[cell_key(f"dx{c}", *at)] = number(total[at][c])
                for a in range(self.w.shape[0]):
                    shares = [self.dy[i, j] * weight for weight in self.w[a, :, c]]
                    row = ", ".join(
                        f"{factor(self.dy[i, j])}·{factor(v)} = {number(s)}"
                        for v, s in zip(self.w[a, :, c], shares, strict=True)
                    )
                    rows.append(f'&emsp;<span class="plus">+=</span> {row}')
            dropped = " What fell on the padding is dropped." if self.padding != (0, 0) else ""
            done = f" dx is complete.{dropped}" if (i, j) == last else ""
            frames.append(
                Frame(
                    f"Backward: dy[{i}, {j}] = {number(self.dy[i, j])} times the kernel is added "
                    f"to dx where its window was, at row {window[0][0]}, column "
                    f"{window[0][1]}.{done}",
                    "backward",
                    lines(*rows),
                    text=text,
                    classes={k: "backward" for k in text if self._within(k)},
                    marks=marks,
                )
            )
        return frames

    def _within(self, key: str) -> bool:
        row, _, column = key.partition(":")[2].partition(",")
        return (int(row), int(column)) in self.inside

    def _correlate(self) -> list[Frame]:
        (sh, sw), (ho, wo) = self.stride, self.dy.shape
        frames = []
        spots = [(sh * i, sw * j) for i, j in np.ndindex(ho, wo)]
        for c in self.channels:
            for a, b in np.ndindex(*self.w.shape[:2]):
                under = [(i + a, j + b) for i, j in spots]
                dw = number(self.dw[a, b, c])
                name = f"{a}, {b}" if len(self.channels) == 1 else f"{a}, {b}, {c}"
                frames.append(
                    Frame(
                        f"Backward: dw[{name}] = {dw}, the sum of dy times the pixels that this "
                        "weight met.",
                        "backward",
                        lines(
                            f"<i>dw</i>[{name}] =",
                            *self._products(
                                self.dy.ravel(), [self.padded[at][c] for at in under], wo
                            ),
                            f"= {dw}",
                        ),
                        text={cell_key(f"dw{c}", a, b): dw},
                        classes={cell_key(f"dw{c}", a, b): "backward"},
                        marks=mark(f"x{c}", under, "now")
                        | mark("dy", spots, "backward")
                        | mark(f"dw{c}", [(a, b)], "now"),
                    )
                )
        return frames


def _times(stride: int, letter: str) -> str:
    return f"<i>{letter}</i>" if stride == 1 else f"{stride}<i>{letter}</i>"


def _exact(array: HostArray) -> HostArray:
    """What the engine's doubles made of integers, as integers."""
    if np.abs(array).max() >= 2**53:
        raise ValueError(
            "convolution: results of these integers are beyond 2 ** 53, where doubles round them; "
            "take smaller ones"
        )
    return array.astype(np.int64)
