"""A picture with a caption: what does not move."""

from __future__ import annotations

import base64
import html
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minires.viz.player import png
from minires.viz.text import HostArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure, the sentence that says what to see in it, and the numbers behind it.

    Attributes
    ----------
    title, caption : str
    values : mapping of str to array
        What is drawn, for further use.
    """

    title: str
    caption: str
    values: Mapping[str, HostArray]
    draw: Callable[[], Figure]

    def __repr__(self) -> str:
        return f"<picture: {self.title}; a notebook shows it, .plot() draws it>"

    def plot(self) -> Figure:
        """The picture as a matplotlib figure, with its title above and its caption below."""
        figure = self.draw()
        width, height = figure.get_size_inches()
        caption = textwrap.wrap(self.caption, int(14.5 * width))
        figure.set_size_inches(width, height + 0.45 + 0.17 * len(caption))
        style: dict[str, Any] = {"x": 0.02, "ha": "left", "parse_math": False}
        figure.suptitle(self.title, fontsize=11, weight="bold", **style)
        figure.supxlabel("\n".join(caption), fontsize=9, **style)
        return figure

    def html(self) -> str:
        """The picture as PNG inside a `<figure>`, with its caption as text."""
        return self._figure(_base64(self.draw()))

    def _figure(self, picture: str) -> str:
        title, caption = html.escape(self.title), html.escape(self.caption)
        return (
            '<figure style="margin:0.75rem 0;max-width:62rem">'
            f'<img alt="{title}. {caption}" src="data:image/png;base64,{picture}" '
            'style="max-width:100%;background:#fff;border-radius:8px">'
            '<figcaption style="font:14px/1.5 system-ui,sans-serif;margin-top:0.4rem">'
            f"<b>{title}.</b> {caption}</figcaption></figure>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            "text/html": self.html(),
            "image/png": _base64(self.plot()),
        }


def _base64(figure: Figure) -> str:
    return base64.b64encode(png(figure, colours=256)).decode()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without pyplot and its global state."""
    from matplotlib.figure import Figure  # takes half a second, so only when a plot is wanted

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    return figure
