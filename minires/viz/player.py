"""The player: a drawing and the frames that change it, as one self-contained piece of HTML.

The page first holds a still picture (a PNG inside the HTML), which the script beside it replaces by
the drawing with its buttons, slider and keys. So a viewer without scripts shows the picture.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minires.files import atomic_write
from minires.viz.scene import Point, Scene, State, style_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BYTES = 1_500_000
"""What a player may add to a page. A notebook with a dozen of the largest still opens at once."""


class TooLargeError(ValueError):
    """What was to be shown has too many steps or parts; the message says what to show instead."""


@dataclass(frozen=True)
class Frame:
    """One step.

    Attributes
    ----------
    say : str
        The step in a sentence or two of plain text, which screen readers speak.
    phase : {"forward", "backward", ""}
        Which colour the step has.
    math : str
        HTML below the drawing; whoever writes it escapes what comes from outside.
    text, classes, shift : mapping
        What changes in the drawing from this frame on, by the key of a part.
    marks : mapping
        Further classes in this frame only.
    """

    say: str
    phase: str = ""
    math: str = ""
    text: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    shift: Mapping[str, Point] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fields that are not empty."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class Player:
    """A drawing to step through; the last thing in a notebook's cell shows it.

    Attributes
    ----------
    title : str
    scene : Scene
        The drawing before the first frame.
    frames : sequence of Frame

    Raises
    ------
    TooLargeError
        If the frames take more than 1.5 MB of a page.
    """

    title: str
    scene: Scene
    frames: Sequence[Frame]

    def __post_init__(self) -> None:
        size = len(self._data().encode())
        if size > MOST_BYTES:
            raise TooLargeError(
                f"{self.title}: {len(self.frames)} steps would add {size / 1e6:.1f} MB to the "
                f"page, more than {MOST_BYTES / 1e6} MB: show a smaller input"
            )

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"<player: {self.title}, {len(self)} steps; a notebook shows it, .plot() draws it>"

    def state(self, index: int) -> State:
        """What the frames up to this one have made of the drawing."""
        state = State()
        for frame in self.frames[: index + 1]:
            state.text |= frame.text
            state.classes |= frame.classes
            state.shift |= frame.shift
        for key, mark in self.frames[index].marks.items():
            state.classes[key] = f"{state.classes.get(key, '')} {mark}"
        return state

    def plot(self, step: int = -1) -> Figure:
        """One step as a still picture, by default the last.

        Parameters
        ----------
        step : int
            From 0; negative ones count from the end.

        Returns
        -------
        matplotlib.figure.Figure
            The drawing, and its sentence below.

        Raises
        ------
        IndexError
            If there is no such step.
        """
        from matplotlib.figure import Figure  # takes half a second, so only when a plot is wanted

        index = range(len(self))[step]
        title = f"{self.title}  (step {index + 1} of {len(self)})" if len(self) > 1 else self.title
        wide = max(self.scene.width, 420, 8.5 * len(title))  # pixels, room for the words
        width, height = wide / 96, self.scene.height / 96  # inches, at CSS's 96 pixels
        sentence = textwrap.wrap(self.frames[index].say, int(wide / 7.2))
        top, bottom = 0.4, 0.15 + 0.19 * len(sentence)
        figure = Figure(figsize=(width, height + top + bottom))
        whole = height + top + bottom
        axes = figure.add_axes((0, bottom / whole, 1, height / whole))
        self.scene.draw(axes, self.state(index))
        text: dict[str, Any] = {"fontsize": 9, "color": "#1f2328", "parse_math": False}
        figure.text(0.02, 1 - 0.25 / whole, title, va="center", weight="bold", **text)
        for i, line in enumerate(sentence):
            y = (bottom - 0.1 - 0.19 * i) / whole
            figure.text(0.02, y, line, va="top", **text)
        return figure

    def html(self) -> str:
        """One `<div>` with all that it needs; it may stand in any page, twice too."""
        data, picture = self._data(), base64.b64encode(png(self.plot())).decode()
        name = f"minires-{hashlib.sha256(data.encode()).hexdigest()[:10]}"
        alt = html.escape(f"{self.title}. {self.frames[-1].say}")
        return (
            f'<div class="minires-player" id="{name}"><style>{_css()}</style>'
            f'<img class="still" alt="{alt}" src="data:image/png;base64,{picture}">'
            f'<script>{_script()}("{name}", {data});</script></div>'
        )

    def save(self, path: str | Path) -> None:
        """Write a page of its own, atomically: it opens from disk, without a network."""
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{html.escape(self.title)}</title></head><body>{self.html()}</body></html>"
        )
        with atomic_write(path) as file:
            file.write(page.encode())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            "text/html": self.html(),
            "image/png": base64.b64encode(png(self.plot())).decode(),
        }

    def _data(self) -> str:
        data = {
            "title": self.title,
            "svg": self.scene.svg(self.title),
            "frames": [frame.to_json() for frame in self.frames],
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        # inside <script> nothing may look like markup
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def png(figure: Figure, colours: int = 64) -> bytes:
    """A figure as a small PNG: 64 colours are enough for line art, and a third of the bytes."""
    from PIL import Image  # which matplotlib brings

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=96)
    small = io.BytesIO()
    Image.open(file).convert("RGB").quantize(colours).save(small, "png", optimize=True)
    return small.getvalue()


@functools.cache
def _css() -> str:
    own = resources.files("minires.viz").joinpath("player.css").read_text(encoding="utf-8")
    return style_sheet(".minires-player") + "\n" + own


@functools.cache
def _script() -> str:
    source = resources.files("minires.viz").joinpath("player.js").read_text(encoding="utf-8")
    return source[source.index("(function") :].rstrip()
