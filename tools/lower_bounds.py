"""Print the oldest versions that pyproject.toml allows, as pip wants its constraints.

    python tools/lower_bounds.py test > oldest.txt
    pip install -c oldest.txt -e '.[test]'

The core's are always among them; the arguments name extras.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def lower_bounds(requirements: Iterable[str]) -> dict[str, str]:
    """Each package's lowest version, the highest of them where several are asked for.

    Raises
    ------
    ValueError
        If a requirement has no lower bound, so that nobody could know whether it holds.
    """
    bounds: dict[str, str] = {}
    for requirement in requirements:
        match = re.fullmatch(
            r"\s*([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:>=|==)\s*([0-9.]+)\s*", requirement
        )
        if not match:
            raise ValueError(f"{requirement!r} has no lower bound such as numpy>=2.0")
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        bounds[name] = max(bounds.get(name, "0"), match[2], key=_numbers)
    return bounds


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def main(extras: list[str]) -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    for name, version in sorted(lower_bounds(wanted).items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main(sys.argv[1:])
