"""Cells: of an assignment's source, of a notebook or script that a student hands in.

Sources and scripts are Python files in jupytext's percent format. A code cell says what it is for:

    # %% given="imports"              for everybody, not to be changed
    # %% question="batch_norm_train"  the student's, with a solution between markers
    # %% check="batch_norm_train"     the visible check of a question
    # %%                              for trying things out; not graded
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

MAX_FILE = 50 << 20
"""Bytes of the largest submission that is opened."""

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How files begin that Windows's editor calls Unicode."""

ROLES = ("given", "question", "check")


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes
    ----------
    kind : str
        `"code"` or `"markdown"`.
    source : str
    role : str
        `"given"`, `"question"`, `"check"`, or `""` for any other.
    name : str
        What is given, or the question's name.
    number : int
        Its place among the code cells, from 1.
    """

    kind: str
    source: str
    role: str = ""
    name: str = ""
    number: int = 0


class SubmissionError(ValueError):
    """What was handed in cannot be read; the text is for its author."""


def read_submission(path: Path) -> list[Cell]:
    """The cells of a notebook or Python file.

    Raises
    ------
    SubmissionError
        If it is too large, no text, no notebook.
    """
    if not path.is_file():
        raise SubmissionError("there is no such file")
    if path.stat().st_size > MAX_FILE:
        raise SubmissionError(
            f"the file has {path.stat().st_size >> 20} MB, more than {MAX_FILE >> 20}: clear the "
            "notebook's outputs and hand it in again"
        )
    try:
        text = text_of(path.read_bytes())
    except UnicodeDecodeError as error:
        raise SubmissionError("the file is not text in UTF-8") from error
    if (not is_python(text) and path.suffix.lower() == ".ipynb") or text.lstrip().startswith("{"):
        return parse_notebook(text)  # also where a mail program named it .ipynb.txt or .json
    return parse_percent(text)


PYTHON = re.compile(r"^(?:def|class) +\w+ *[(:]", re.MULTILINE)


def is_python(text: str) -> bool:
    """Whether a text is Python source and no notebook, whatever its file is named."""
    return not text.lstrip().startswith(("{", "[", "<")) and PYTHON.search(text) is not None


def text_of(content: bytes, errors: str = "strict") -> str:
    """A file's text; `errors` as `bytes.decode` has it."""
    return content.decode("utf-16" if content[:2] in UTF_16 else "utf-8-sig", errors)


HEADER = re.compile(r"^# ?(?:%%(?P<rest>[^%].*)?|In ?\[[\d ]*\]:)\s*$")
"""How a cell begins, also as other editors and `nbconvert` write it."""
NEW_LINE = re.compile("\r\n|\r|\n")
"""As Python sees lines, which `splitlines` does not."""
OPTION = re.compile(r"(\w+)=\"([^\"]*)\"")


def parse_percent(text: str) -> list[Cell]:
    """The cells of a file in percent format; without any marker it is one solution cell."""
    blocks: list[tuple[str, list[str]]] = []
    found = False
    for line in NEW_LINE.split(text):
        match = HEADER.match(line)
        if match:
            blocks.append((match["rest"] or "", []))
            found = True
        elif blocks:
            blocks[-1][1].append(line)
        else:
            blocks.append(("", [line]))
    if not found:
        return [Cell("code", text.strip("\n"), "question", "", 1)]
    return _numbered(
        _percent_cell(head, "\n".join(lines).strip("\n")) for head, lines in blocks if _any(lines)
    )


def _any(lines: list[str]) -> bool:
    return any(line.strip() for line in lines)


def _percent_cell(head: str, source: str) -> Cell:
    if "[markdown]" in head:
        lines = [re.sub(r"^# ?", "", line) for line in source.splitlines()]
        return Cell("markdown", "\n".join(lines))
    options = dict(OPTION.findall(head))
    for role in ROLES:
        if role in options:
            return Cell("code", source, role, options[role])
    return Cell("code", source)


def _numbered(cells: Iterable[Cell]) -> list[Cell]:
    numbered, count = [], 0
    for cell in cells:
        count += cell.kind == "code"
        numbered.append(replace(cell, number=count if cell.kind == "code" else 0))
    return numbered


def parse_notebook(text: str) -> list[Cell]:
    """The cells of a notebook; outputs are not looked at.

    Raises
    ------
    SubmissionError
        If the text is no notebook of version 4.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise SubmissionError(f"the notebook is no valid JSON: {reason}") from error
    if isinstance(document, dict) and "worksheets" in document:
        raise SubmissionError(
            "the notebook is of version 3 of its format: open it in Jupyter, save it, and hand it "
            "in again"
        )
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise SubmissionError("the file is no notebook: it has no list of cells")
    return _numbered(_notebook_cells(document["cells"]))


def _notebook_cells(cells: list[Any]) -> Iterator[Cell]:
    for cell in cells:
        if not isinstance(cell, dict):
            raise SubmissionError("the file is no notebook: one of its cells is no object")
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise SubmissionError("the file is no notebook: a cell's source is no text")
        if cell.get("cell_type") == "code":
            yield Cell("code", source, *_role(cell.get("metadata")))
        else:
            yield Cell("markdown", source)


def _role(metadata: Any) -> tuple[str, str]:
    """What nbgrader's metadata says that a cell is for."""
    mine = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if not isinstance(mine, dict) or not isinstance(mine.get("grade_id"), str):
        return "", ""
    name = mine["grade_id"]
    if mine.get("solution") is True:
        return "question", name
    role, _, rest = name.partition("-")
    return (role, rest) if role in ROLES else ("check", name)


def runnable(cells: Iterable[Cell], question: str) -> list[dict[str, Any]]:
    """What a child gets of a submission, and how each cell runs: see `script`."""
    return [
        {"name": f"cell {cell.number}", "source": cell.source, "how": _how(cell, question)}
        for cell in cells
        if cell.kind == "code"
    ]


def _how(cell: Cell, question: str) -> str:
    if cell.role in ("given", "check"):
        return "missing"
    return "all" if cell.role == "question" and cell.name in ("", question) else "needed"
