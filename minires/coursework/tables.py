"""Tables that people and platforms write: with commas, semicolons or tabs, in usual encodings."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minires.files import FileError, read_small
from minires.text import shown

LARGEST = 16 << 20
WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""How a spreadsheet's own file begins: .xlsx and .ods, which are archives, and .xls."""


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows in which something stands, each with the line on which it begins.

    Raises
    ------
    FileError
        If it cannot be read, or is a spreadsheet's own file or no text.
    """
    line = 1
    try:
        text = _decoded(path, read_small(path, LARGEST))
        first = text.partition("\n")[0].strip()
        named = re.fullmatch(r'"?sep=(.)"?', first)  # by which Excel knows, and nobody else
        delimiter = named[1] if named else max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = []
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells) and not (named and line == 1):
                rows.append((line, cells))
            line = reader.line_num + 1
        return rows
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (csv.Error, TypeError) as error:  # TypeError: a delimiter that is none
        raise FileError(f"{path}, line {line}: no row of a table: {error}") from error


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith(WORKBOOKS):
        raise FileError(f"{path} is an Excel workbook: save it as CSV")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    codes = len(re.findall(r"[\x01-\x08\x0e-\x1f]", text))
    if "\0" in text or 20 * codes > len(text):
        raise FileError(f"{path} is no text: save the table as CSV")
    return text


def plain_name(text: str) -> str:
    """Letters and digits only, without accents and case."""
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", text)


@dataclass(frozen=True)
class Row:
    """A row of a table with headings: its texts by their plain headings, none of them empty."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def get(self, *headings: str) -> str:
        """The first that there is, or an empty text."""
        return next((self.cells[h] for h in headings if h in self.cells), "")

    def wrong(self, message: str) -> FileError:
        """An error that names the line."""
        return FileError(f"{self.path}, line {self.line}: {message}")

    def number(self, heading: str) -> float:
        """A number, with a comma or a point.

        Raises
        ------
        FileError
            If there is none.
        """
        text = self.get(heading)
        plain = re.sub(r"\s", "", text.replace("\N{MINUS SIGN}", "-")).lstrip("'").replace(",", ".")
        if not re.fullmatch(r"[+-]?(\d{1,6}(\.\d{0,9})?|\.\d{1,9})", plain, re.ASCII):
            raise self.wrong(f"{shown(text)!r} is no number of {heading}")
        return float(plain)


def read_table(path: Path, *wanted: Sequence[str]) -> Iterator[Row]:
    """The rows of a table with headings, in any order.

    Parameters
    ----------
    path : Path
    *wanted : sequence of str
        Plain headings, of each of which the table must have one.

    Raises
    ------
    FileError
        If it cannot be read, if a heading is missing, or if a row is longer than the headings.
    """
    rows = read_rows(path)
    headings = [plain_name(cell) for cell in rows[0][1]] if rows else []
    missing = [names[0] for names in wanted if not set(names) & set(headings)]
    if missing:
        needed = ", ".join(names[0] for names in wanted)
        raise FileError(f"{path} has no column {missing[0]!r} in its first row; it needs {needed}")
    yield from named_rows(path, rows)


def named_rows(path: Path, rows: Sequence[tuple[int, list[str]]]) -> Iterator[Row]:
    """Rows under the first of them, which has the headings.

    Raises
    ------
    FileError
        If a row is longer than the headings.
    """
    headings = [plain_name(cell) for cell in rows[0][1]] if rows else []
    for line, cells in rows[1:]:
        named: dict[str, str] = {}
        for heading, cell in zip(headings, cells, strict=False):
            if cell:
                named.setdefault(heading, cell)
        row = Row(path, line, named)
        if any(cells[len(headings) :]):
            plural = "" if len(headings) == 1 else "s"
            raise row.wrong(
                f"{len(cells)} cells, and {len(headings)} heading{plural}; "
                "a text with the sign between cells in it stands in double quotes"
            )
        yield row
