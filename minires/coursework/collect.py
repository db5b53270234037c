"""Find what was handed in: whose it is, and for which assignment."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from minires.coursework.cells import MAX_FILE
from minires.files import whole

SUFFIXES = (".ipynb", ".py")


@dataclass(frozen=True)
class Submission:
    """A file, and whose it is."""

    student: str
    path: Path

    @property
    def file_name(self) -> str:
        """The student as a name that is safe for a file."""
        safe = re.sub(r"[^\w.-]", "_", self.student).lstrip(".")[:80]
        if safe == self.student:
            return safe
        return f"{safe}-{hashlib.sha256(self.student.encode()).hexdigest()[:8]}"


def find_submissions(places: Sequence[Path], assignment: str = "") -> list[Submission]:
    """The submissions in files and folders.

    A file belongs to whom it is named after. In a folder, each file and each folder is a student's,
    as Moodle, Canvas and nbgrader lay them out; of a student's files the one with the assignment's
    name counts, if there is one.

    Raises
    ------
    ValueError
        If a place does not exist, or holds nothing.
    """
    found: list[Submission] = []
    for place in places:
        if place.is_dir():
            inside = list(_in_folder(place, assignment))
            if not inside:
                raise ValueError(f"{place} holds no notebook and no Python file")
            found += inside
        elif place.is_file():
            found.append(_alone(place, assignment))
        else:
            raise ValueError(f"{place} does not exist")
    count = Counter(s.student for s in found)
    return [
        Submission(s.path.as_posix(), s.path) if count[s.student] > 1 else s
        for s in sorted(found, key=lambda s: (s.student, s.path))
    ]


def _alone(path: Path, assignment: str) -> Submission:
    """A file by itself: named after the student, or in a folder that is."""
    named = whole(path).parent.name if path.stem == assignment else path.stem
    return Submission(named, path)


def _in_folder(folder: Path, assignment: str) -> Iterator[Submission]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if path.is_file() and path.suffix in SUFFIXES:
            yield _alone(path, assignment)
        elif path.is_dir() and not path.is_symlink():
            files = sorted(
                p
                for p in path.rglob("*")
                if p.suffix in SUFFIXES and p.is_file() and not _hidden(p.relative_to(path))
            )
            named = [p for p in files if assignment and assignment in p.stem] or files
            for file in named:
                more = f"/{file.stem}" if len(named) > 1 else ""
                yield Submission(path.name + more, file)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def assignment_of(path: Path, names: Sequence[str]) -> str | None:
    """Which assignment a file is for: by its own name, its folder's, or its notebook's metadata."""
    for name in names:
        if name in path.stem or name in whole(path).parent.name:
            return name
    try:
        if path.suffix == ".ipynb" and path.stat().st_size <= MAX_FILE:
            own = json.loads(path.read_bytes())["metadata"]["minires"]["assignment"]
            return own if own in names else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
