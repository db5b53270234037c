"""Ask the package index whether an install finds everything on systems that this one is not.

    python tools/check_platforms.py

For each of `PLATFORMS` and each version of Python, pip resolves what pyproject.toml declares, from
wheels alone, and installs nothing. Needs the index, and fails without it. Markers such
as `sys_platform == "win32"` are those of the machine that this runs on: pip has no others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PLATFORMS = {
    "Windows": "win_amd64",
    "Windows on ARM": "win_arm64",
    "macOS": "macosx_11_0_arm64",
}
PYTHONS = "3.11", "3.13"


def resolved(platform: str, python: str, wanted: list[str]) -> list[str]:
    """What pip would install there, each as `name version`.

    Raises
    ------
    SystemExit
        If it finds no answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-"]
        command += ["--only-binary=:all:", "--platform", platform, "--python-version", python]
        command += ["--target", folder, "--ignore-installed", "--disable-pip-version-check"]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{platform}, Python {python}:\n{done.stdout}{done.stderr}")
    packages = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return sorted(f"{package['name']} {package['version']}" for package in packages)


def main() -> None:
    """A line for each platform and Python."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for system, platform in PLATFORMS.items():
        for python in PYTHONS:
            found = resolved(platform, python, project["dependencies"])
            names = {line.split()[0].lower() for line in found}
            wanted = {"numpy", "matplotlib", "typer", "tqdm", "threadpoolctl"}
            if not wanted <= names:
                sys.exit(f"{platform}, Python {python}: no {wanted - names}")
            print(f"{system} ({platform}), Python {python}: {len(found)} packages", flush=True)


if __name__ == "__main__":
    main()
