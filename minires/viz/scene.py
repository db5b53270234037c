"""A drawing of boxes, labels and curves that is rendered twice: as SVG, and by matplotlib.

Every part may have a key, by which a player's frames change its text and its classes. What a class
looks like is said once, in `STYLES`; the style sheet and the static picture both come from there.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minires.viz.colours import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]

STYLES: dict[str, dict[str, Any]] = {
    # fill and stroke of shapes, ink of labels; what comes later wins
    "box": {"fill": "panel", "stroke": "rule"},
    "cell": {"fill": "page", "stroke": "rule"},
    "line": {"stroke": "rule"},
    "axis": {"stroke": "soft"},
    "frame-axis": {"fill": "none", "stroke": "soft"},
    "soft": {"ink": "soft"},
    "padding": {"fill": "panel", "stroke": "rule", "ink": "soft", "dash": (3, 3)},
    "hole": {"fill": "panel", "stroke": "rule", "ink": "soft", "dash": (2, 3)},
    "forward": {"fill": "forward-wash", "stroke": "forward", "ink": "forward"},
    "backward": {"fill": "backward-wash", "stroke": "backward", "ink": "backward"},
    "solid-forward": {"fill": "forward", "stroke": "page"},
    "solid-backward": {"fill": "backward", "stroke": "page"},
    "solid-soft": {"fill": "soft", "stroke": "page"},
    "now": {"fill": "now-wash", "stroke": "now", "width": 2.2, "ink": "ink"},
    "frame": {"fill": "none", "stroke": "now", "width": 2.6},
    **{f"path-{m}": {"fill": f"path-{m}", "stroke": f"path-{m}", "width": 2.0} for m in range(4)},
    "strong": {"weight": 600, "ink": "ink"},
    "plus": {"weight": 700, "ink": "backward"},
    "hidden": {"hidden": True},
    "shown": {"hidden": False},
}


@dataclass(frozen=True)
class Box:
    """A rectangle by its top left corner."""

    x: float
    y: float
    width: float
    height: float
    cls: str = "box"
    key: str = ""
    radius: float = 6


@dataclass(frozen=True)
class Label:
    """A line of text; `y` is its middle."""

    x: float
    y: float
    text: str
    cls: str = ""
    key: str = ""
    anchor: str = "middle"
    size: float = 13
    mono: bool = False


@dataclass(frozen=True)
class Curve:
    """A polyline, or with `cubic` a chain of Bezier curves (1 + 3n points); may end in an arrow."""

    points: tuple[Point, ...]
    cls: str = "line"
    key: str = ""
    cubic: bool = False
    arrow: bool = True


Part = Box | Label | Curve


@dataclass
class State:
    """What frames have made of the parts: by key the text, the further classes and the shift."""

    text: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    shift: dict[str, Point] = field(default_factory=dict)


@dataclass
class Scene:
    """Parts in the order in which they are painted, on a page of `width` by `height` pixels."""

    width: float
    height: float
    parts: list[Part] = field(default_factory=list)

    def add(self, *parts: Part) -> None:
        """Paint these on top."""
        self.parts += parts

    def svg(self, title: str) -> str:
        """As SVG; for readers of screens it is one picture with a title."""
        body = "".join(map(_svg, self.parts))
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" '
            f'height="{self.height:g}" role="img" aria-label="{html.escape(title)}">{body}</svg>'
        )

    def draw(self, axes: Axes, state: State | None = None) -> None:
        """On matplotlib axes, in light colours."""
        axes.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        axes.set_axis_off()
        for part in self.parts:
            _paint(axes, part, state or State())


def style_sheet(scope: str) -> str:
    """`COLOURS` and `STYLES` as CSS rules inside `scope`."""
    pairs = "".join(f"--{n}:light-dark({a},{b});" for n, (a, b) in COLOURS.items())
    rules = [f"{scope}{{{pairs}}}"]
    for name, style in STYLES.items():
        shape = _declarations(style, {"fill": "fill", "stroke": "stroke", "width": "stroke-width"})
        if "dash" in style:
            shape += "stroke-dasharray:{} {};".format(*style["dash"])
        text = _declarations(style, {"ink": "fill", "weight": "font-weight"})
        if shape:
            rules.append(f"{scope} svg .{name}:not(text){{{shape}}}")
        if text:
            rules.append(f"{scope} svg text.{name}{{{text}}}")
        if "hidden" in style:
            seen = "hidden" if style["hidden"] else "visible"
            rules.append(f"{scope} svg .{name}{{visibility:{seen}}}")
    return "\n".join(rules)


def _declarations(style: Mapping[str, Any], names: Mapping[str, str]) -> str:
    found = ((css, style[own]) for own, css in names.items() if own in style)
    return "".join(f"{css}:{f'var(--{v})' if v in COLOURS else v};" for css, v in found)


def _svg(part: Part) -> str:
    key = f' data-k="{html.escape(part.key)}"' if part.key else ""
    cls = html.escape(part.cls)
    if isinstance(part, Box):
        return (
            f'<rect x="{part.x:g}" y="{part.y:g}" width="{part.width:g}" height="{part.height:g}" '
            f'rx="{part.radius:g}" class="{cls}"{key}/>'
        )
    if isinstance(part, Label):
        cls += " mono" * part.mono
        return (
            f'<text x="{part.x:g}" y="{part.y:g}" text-anchor="{part.anchor}" '
            f'font-size="{part.size:g}" class="{cls}"{key}>{html.escape(part.text)}</text>'
        )
    first, *rest = [f"{x:.5g} {y:.5g}" for x, y in part.points]
    path = f"M{first}" + ("C" if part.cubic else "L") + " ".join(rest)
    if part.arrow:
        left, right = _head(part.points)
        tip = rest[-1]
        path += f"M{left[0]:.5g} {left[1]:.5g}L{tip}L{right[0]:.5g} {right[1]:.5g}"
    return f'<path d="{path}" class="curve {cls}"{key}/>'


def _head(points: Sequence[Point], length: float = 7) -> tuple[Point, Point]:
    """The two ends of an arrowhead's strokes, whose tip is the last point."""
    (x1, y1), (x0, y0) = points[-1], points[-2]
    for x0, y0 in reversed(points[:-1]):
        if (x0, y0) != (x1, y1):
            break
    norm = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
    length = min(length, 0.6 * norm)  # a short arrow has a small head
    ux, uy = (x1 - x0) / norm * length, (y1 - y0) / norm * length
    return (x1 - ux - uy / 2, y1 - uy + ux / 2), (x1 - ux + uy / 2, y1 - uy - ux / 2)


