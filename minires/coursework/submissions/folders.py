"""Whose a file is where no learning platform says so: by the names of files and folders.

In the folder of a class each file and each folder is a student's. Folders around it (an export's
parent, sections of a course, a folder named after the assignment) are looked through.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from minires.coursework.submissions.entries import Entry
from minires.coursework.submissions.platforms import Owner

SUFFIX = re.compile(
    r"\.(?:ipynb|py|zip)(?:\.(?:txt|json))?$|\.(?:txt|json|pdf|html?|md|docx?|odt|pages|rtf|csv"
    r"|rar|7z|gz|tgz|tar|png|jpe?g)$",
    re.IGNORECASE,
)
VERSION = re.compile(
    r"(?:[\s_.-]*(?:\(\d+\)|copy\d*|final|last|new|old|backup|fixed|late|resubmi\w*|submission"
    r"|student|v\d+|version\d*|attempt[\s_.-]*\d*|try\d*|\d+))+$",
    re.IGNORECASE,
)
NOBODY = re.compile(
    r"(?:src|code|notebooks?|lib|utils?|scripts?|helpers?|main|work|solutions?|homework|hw|test"
    r"|tests|data|assignments?|answers?|part|task|exercises?|untitled)[\s_.-]*\d*",
    re.IGNORECASE,
)
"""What a student names parts of the own work."""

NUMBERED = re.compile(
    r"\((\d+)\)$|(?:(?<![^\W\d_])(?:attempt|version|try|v)|-)[\s_-]*(\d+)$", re.IGNORECASE
)
ASIDE = re.compile(r"(?<![^\W\d_])(?:copy|old|backup)\d*$", re.IGNORECASE)
DOWNLOAD = re.compile(r"\s*\(\d+\)$")
"""What browsers add to a name that they have had before."""


def stem(name: str) -> str:
    """A file's name without what says its kind."""
    return SUFFIX.sub("", name)


def attempt_of(parts: Sequence[str]) -> tuple[str, ...]:
    """Which attempt names say that something is: later ones are larger, copies come first."""
    texts = [stem(part) for part in reversed(parts)]
    found = []
    for text in texts:
        match = NUMBERED.search(text)
        found.append("" if match is None else (match[1] or match[2])[:9].zfill(9))
    while found and not found[-1]:
        found.pop()
    return ("0" if any(ASIDE.search(text) for text in texts) else "1", *found)


@dataclass
class Folder:
    """What is in a folder."""

    name: str
    files: list[Entry] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, entries: Sequence[Entry]) -> Folder:
        """The tree that entries are in."""
        root = cls(name)
        for entry in entries:
            at = root
            for part in entry.parts[:-1]:
                at = at.folders.setdefault(part, cls(part))
            if entry.path is None and "folder" in entry.problem:
                at = at.folders.setdefault(entry.name, cls(entry.name))
            at.files.append(entry)
        return root

    def all(self) -> list[Entry]:
        """Every entry below."""
        return self.files + [e for folder in self.folders.values() for e in folder.all()]


