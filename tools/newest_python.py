"""Print the newest released Python on this machine that can make a virtual environment.

Looked for where a shell would find it, and among those that pyenv keeps.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ASK = """
import sys, venv, ensurepip
assert sys.version_info.releaselevel == "final"
print(*sys.version_info[:3])
"""


def candidates() -> Iterator[Path]:
    """Every python3.N that is there."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if folder]
    for folder in [*folders, *pyenv.glob("versions/*/bin")]:
        if folder.is_dir():
            yield from (p for p in folder.iterdir() if re.fullmatch(r"python3\.\d+", p.name))


def version(python: Path) -> tuple[int, ...] | None:
    """Its version; None if it does not start, or is no release."""
    done = subprocess.run([python, "-c", ASK], capture_output=True, text=True)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


if __name__ == "__main__":
    known = {python: found for python in candidates() if (found := version(python))}
    print(max(known, key=lambda python: known[python]))
