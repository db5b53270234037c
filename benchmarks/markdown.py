"""Pages whose tables and figures code writes: the blocks between marks, and tables in Markdown.

A page has `<!-- NAME -->` and `<!-- end of NAME -->` around each part that is written by code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Blocks = Mapping[str, Callable[[], str]]
"""What stands between the marks of each name."""


def with_blocks(page: str, blocks: Blocks) -> str:
    """The page with every marked block made anew.

    Raises
    ------
    ValueError
        If the page does not have each block's marks exactly once.
    """
    for name, make in blocks.items():
        before, rest = _halves(page, f"<!-- {name} -->\n")
        _, after = _halves(rest, f"<!-- end of {name} -->")
        page = f"{before}<!-- {name} -->\n{make()}\n<!-- end of {name} -->{after}"
    return page


def block(page: str, name: str) -> str:
    """What a page has between the marks of `name`.

    Raises
    ------
    ValueError
        If they are not there exactly once.
    """
    _, rest = _halves(page, f"<!-- {name} -->\n")
    return _halves(rest, f"\n<!-- end of {name} -->")[0]


def without_blocks(page: str) -> str:
    """What of a page people write."""
    return re.sub(r"<!-- ([^>]+) -->\n.*?<!-- end of \1 -->", "", page, flags=re.S)


def write(path: Path, blocks: Blocks) -> None:
    """Make the marked blocks of a file anew."""
    path.write_text(with_blocks(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")


def _halves(page: str, mark: str) -> tuple[str, str]:
    parts = page.split(mark)
    if len(parts) != 2:
        raise ValueError(f"the page has {mark.strip()} {len(parts) - 1} times, wanted once")
    return parts[0], parts[1]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table: column names from the first row, numbers to the right."""
    names = list(rows[0])
    right = [all(_is_number(row[n]) for row in rows) for n in names]
    lines = [names, ["---:" if r else "---" for r in right]]
    lines += [[cell(row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _is_number(value: Any) -> bool:
    """Also as text, as rounded numbers are, and where there is none."""
    return value == "" or re.fullmatch(r"[\d.,e+-]+", cell(value)) is not None


def cell(value: Any) -> str:
    """A value as a table shows it: 12,345."""
    return f"{value:,}" if isinstance(value, int) else f"{value}"
