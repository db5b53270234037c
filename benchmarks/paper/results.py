"""Results as JSON files, with the machine, the seed and the date."""

from __future__ import annotations

import datetime
import json
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

import minires
from minires.bench.machine import describe
from minires.files import atomic_write
from minires.kernels import get_num_threads

FOLDER = Path(__file__).resolve().parent.parent / "results" / "paper"


def machine() -> dict[str, Any]:
    """What the figures depend on, besides the code."""
    return {
        **{key: value for key, value in describe().items() if key != "system"},
        "threads": get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "minires": minires.__version__,
    }


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a result with the machine and today's date, atomically."""
    dated = {"date": datetime.date.today().isoformat(), "machine": machine(), **content}
    text = json.dumps(dated, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text)  # a list a line
    with atomic_write(path) as file:
        file.write(f"{text}\n".encode())


class Table:
    """A file of rows, each written as soon as it is known and never computed twice.

    Parameters
    ----------
    path : Path
    settings : dict
        What all rows have in common. A file with other settings is not added to.

    Raises
    ------
    ValueError
        If the file is there already, with other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = {"settings": json.loads(json.dumps(settings)), "rows": {}}
        if path.exists():
            found = read(path)
            if found["settings"] != self.content["settings"]:
                raise ValueError(
                    f"{path} holds results of other settings ({found['settings']}): move it away "
                    "or name another file with --out"
                )
            self.content["rows"] = found["rows"]

    def __contains__(self, name: str) -> bool:
        return name in self.content["rows"]

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Keep one row and write the file."""
        self.content["rows"][name] = row
        write(self.path, self.content)
