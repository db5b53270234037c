"""Build `notebooks/*.ipynb` from `notebooks/src/*.py`: run every cell and keep what comes out.

    python tools/build_notebooks.py             # all of them
    python tools/build_notebooks.py 01 03       # those whose names begin so
    python tools/build_notebooks.py --check     # run, write nothing, compare with the built ones
    python tools/build_notebooks.py --text      # run nothing: only the prose has changed

The sources are in jupytext's percent format. A cell that raises or writes to stderr (a warning)
fails the build, and so does a notebook that takes more than three minutes; not with `--check`, as
other work may go on beside. `--check` further wants of every cell the players, pictures and figures
that it shows in the built notebook. Needs `pip install -e '.[notebooks]'`.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from notebook_cells import (
    CHECKOUT,
    MOST_BYTES,
    NOTEBOOKS,
    built,
    differences,
    read,
    shown,
    sources,
)

LONGEST = 180.0  # seconds, for one notebook that is built
LONGEST_ALL = 720.0
HANGS = 900  # seconds, for a cell, on a machine that does other things beside


def run(notebook: NotebookNode, name: str) -> None:
    """Run every cell in a fresh kernel, in an empty folder; outputs go into the notebook.

    Raises
    ------
    SystemExit
        If a cell raises, writes to stderr or takes too long.
    """
    here = str(CHECKOUT)
    before = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [here, before])),
        "TQDM_DISABLE": "1",  # bars go to stderr, and there is nobody to watch them
    }
    metadata = dict(notebook.metadata)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=HANGS,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            sys.exit(f"{name}: a cell failed\n{error}")
        except TimeoutError:
            sys.exit(f"{name}: a cell took more than {HANGS} s")
    notebook.metadata = metadata  # running adds the version of Python
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                sys.exit(f"{name}: this cell wrote to stderr\n{cell.source}\n\n{output.text}")
            if "traceback" in output:  # names files; where they lie here is nobody's concern
                output.traceback = [line.replace(f"{here}/", "") for line in output.traceback]


def keep_outputs(notebook: NotebookNode, before: NotebookNode, name: str) -> None:
    """Give a notebook whose prose has changed the outputs that it had.

    Raises
    ------
    SystemExit
        If a code cell has changed.
    """
    new, old = ([c for c in n.cells if c.cell_type == "code"] for n in (notebook, before))
    if [cell.source for cell in new] != [cell.source for cell in old]:
        sys.exit(f"{name}: its code has changed, so it must be run")
    for cell, had in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = had.outputs, had.execution_count


def main() -> None:
    """Run what is asked for, one after the other, with a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prefixes", nargs="*", help="such as 01 (default: all)")
    parser.add_argument("--check", action="store_true", help="run and compare, write nothing")
    parser.add_argument("--text", action="store_true", help="keep the outputs: no code has changed")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    for source in sources(arguments.prefixes):
        print(f"{source.stem:40}", end="", flush=True)
        started = time.perf_counter()
        notebook = read(source)
        if arguments.text:
            keep_outputs(notebook, nbformat.read(built(source), as_version=4), source.stem)
        else:
            run(notebook, source.stem)
        seconds = time.perf_counter() - started
        total = sum(map(shown, notebook.cells), Counter())
        what = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in sorted(total.items()))
        print(f"{seconds:6.1f} s  {what}", flush=True)
        if seconds > LONGEST and not arguments.check:
            sys.exit(f"{source.stem} took more than {LONGEST:.0f} s")
        if arguments.check:
            if found := differences(notebook, nbformat.read(built(source), as_version=4)):
                sys.exit(f"{source.stem}: " + "\n".join(found))
        else:
            nbformat.validate(notebook)
            nbformat.write(notebook, built(source))
    seconds = time.perf_counter() - begin
    size = sum(path.stat().st_size for path in NOTEBOOKS.glob("*.ipynb"))
    print(f"{seconds:.0f} s in all, built notebooks take {size / 1e6:.1f} MB")
    if size > MOST_BYTES or (seconds > LONGEST_ALL and not arguments.check):
        sys.exit(f"more than {LONGEST_ALL:.0f} s or {MOST_BYTES / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
