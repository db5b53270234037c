"""The notebooks' cells: read from their sources, and what they show once run.

Apart from `build_notebooks.py`, which runs them, so that the tests need jupytext only.
"""

import hashlib
import sys
from collections import Counter
from pathlib import Path

import jupytext
from nbformat import NotebookNode

CHECKOUT = Path(__file__).resolve().parent.parent
NOTEBOOKS = CHECKOUT / "notebooks"
MOST_BYTES = 12_000_000  # all built notebooks together


def sources(prefixes: list[str]) -> list[Path]:
    """The notebooks' sources, in order; those that begin with one of `prefixes`, if there are any.

    Raises
    ------
    SystemExit
        If a prefix fits none.
    """
    found = sorted((NOTEBOOKS / "src").glob("*.py"))
    for prefix in prefixes:
        if not any(path.name.startswith(prefix) for path in found):
            sys.exit(f"no notebook begins with {prefix!r}: {', '.join(p.stem for p in found)}")
    return [p for p in found if not prefixes or p.name.startswith(tuple(prefixes))]


def built(source: Path) -> Path:
    """Where the notebook of this source is."""
    return NOTEBOOKS / f"{source.stem}.ipynb"


def read(source: Path) -> NotebookNode:
    """The notebook of a source, not run: no metadata but the kernel's, ids that stay as they are.

    A cell's id comes from its text, so that moving or inserting a cell changes no other's.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
    return notebook


def shown(cell: NotebookNode) -> Counter[str]:
    """How many players, pictures and figures a cell shows."""
    kinds: Counter[str] = Counter()
    for output in cell.get("outputs", []):
        html = output.get("data", {}).get("text/html", "")
        if 'class="minires-player"' in html:
            kinds["player"] += 1
        elif "<figure" in html:
            kinds["picture"] += 1
        elif "image/png" in output.get("data", {}):
            kinds["figure"] += 1
    return kinds


def differences(fresh: NotebookNode, committed: NotebookNode) -> list[str]:
    """Where the cells differ, or what they show; the outputs' values may differ by machine."""
    texts = [[(c.cell_type, c.source) for c in n.cells] for n in (fresh, committed)]
    if texts[0] != texts[1]:
        return ["its cells are not those of its source: run tools/build_notebooks.py"]
    return [
        f"this cell shows {dict(shown(new))}, as built {dict(shown(old))}\n{new.source}"
        for new, old in zip(fresh.cells, committed.cells, strict=True)
        if shown(new) != shown(old)
    ]
