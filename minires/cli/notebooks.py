"""`minires notebooks`: copies of the step-through notebooks, opened in JupyterLab."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import minires
from minires.cli.streams import say
from minires.files import atomic_write

PACKAGE = Path(minires.__file__).resolve().parent


def notebooks() -> list[Path]:
    """The notebooks that came with the package, or those of the checkout it is installed from.

    Raises
    ------
    FileNotFoundError
        If there are none in either place.
    """
    for folder in (PACKAGE / "notebooks", PACKAGE.parent / "notebooks"):
        if found := sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            return found
    raise FileNotFoundError(2, "this installation came without notebooks", PACKAGE / "notebooks")


def cleared(content: bytes) -> bytes:
    """A notebook without its outputs, so that predictions are made before results are seen."""
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def copy_out(folder: Path, clear: bool = False) -> tuple[list[Path], list[Path]]:
    """Copy the notebooks into `folder`; what is there under their names stays.

    Parameters
    ----------
    folder : Path
    clear : bool
        Leave out the outputs.

    Returns
    -------
    tuple of (list of Path, list of Path)
        The new copies, and the files that were there and differ.
    """
    new, kept = [], []
    for source in notebooks():
        copy, content = folder / source.name, source.read_bytes()
        if clear:
            content = cleared(content)
        if not copy.exists():
            with atomic_write(copy) as file:
                file.write(content)
            new.append(copy)
        elif copy.read_bytes() != content:
            kept.append(copy)
    return new, kept


def trust(copies: Sequence[Path]) -> None:
    """Tell Jupyter that these are ours, or it shows no player before its cell has been run."""
    command = [sys.executable, "-m", "jupyter", "trust", *map(str, copies)]
    subprocess.run(command, stdout=subprocess.DEVNULL)


def notebooks_command(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to put the copies.")
    ] = Path("minires-notebooks"),
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Copy them without outputs, to predict before you run."),
    ] = False,
    open: Annotated[
        bool, typer.Option("--open/--no-open", help="Open JupyterLab there, or only copy.")
    ] = True,
) -> int:
    """Copy the step-through notebooks to a folder of your own and open them in JupyterLab."""
    new, kept = copy_out(folder, clear)
    print(f"{folder}: {len(new)} notebooks copied" if new else f"{folder}: all notebooks are there")
    if kept:
        names = ", ".join(path.name for path in kept)
        why = "they have changes or outputs" if clear else "you have changed them"
        print(f"kept, as {why}: {names}")
    if not open:
        return 0
    if importlib.util.find_spec("jupyterlab") is None:
        say(
            "JupyterLab is not installed: pip install 'minires[notebooks]', or open the folder in "
            "another editor that shows notebooks"
        )
        return 1
    if new:
        trust(new)
    print("opening JupyterLab; Ctrl-C here stops it", flush=True)
    first = notebooks()[0].name
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(folder / first)]).returncode
