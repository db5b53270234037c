"""Pictures of a report: heat maps as PNG for notebooks and pages, and as a matplotlib figure.

Positive values are orange, negative ones blue, zero is transparent: readable on light and dark.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np  # host arithmetic in float64

from minires.gradcheck.comparison import Comparison, HostArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POSITIVE, NEGATIVE, ERROR, NAN = (217, 108, 0), (0, 110, 220), (214, 39, 40), (150, 0, 200)
MOST_CELLS = 128
"""Rows and columns of a heat map; of a larger one the part around the worst entry is shown."""

_STYLE = """
<style>
.gradcheck { border-collapse: collapse; font: 13px/1.4 system-ui, sans-serif; }
.gradcheck table.gradcheck tr > * { border-bottom: 1px solid #8886; padding: 4px 10px;
  text-align: left; vertical-align: top; background: none; }
.gradcheck img { image-rendering: pixelated; border: 1px solid #8886; }
.gradcheck .number { font-family: ui-monospace, monospace; white-space: pre; }
.gradcheck .right, .gradcheck .wrong { padding: 0 6px; border-radius: 4px; font-weight: 600;
  color: #fff; }
.gradcheck .right { background: #1a7f37; }
.gradcheck .wrong { background: #c62828; }
</style>
"""


_READING = (
    "Orange is positive, {} negative. Of a right gradient analytic and numeric look alike, and the "
    "error stays pale: full colour is the tolerance, or the largest error if that is more."
)


def as_html(
    summary: str, comparisons: Sequence[Comparison], problems: Sequence[str], late: Sequence[str]
) -> str:
    """A report as a static table: no script, all pictures inside; `late` problems below it."""
    verdict = _verdict(not problems and not late and all(c.passed for c in comparisons))
    rows = "".join(_row(c) for c in sorted(comparisons, key=lambda c: (c.passed, c.order)))
    above, below = (
        "".join(f"<p><span class='wrong'>WRONG</span> {html.escape(p)}</p>" for p in texts)
        for texts in (problems, late)
    )
    heads = ("", "gradient", "worst entry", "analytic", "numeric", "error")
    head = "".join(f"<th>{h}</th>" for h in heads)
    note = _READING.format("blue")
    table = f"<table class='gradcheck'><tr>{head}</tr>{rows}</table><p>{note}</p>" if rows else ""
    return (
        f"{_STYLE}<div class='gradcheck'><p>{verdict} {html.escape(summary)}</p>"
        f"{above}{table}{below}</div>"
    )


def _verdict(passed: bool) -> str:
    return "<span class='right'>ok</span>" if passed else "<span class='wrong'>WRONG</span>"


def _row(c: Comparison) -> str:
    entries = f"{int(c.wrong.sum())} of {c.wrong.size} wrong"
    if c.excused.any():
        entries += f", {int(c.excused.sum())} at kinks"
    text = f"order {c.order}: {c.output} by {c.input} {list(c.analytic.shape)}<br>{entries}"
    if c.hint:
        text += f"<br><b>{html.escape(c.hint)}</b>"
    numbers = ""
    if c.analytic.size:
        at = c.worst
        numbers = (
            f"at        {list(at)}\nanalytic  {c.analytic[at]:.6g}\nnumeric   {c.numeric[at]:.6g}\n"
            f"error     {c.error[at]:.2g}\ntolerance {c.tolerance:.2g}"
        )
    cells = [_verdict(c.passed), text, f"<span class='number'>{numbers}</span>", *_maps(c)]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _maps(c: Comparison) -> list[str]:
    if not c.analytic.size:
        return ["", "", ""]
    finite = [abs(a[np.isfinite(a)]).max(initial=0) for a in (c.analytic, c.numeric)]
    top = max(finite) or 1.0
    worst = _flat_index(c.analytic.shape, c.worst)
    pictures = []
    for name, values, scale in (
        ("analytic", c.analytic, top),
        ("numeric", c.numeric, top),
        ("error", np.where(c.excused, 0, c.error), max(c.tolerance, _finite_max(c.error))),
    ):
        part = _around(matrix(values), worst)
        colours = heat(part, scale, ERROR if name == "error" else POSITIVE)
        rows, columns = part.shape
        zoom = max(1, min(16, 160 // max(rows, columns)))
        pictures.append(
            f"<img alt='{name}, {rows} by {columns}, colours up to {scale:.3g}' title='{name}: "
            f"full colour is {scale:.3g}' width='{columns * zoom}' height='{rows * zoom}' "
            f"src='data:image/png;base64,{base64.b64encode(png(colours)).decode()}'>"
        )
    return pictures


def _finite_max(values: HostArray) -> float:
    return float(np.where(np.isfinite(values), values, 0).max(initial=0))


def matrix(array: HostArray) -> HostArray:
    """An array of any rank as rows and columns: (N, H, W, C) becomes (N * H, W * C)."""
    half = array.ndim // 2
    rows = int(np.prod(array.shape[:half]))
    return array.reshape(rows, -1)


def _axis_names(c: Comparison) -> tuple[str, str]:
    """What the rows and the columns of `matrix` are."""
    if c.directional:
        return "", "direction"
    half = c.analytic.ndim // 2
    return _named(range(half), c.input), _named(range(half, c.analytic.ndim), c.input)


def _named(axes: range, name: str) -> str:
    if not axes:
        return ""
    return f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))} of {name}"


def _flat_index(shape: tuple[int, ...], index: tuple[int, ...]) -> tuple[int, int]:
    half = len(shape) // 2
    columns = int(np.prod(shape[half:]))
    position = int(np.ravel_multi_index(index, shape)) if shape else 0
    return position // columns, position % columns


def _around(values: HostArray, centre: tuple[int, int]) -> HostArray:
    """At most `MOST_CELLS` rows and columns, with `centre` among them."""
    parts = []
    for at, length in zip(centre, values.shape, strict=True):
        first = min(max(at - MOST_CELLS // 2, 0), max(length - MOST_CELLS, 0))
        parts.append(slice(first, first + MOST_CELLS))
    return values[tuple(parts)]


def heat(values: HostArray, scale: float, positive: tuple[int, int, int]) -> HostArray:
    """(rows, columns) to (rows, columns, 4): red, green, blue and opacity, which is the size."""
    colours = np.zeros((*values.shape, 4), np.uint8)
    colours[..., :3] = np.where(values[..., None] >= 0, positive, NEGATIVE)
    strength = np.nan_to_num(abs(values) / scale, nan=1.0, posinf=1.0)
    colours[..., 3] = np.rint(255 * np.minimum(strength, 1))
    colours[~np.isfinite(values)] = (*NAN, 255)
    return colours


def png(colours: HostArray) -> bytes:
    """A PNG picture of (rows, columns, 4) bytes (W3C Portable Network Graphics, section 5)."""
    rows, columns, _ = colours.shape
    lines = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(colours))
    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def as_figure(summary: str, comparisons: Sequence[Comparison]) -> Figure:
    """Analytic, numeric and error of the failed comparisons, or of all; eight at most."""
    from matplotlib.figure import Figure  # takes half a second, so only when a plot is wanted

    chosen = [c for c in comparisons if not c.passed] or list(comparisons)
    chosen = [c for c in chosen if c.analytic.size][:8]
    figure = Figure(figsize=(9, 0.6 + 2.4 * max(len(chosen), 1)), layout="constrained")
    figure.suptitle(summary, fontsize=9)
    figure.supxlabel(_READING.format("violet").replace(": full", ":\nfull"), fontsize=8)
    if not chosen:
        return figure
    for c, axes in zip(chosen, figure.subplots(len(chosen), 3, squeeze=False), strict=True):
        top = max(_finite_max(abs(c.analytic)), _finite_max(abs(c.numeric))) or 1.0
        for ax, values, name in zip(
            axes, (c.analytic, c.numeric), ("analytic", "numeric"), strict=False
        ):
            colours = {"cmap": "PuOr_r", "vmin": -top, "vmax": top}
            image = ax.imshow(matrix(values), **colours, aspect="auto", interpolation="none")
            ax.set_title(f"{c.output} by {c.input}: {name}", fontsize=8)
            figure.colorbar(image, ax=ax)
        error = matrix(np.where(np.isfinite(c.error), c.error, np.nan))
        most = max(c.tolerance, _finite_max(c.error))
        colours = {"cmap": "Reds", "vmin": 0, "vmax": most}
        image = axes[2].imshow(error, **colours, aspect="auto", interpolation="none")
        axes[2].set_title(f"error, tolerance {c.tolerance:.1e}", fontsize=8)
        figure.colorbar(image, ax=axes[2])
        rows, columns = _axis_names(c)
        axes[0].set_ylabel(rows, fontsize=8)
        for ax in axes:
            ax.set_xlabel(columns, fontsize=8)
    return figure
