"""Tables of text, and the few pieces of HTML that objects show in a notebook, all escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from minires.text import bounded

_CELL = (
    "padding:2px 12px 2px 0;border:0;background:none;color:inherit;vertical-align:top;text-align:"
)


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of text: the first `left` columns start at the left, the others end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust] * left + [str.rjust] * (len(widths) - left)
    return [
        "  ".join(f(c, w) for f, c, w in zip(sides, row, widths, strict=True)).rstrip()
        for row in rows
    ]


LEAST = 12
"""Characters that stay of the longest text in a first column."""


def fitted(rows: Sequence[Sequence[str]], width: int) -> tuple[list[list[str]], int]:
    """Rows for `aligned` that are no wider than a terminal, and how many columns are left out.

    Texts of the first column are shortened; where that is not enough, columns before the last one
    are left out from the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, keep = min(widths[0], LEAST), len(widths)
    while keep > 2 and first + sum(2 + w for w in [*widths[1 : keep - 1], widths[-1]]) > width:
        keep -= 1
    room = max(first, width - sum(2 + w for w in [*widths[1 : keep - 1], widths[-1]]))
    kept = [[bounded(row[0], room), *row[1 : keep - 1], row[-1]] for row in rows]
    return kept, len(widths) - keep


def table(head: Sequence[object], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """A plain table: the first `left` columns start at the left, the others end at the right."""
    body = "".join(_row("td", row, left) for row in rows)
    top = f'<thead style="border-bottom:1px solid #8886">{_row("th", head, left)}</thead>'
    style = "border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px;margin:4px 0"
    return f'<table style="{style}">{top if head else ""}<tbody>{body}</tbody></table>'


def _row(tag: str, cells: Sequence[object], left: int) -> str:
    shown = "".join(
        f'<{tag} style="{_CELL}{"left" if i < left else "right"}">{html.escape(str(cell))}</{tag}>'
        for i, cell in enumerate(cells)
    )
    return f'<tr style="background:none">{shown}</tr>'


def line(name: str, *facts: str) -> str:
    """A name in bold, and what is to be said of it."""
    rest = " · ".join(html.escape(fact) for fact in facts if fact)
    return f"<div><b>{html.escape(name)}</b>{' · ' if rest else ''}{rest}</div>"


def folded(summary: str, text: str) -> str:
    """Text that is shown on demand."""
    return (
        f"<details><summary>{html.escape(summary)}</summary>"
        f'<pre style="font-size:12px;margin:4px 0">{html.escape(text)}</pre></details>'
    )
