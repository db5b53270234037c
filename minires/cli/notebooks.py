"""`minires notebooks`: copies of the step-through notebooks, opened in JupyterLab."""

from __future__ import annotations

import importlib.util
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


def copy_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy the notebooks into `folder`; what is there under their names stays.

    Returns
    -------
    tuple of (list of Path, list of Path)
        The new copies, and the files that were there and differ.
    """
    new, kept = [], []
    for source in notebooks():
        copy, content = folder / source.name, source.read_bytes()
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
    open: Annotated[
        bool, typer.Option("--open/--no-open", help="Open JupyterLab there, or only copy.")
    ] = True,
) -> int:
    """Copy the step-through notebooks to a folder of your own and open them in JupyterLab."""
    new, kept = copy_out(folder)
    print(f"{folder}: {len(new)} notebooks copied" if new else f"{folder}: all notebooks are there")
    if kept:
        names = ", ".join(path.name for path in kept)
        print(f"kept, as you have changed them: {names}")
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
