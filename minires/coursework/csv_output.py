"""Tables as CSV, in which nothing is a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from minires.files import atomic_write


def write_csv(path: Path, text: str) -> None:
    """Write a table; its first character tells spreadsheets that it is UTF-8."""
    with atomic_write(path) as file:
        file.write(("\ufeff" + text).encode("utf-8", "backslashreplace"))


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """A table as text, in which nothing is a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return stream.getvalue()


SIGNS = re.compile(
    r"(^|[;\t])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])|^(?=\t)"
)
"""Before these signs, their full-width and their small forms a spreadsheet looks for a formula: in
front, and behind what another country's spreadsheet takes for the end of a cell."""


def cell(value: object) -> object:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in value)
    return SIGNS.sub(r"\1'", text)
