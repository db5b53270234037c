"""Results that stay: one file a student and assignment, and the earlier ones beside.

RESULTS/ASSIGNMENT/STUDENT.json            what counts
RESULTS/ASSIGNMENT/earlier/STUDENT-*.json  of what was handed in before

Each question's result says what it is of: the submission's content and the question in its bundle.
What is unchanged is not graded again; what changed is, whoever else is graded at the time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from minires.coursework.result import DAMAGED, LaterFormat, Result
from minires.coursework.submissions.collect import Submission
from minires.coursework.submissions.platforms import owner_of
from minires.files import FileError, atomic_write, read_small

FOLDER = "results"
LARGEST = 1 << 30
"""Bytes of the tables of a class."""


class Store:
    """The results in a folder; without one nothing is kept.

    Attributes
    ----------
    damaged : list of Path
        Files that could not be read.
    former : list of tuple
        Students whose results were under another name, each with the result as it was.

    Raises
    ------
    FileError
        If a later version of minires wrote some.
    """

    def __init__(self, out: Path | None) -> None:
        self.folder = None if out is None else out / FOLDER
        self.damaged: list[Path] = []
        self.former: list[tuple[str, Result]] = []
        self._paths: dict[tuple[str, str], list[Path]] = defaultdict(list)
        self._results: dict[tuple[str, str], Result] = {}
        for path in self._files():
            result = self._read(path)
            if result is not None:
                whose = result.assignment, result.student
                self._results.setdefault(whose, result)
                self._paths[whose].append(path)

    def _files(self) -> Iterator[Path]:
        """Those of this format first; format 1 had them in one folder."""
        if self.folder is not None:
            yield from sorted(self.folder.glob("*/*.json"))
            yield from sorted(self.folder.glob("*.json"))

    def _read(self, path: Path) -> Result | None:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            result = Result.from_json(value)
            return result if "format" in value else _of_format_1(result)
        except LaterFormat as error:
            raise FileError(
                f"{path}: {error}: update minires, or name another folder with --out"
            ) from error
        except (OSError, ValueError, RecursionError):
            self.damaged.append(path)
            return None

    def lost(self, assignment: str) -> list[Result]:
        """Whose results are damaged, in the place of those.

        Who it is says the last table, else the name of the file.
        """
        if self.folder is None:
            return []
        own = self.folder / assignment
        found = {
            path.stem: Result(path.stem, assignment, "", [], DAMAGED)
            for path in self.damaged
            if path.parent == own
        }
        if not found:
            return []
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            table = json.loads(read_small(self.folder.parent / "grades.json", LARGEST))
            for row in table:
                known = replace(Result.from_json(row), questions=[], changes=[], problem=DAMAGED)
                if known.assignment == assignment and known.file_name in found:
                    found[known.file_name] = known
        return sorted(found.values(), key=lambda result: result.student)

    def get(self, assignment: str, student: str) -> Result | None:
        """A student's result."""
        return self._results.get((assignment, student))

    def put(self, result: Result) -> None:
        """Keep a result; one of other content stays beside it."""
        before = self.get(result.assignment, result.student)
        self._results[result.assignment, result.student] = result
        if self.folder is None:
            return
        if before is not None and before.key != result.key:
            self._keep(before)
        path = self.folder / result.assignment / f"{result.file_name}.json"
        _write(path, result)
        whose = result.assignment, result.student
        for former in self._paths[whose]:
            if former != path:  # of a version that named files otherwise
                former.unlink(missing_ok=True)
        self._paths[whose] = [path]
        if path in self.damaged:
            self.damaged.remove(path)

    def _keep(self, result: Result) -> None:
        """Write one that does not count any more."""
        if self.folder is not None and result.key:
            name = f"{result.file_name}-{result.key[:12]}.json"
            _write(self.folder / result.assignment / "earlier" / name, result)

    def rename(self, assignment: str, submissions: Iterable[Submission]) -> None:
        """Put results under the names that their students have now.

        Who has the same number on the same learning platform is the same student.
        """
        now = {(own.platform, own.number): own for own in submissions if own.number}
        for result in self.of(assignment):
            own = now.get((result.platform, result.number))
            if own is None or own.student == result.student:
                continue
            if self.get(assignment, own.student) is None:
                self.put(replace(result, student=own.student, name=own.name))
            else:
                self._keep(result)
            del self._results[assignment, result.student]
            for path in self._paths.pop((assignment, result.student), ()):
                path.unlink(missing_ok=True)
            self.former.append((own.student, result))

    def assignments(self) -> list[str]:
        """Those that have results, by name."""
        damaged = {path.parent.name for path in self.damaged if path.parent != self.folder}
        return sorted({assignment for assignment, _ in self._results} | damaged)

    def files(self) -> set[tuple[str, str]]:
        """What was graded for which assignment."""
        return {(name, result.file) for (name, _), result in self._results.items()}

    def of(self, assignment: str) -> list[Result]:
        """The whole class's results, by student."""
        found = [r for (name, _), r in self._results.items() if name == assignment]
        return sorted(found, key=lambda result: result.student)


def _of_format_1(result: Result) -> Result:
    """One that named the student as the learning platform named the file."""
    owner = owner_of(result.student)
    return result if owner is None else result.of(owner)


def _write(path: Path, result: Result) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(result.to_json(), indent=1, ensure_ascii=False).encode())