def _paint(axes: Axes, part: Part, state: State) -> None:
    from matplotlib import patches  # takes half a second, so only when a plot is wanted
    from matplotlib.path import Path

    names = f"{part.cls} {state.classes.get(part.key, '')}".split()
    style: dict[str, Any] = {}
    for name in STYLES:
        style |= STYLES[name] if name in names else {}
    if style.get("hidden"):
        return
    colour = {k: COLOURS[v][0] if v in COLOURS else v for k, v in style.items() if k in _PAINTS}
    dx, dy = state.shift.get(part.key, (0.0, 0.0))
    edge: dict[str, Any] = {
        "edgecolor": colour.get("stroke", COLOURS["rule"][0]),
        "linewidth": 0.75 * style.get("width", 1.3),  # points, where the page has pixels
        "linestyle": (0, style["dash"]) if "dash" in style else "-",
    }
    if isinstance(part, Label):
        axes.text(
            part.x + dx,
            part.y + dy,
            state.text.get(part.key, part.text).replace("$", r"\$"),
            color=colour.get("ink", COLOURS["ink"][0]),
            fontsize=0.72 * part.size,
            fontweight="bold" if style.get("weight", 400) > 500 else "normal",
            family="monospace" if part.mono else "sans-serif",
            ha={"start": "left", "middle": "center", "end": "right"}[part.anchor],
            va="center",
        )
    elif isinstance(part, Box):
        axes.add_patch(
            patches.FancyBboxPatch(
                (part.x + dx, part.y + dy),
                part.width,
                part.height,
                boxstyle=f"round,pad=0,rounding_size={min(part.radius, part.width / 2)}",
                facecolor=colour.get("fill", "none"),
                **edge,
            )
        )
    else:
        points = [(x + dx, y + dy) for x, y in part.points]
        step = Path.CURVE4 if part.cubic else Path.LINETO
        codes = [Path.MOVETO] + [step] * (len(points) - 1)
        if part.arrow:
            left, right = _head(points)
            points += [left, points[-1], right]
            codes += [Path.MOVETO, Path.LINETO, Path.LINETO]
        axes.add_patch(patches.PathPatch(Path(points, codes), facecolor="none", **edge))


_PAINTS = ("fill", "stroke", "ink")


def text_width(text: str, size: float = 13) -> float:
    """About how many pixels a line takes; a little more than in most fonts."""
    return 0.6 * size * len(text)


def shortened(text: str, width: float, size: float = 13) -> str:
    """A line that fits into so many pixels: what is too long loses its middle."""
    most = int(width / text_width("0", size))
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[-half:]}"
