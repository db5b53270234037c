"""Write the tables of docs/from-pytorch.md from the hints that minires gives for PyTorch's names.

Run `python tools/build_from_pytorch_page.py`; tests/test_from_pytorch.py compares the page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import minires  # noqa: E402
from benchmarks.markdown import table, with_blocks, write  # noqa: E402
from minires.from_pytorch.keywords import Keyword  # noqa: E402
from minires.from_pytorch.keywords import table as known_keywords  # noqa: E402
from minires.from_pytorch.table import NOTHING, TABLES, Hint, read  # noqa: E402

PAGE = ROOT / "docs" / "from-pytorch.md"
HOMES = {
    "torch": minires,
    "Tensor": minires.Tensor,
    "nn": minires.nn,
    "nn.functional": minires.nn.functional,
    "optim": minires.optim,
    "optim.lr_scheduler": minires.optim.lr_scheduler,
    "nn.Module": minires.nn.Module,
    "nn.init": minires.nn.init,
    "nn.utils": minires.nn.utils,
    "cuda": minires.cuda,
    "utils": minires.utils,
    "utils.data": minires.data,
    "random": minires.random,
    "optim.Optimizer": minires.optim.Optimizer,
    "optim.lr_scheduler.LRScheduler": minires.optim.lr_scheduler.LRScheduler,
}


def section(namespace: str) -> str:
    """A namespace's tables under their titles, without what minires has; and what is left out."""
    hints, families = read(namespace)
    parts = []
    for (title, reason), rows in groupby(hints, lambda hint: (hint.section, hint.section_why)):
        shown = [row for hint in rows if (row := _row(namespace, hint, reason))]
        if shown:
            head = f"### {title}" + (f"\n\n{reason[0].upper()}{reason[1:]}." if reason else "")
            parts.append(f"{head}\n\n{table(shown)}")
    if families:
        left_out = [f"- {family.title}: {family.why}" for family in families]
        parts.append("### Left out\n\n" + "\n".join(left_out))
    return "\n\n".join(parts)


def keywords() -> str:
    """The keywords that only PyTorch takes; rows that say the same stand together."""
    rows = [
        {
            "keyword": ", ".join(f"`{name}`" for name in names),
            "changes nothing": "any value" if "*" in hint.nothing else ", ".join(hint.nothing),
            "minires": f"`{hint.ours}`",
            "": hint.why,
        }
        for hint, names in _together(known_keywords()).items()
    ]
    return table(rows)


def _together(hints: dict[str, Keyword]) -> dict[Keyword, list[str]]:
    found: dict[Keyword, list[str]] = {}
    for name, hint in hints.items():
        found.setdefault(hint, []).append(name)
    return found


def _row(namespace: str, hint: Hint, reason: str) -> dict[str, str]:
    home = HOMES[namespace]
    names = [name for name in hint.names if not hasattr(home, name)]
    if not names:
        return {}
    if hint.theirs and names[0] == hint.names[0]:
        names[0] = hint.theirs
    return {
        "PyTorch": ", ".join(f"`{name}`" for name in names),
        "minires": f"`{hint.ours}`" if hint.ours != NOTHING else "leave it out",
        "": "" if hint.why == reason else hint.why,
    }


BLOCKS: dict[str, Callable[[], str]] = {
    **{name: partial(section, name) for name in TABLES},
    "keywords": keywords,
}
"""What the page's marked blocks hold."""

__all__ = ["BLOCKS", "with_blocks"]

if __name__ == "__main__":
    write(PAGE, BLOCKS)
