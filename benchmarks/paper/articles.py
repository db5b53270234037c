"""The numbers in docs/articles.md: every script of docs/examples at its own settings."""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.paper import results

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
EXAMPLES = DOCS / "examples"
FOLDER = results.FOLDER.parent / "articles"


def names() -> list[str]:
    """The scripts' names."""
    return sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "small")


def measure(name: str) -> None:
    """Run one script and write its table, with its settings, to benchmarks/results/articles."""
    sys.path.insert(0, str(EXAMPLES))
    run = importlib.import_module(name).run
    settings: dict[str, Any] = {
        key: value.default for key, value in inspect.signature(run).parameters.items()
    }
    if "pictures" in settings:
        settings["pictures"] = DOCS / "images"
    started = time.perf_counter()
    rows = run(**settings)
    settings = {k: v for k, v in settings.items() if isinstance(v, int | float | str | tuple)}
    seconds = round(time.perf_counter() - started, 1)
    results.write(
        FOLDER / f"{name}.json",
        {"script": f"{name}.py", "settings": settings, "rows": rows, "seconds": seconds},
    )