class Names:
    """What names mean, given the assignments' names.

    Parameters
    ----------
    assignment_of : callable
        The assignment that an entry is for, or None.
    is_work : callable
        Whether an entry may be graded at all.
    assignments : sequence of str
    """

    def __init__(
        self,
        assignment_of: Callable[[Entry], str | None],
        is_work: Callable[[Entry], bool],
        assignments: Sequence[str],
    ) -> None:
        self.assignment_of, self.is_work = assignment_of, is_work
        self.assignments = assignments

    def owners(self, root: Folder, several: bool = False) -> dict[Entry, Owner]:
        """Whose every entry in the folder that was given is, or in several, each below its name."""
        found: dict[Entry, Owner] = {}
        if not several and self._is_students(root):
            self._give(root.name, root.all(), 0, found)
        else:
            self._class(root, root.name, 0, found, several)
            self._level(found)
        return found

    def _level(self, found: dict[Entry, Owner]) -> None:
        """Look for the one student of a section as deep as for the students of the others.

        Not where other work lies in the same folder that is not so deep: then it is no section, and
        what is deep in it is in the folders of a student's own.
        """
        places: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
        shallowest: dict[tuple[str, ...], int] = {}
        for entry, owner in found.items():
            if not self.is_work(entry):
                continue
            depth, level = len(entry.parts), len(entry.parts) - len(owner.own)
            for i in range(depth):
                shallowest[entry.parts[:i]] = min(depth, shallowest.get(entry.parts[:i], depth))
            if level and stem(entry.parts[level - 1]) == owner.student:
                places[entry.parts[:level]].append(entry)
        levels = Counter(map(len, places))
        deepest = max((level for level, n in levels.items() if n > 1), default=0)
        for place, mine in places.items():
            if len(place) < deepest < shallowest[place[:-1]]:
                for entry in mine:
                    self._give(stem(entry.parts[deepest - 1]), [entry], deepest, found)

    def _class(
        self,
        folder: Folder,
        name: str,
        depth: int,
        found: dict[Entry, Owner],
        several: bool = False,
    ) -> None:
        """Each file and each folder in it is a student's."""
        stems = {stem(entry.name) for entry in folder.files}
        for entry in folder.files:
            own = stem(entry.name)
            if (base := DOWNLOAD.sub("", own)) in stems:
                own = base
            self._give(name if self._is_assignment(own) else own, [entry], depth, found)
        inside = list(folder.folders.values())
        holding = [each for each in inside if self._holds_work(each)]
        all_classes = (
            not any(map(self.is_work, folder.files))
            and any(map(self._is_class, holding))
            and all(self._is_class(f) or not any(map(self.is_work, f.files)) for f in holding)
        )
        for each in inside:
            if self._is_assignment(each.name) and not self._is_students(each):
                self._class(each, name, depth + 1, found)
            elif (all_classes and each in holding) or (several and self._is_named(each)):
                self._class(each, each.name, depth + 1, found)
            else:
                own = name if self._is_assignment(each.name) else stem(each.name)
                self._give(own, each.all(), depth + 1, found)

    def _give(
        self, student: str, entries: list[Entry], depth: int, found: dict[Entry, Owner]
    ) -> None:
        for entry in entries:
            own = entry.parts[depth:]
            found[entry] = Owner(student, attempt=attempt_of(own), own=own)

    def _is_assignment(self, name: str) -> bool:
        """Whether it names an assignment and nobody."""
        return self._rest(name) == ""

    def _rest(self, name: str) -> str:
        """A name without that of an assignment, and then without what says which attempt."""
        text = stem(name)
        for assignment in self.assignments:
            if assignment in text:
                text = VERSION.sub("", text.replace(assignment, "", 1))
                break
        return text.strip(" _.-").casefold()

    def _holds_work(self, folder: Folder) -> bool:
        return any(self.is_work(entry) for entry in folder.all())

    def _is_students(self, folder: Folder) -> bool:
        """Whether a folder is one student's own.

        A file in it is named after the assignment, and no other file that is for one, and no folder
        with such files, bears a name that could be a student's.
        """
        files = [entry for entry in folder.files if self.is_work(entry)]
        others = [e.name for e in files if self.assignment_of(e) is not None]
        others += [f.name for f in folder.folders.values() if self._is_for_one(f)]
        return any(self._is_assignment(e.name) for e in files) and not any(
            map(self._may_be_student, others)
        )

    def _is_class(self, folder: Folder) -> bool:
        """Whether a folder holds what several students handed in, and not parts of one's work."""
        inside = [each for each in folder.folders.values() if self._holds_work(each)]
        files = [entry for entry in folder.files if self.is_work(entry)]
        if not files and len(inside) == 1:
            return self._is_class(inside[0])
        if None in map(self.assignment_of, files):
            return False
        names = [f.name for f in inside if self._is_for_one(f)] + [e.name for e in files]
        own = [VERSION.sub("", self._rest(name)) for name in names]
        return (
            len(own) > 1
            and len(set(own)) == len(own)
            and all(map(self._may_be_student, names))
            and len({self.assignment_of(entry) for entry in files}) < 2
        )

    def _is_named(self, folder: Folder) -> bool:
        """Whether all files in a folder that was given are named as students are."""
        files = [entry.name for entry in folder.files if self.is_work(entry)]
        return self._is_class(folder) or (
            bool(files) and all(map(self._may_be_student, files)) and not self._is_students(folder)
        )

    def _may_be_student(self, name: str) -> bool:
        rest = self._rest(name)
        return bool(VERSION.sub("", "_" + rest).strip("_")) and not NOBODY.fullmatch(rest)

    def _is_for_one(self, folder: Folder) -> bool:
        """Whether something in it is for an assignment."""
        return any(self.is_work(e) and self.assignment_of(e) for e in folder.all())


def distinct(
    found: dict[Entry, Owner], assignments: Sequence[str], kinds: Mapping[Entry, str | None]
) -> dict[Entry, Owner]:
    """Students whose names are the same in different folders are named after these too.

    Not if they hand in for different assignments, of which each may have a folder.
    """

    def folder(entry: Entry, owner: Owner) -> tuple[str, ...]:
        place = entry.parts[: len(entry.parts) - len(owner.own)]
        if place and stem(place[-1]) == owner.student:
            place = place[:-1]
        return tuple(part for part in place if not any(name in part for name in assignments))

    folders: dict[tuple[str, str | None], set[tuple[str, ...]]] = defaultdict(set)
    for entry, owner in found.items():
        if entry in kinds:
            folders[owner.student, kinds[entry]].add(folder(entry, owner))
    several = {student for (student, _), places in folders.items() if len(places) > 1}
    return {
        entry: replace(owner, student="/".join((*folder(entry, owner), owner.student)))
        if owner.student in several
        else owner
        for entry, owner in found.items()
    }
