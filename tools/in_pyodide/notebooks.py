"""Run notebooks from top to bottom in Pyodide, and say how long they and their cells took.

    node tools/in_pyodide/start.mjs PYODIDE LIBRARIES tools/in_pyodide/notebooks.py 01 02

IPython runs the cells, as it does in JupyterLite, without a front end to show anything to: what a
cell ends with is formatted and counted.
"""

import contextlib
import io
import json
import sys
import warnings
from pathlib import Path

import js
import matplotlib.pyplot as plt
from IPython.core.interactiveshell import InteractiveShell

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def _seconds() -> float:
    """Of processor time, which other work on the machine does not lengthen."""
    used = js.process.cpuUsage()
    return float(used.user + used.system) / 1e6


def run(path: Path) -> bool:
    """Run one; a line for it, and one for each cell that failed. Whether all ran."""
    shell = InteractiveShell()
    cells = [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
    slowest, failed, began = 0.0, [], _seconds()
    for number, cell in enumerate(cells):
        started = _seconds()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            result = shell.run_cell("".join(cell["source"]))
        slowest = max(slowest, _seconds() - started)
        error = result.error_before_exec or result.error_in_exec
        if error is None and result.result is not None:
            with contextlib.redirect_stdout(io.StringIO()):
                shell.display_formatter.format(result.result)
        if error is not None and "raises-exception" not in cell["metadata"].get("tags", []):
            failed.append(f"    cell {number}: {type(error).__name__}: {str(error)[:300]}")
            failed.append(printed.getvalue()[-600:])
    total, count = _seconds() - began, len(failed) // 2
    plt.close("all")
    print(
        f"{path.stem:36} {len(cells):3} cells, {count} failed, {total:6.1f} s, the slowest cell "
        f"{slowest:.1f} s",
        flush=True,
    )
    for line in failed:
        print(line, flush=True)
    return not failed


if __name__ == "__main__":
    every = sorted(NOTEBOOKS.glob("*.ipynb"))
    ran = [run(path) for path in every if path.name.startswith(tuple(sys.argv[1:]))]
    sys.exit(0 if all(ran) else 1)
