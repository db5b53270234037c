"""Students under identifiers that do not tell a name.

An identifier is made of a course's secret seed and of who somebody is, so it is the same in all
assignments of the course and means nothing to who does not have the seed. Who is who stands in one
table, in the folder of the seed, where all that needs names is written too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minires.coursework.build import SEED, read_seed
from minires.coursework.csv_output import as_csv, cell, write_csv
from minires.coursework.grading.store import Store
from minires.coursework.result import Result
from minires.coursework.submissions.collect import Submission
from minires.coursework.tables import read_table
from minires.files import FileError

PLATFORM = "identifiers"
"""In the place of a learning platform, for results under identifiers."""

TABLE = "identifiers.csv"
COLUMNS = ("identifier", "assignment", "student", "name", "number", "platform")


@dataclass(frozen=True)
class Identity:
    """Who somebody is in an assignment; see `result.Result` for what the texts are."""

    assignment: str
    student: str
    name: str = ""
    number: str = ""
    platform: str = ""


class Identifiers:
    """Who is who, in a course.

    Parameters
    ----------
    folder : Path
        The course's `instructor` folder.

    Raises
    ------
    ValueError
        If it holds no seed, or its table is damaged.

    Attributes
    ----------
    folder : Path
        Of the seed and of the table.
    of : dict of Identity
        By assignment and identifier.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / SEED).is_file():
            raise FileError(
                f"{folder} holds no {SEED}: name the folder `instructor` of the course, which "
                "`minires coursework build` writes"
            )
        self.folder, self._seed = folder, str(read_seed(folder / SEED)).encode()
        self.of: dict[tuple[str, str], Identity] = {}
        if (path := folder / TABLE).is_file():
            for row in read_table(path, *([name] for name in COLUMNS)):
                identity = Identity(*(row.get(name) for name in COLUMNS[1:]))
                self.of[identity.assignment, row.get("identifier")] = identity

    def hidden(self, assignment: str, submissions: Sequence[Submission]) -> list[Submission]:
        """Submissions under identifiers; who is new is noted."""
        shared = Counter(submission.name for submission in submissions)
        known = {self._key(who): one for (name, one), who in self.of.items() if name == assignment}
        found = []
        for own in submissions:
            who = Identity(assignment, own.student, own.name, own.number, own.platform)
            identifier = known.get(self._key(who))
            if identifier is None:
                # Moodle's numbers are others in each assignment: the name counts if only one has it
                by_name = own.platform == "Moodle" and shared[own.name] == 1
                identifier = self._identifier(own.name if by_name else own.number or own.student)
                if (assignment, identifier) in self.of:
                    identifier = self._identifier(own.student)
            self.of[assignment, identifier] = who
            suffix = ".ipynb" if ".ipynb" in own.path.name.lower() else own.path.suffix
            file = identifier + suffix
            found.append(
                replace(own, student=identifier, file=file, name="", number="", platform=PLATFORM)
            )
        return found

    def _key(self, who: Identity) -> tuple[str, object]:
        """What nobody else in an assignment has, as a table gives it back."""
        return who.platform, who.number or cell(who.student)

    def _identifier(self, who: str) -> str:
        digest = hmac.digest(self._seed, who.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"student-{base64.b32encode(digest)[:10].decode().lower()}"

    def named(self, result: Result) -> Result:
        """A result under the student's name again."""
        identity = self.of.get((result.assignment, result.student))
        return result if identity is None else result.of(identity)

    def students(self) -> set[tuple[str, str]]:
        """Who is known in which assignment."""
        return {(name, who.student) for (name, _), who in self.of.items()}

    def write(self) -> None:
        """Write the table."""
        found = [
            (identifier, *(getattr(identity, name) for name in COLUMNS[1:]))
            for (_, identifier), identity in self.of.items()
        ]
        write_csv(self.folder / TABLE, as_csv([COLUMNS, *sorted(found)]))


def require_one_kind(store: Store, identifiers: Identifiers | None) -> None:
    """See that stored results are all under identifiers, or all under names.

    Raises
    ------
    FileError
        If they are of the other kind.
    """
    every = (result for name in store.assignments() for result in store.of(name))
    hidden = {result.platform == PLATFORM for result in every}
    if identifiers is None and True in hidden:
        raise FileError(f"{store.folder} is of students under identifiers: add --anonymous DIR")
    if identifiers is not None and False in hidden:
        raise FileError(f"{store.folder} is of students under names: name another with --out")


def require_known(store: Store, identifiers: Identifiers | None) -> None:
    """See that the course knows all identifiers of stored results: another's would lose names.

    Raises
    ------
    FileError
        If it does not.
    """
    if identifiers is None:
        return
    stored = [(name, one.student) for name in store.assignments() for one in store.of(name)]
    if unknown := [student for name, student in stored if (name, student) not in identifiers.of]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise FileError(
            f"{identifiers.folder}/{TABLE} does not know {unknown[0]}{more} of {store.folder}: "
            "name the `instructor` folder of the course that was graded there with --anonymous, "
            "or another folder with --out"
        )
