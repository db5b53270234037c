"""Find what was handed in: whose it is, for which assignment, what counts and what is left out."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from minires.coursework.cells import MAX_FILE, text_of
from minires.coursework.result import file_name
from minires.coursework.submissions.entries import Entry, entries, readable
from minires.coursework.submissions.folders import Folder, Names, distinct, stem
from minires.coursework.submissions.platforms import METADATA, UNDATED, Owner, came, owners
from minires.files import whole

WORK = re.compile(r".*\.(?:ipynb|py)(?:\.(?:txt|json))?", re.IGNORECASE | re.DOTALL)
UNDECIDED = "neither its name nor its content says which assignment it is for"
TIMESTAMP = "timestamp.txt"
"""Of nbgrader: when what is beside it was handed in."""

ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".xz", ".bz2")


@dataclass(frozen=True)
class Submission:
    """A file that is graded, and whose it is; see `result.Result` for what the texts are."""

    student: str
    path: Path
    file: str = ""
    name: str = ""
    number: str = ""
    platform: str = ""
    submitted: str = ""
    clock: str = ""

    @property
    def file_name(self) -> str:
        """The student as a name that is safe for a file."""
        return file_name(self.student)


@dataclass(frozen=True)
class LeftOut:
    """What is not graded, and why.

    `hidden` is what systems and programs leave, such as caches, which nobody misses; `other` the
    assignment that a file is for, where another one is graded.
    """

    student: str
    file: str
    why: str
    hidden: bool = False
    other: str = ""


@dataclass
class Collected:
    """What was found: what to grade, by assignment, and what not."""

    submissions: dict[str, list[Submission]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


Asked = Mapping[str, Sequence[str]]
"""The names of assignments, and of the questions of each."""


def collect(
    places: Sequence[Path],
    asked: Asked,
    box: Path,
    *,
    only: str | None = None,
    skip: Path | None = None,
) -> Collected:
    """Everything in files, folders and archives.

    Parameters
    ----------
    places : sequence of Path
    asked : mapping
        The assignments that a file may be for.
    box : Path
        A folder to unpack archives into.
    only : str, optional
        The assignment that is graded; otherwise each file says its own.
    skip : Path, optional
        A folder that is not looked at.

    Raises
    ------
    ValueError
        If a place does not exist.
    """
    found = _all_entries(places, asked, box, skip)
    kinds = {entry: assignment_of(entry, asked) for entry in found if is_work(entry)}
    usual = only or _the_only(kinds.values())
    named: dict[Entry, list[Owner]] = dict(owners(found))
    rest = [entry for entry in found if entry not in named and entry.name != METADATA]
    names = Names(kinds.get, kinds.__contains__, list(asked))
    place = _own_name(places[0], asked) if len(places) == 1 else ""
    given = names.owners(Folder.of(place, rest), several=len(places) > 1)
    for entry, owner in distinct(given, list(asked), kinds).items():
        named[entry] = [owner]

    stamps = {
        entry.parts[:-1]: _text(entry)
        for entry in found
        if entry.name == TIMESTAMP and entry.parts[-2:-1] and entry.parts[-2] in asked
    }
    collected = Collected()
    work: dict[tuple[str, str, str], list[tuple[Owner, Entry]]] = defaultdict(list)
    for entry in found:
        if entry.name == METADATA and entry not in named:
            continue
        for owner in named[entry]:
            if entry not in kinds:
                collected.left_out.append(_left_out(owner, entry, entry.parts[:-1] in stamps))
                continue
            kind = kinds[entry] or usual
            if kind is None:
                collected.left_out.append(LeftOut(owner.student, entry.shown, UNDECIDED))
            elif only is not None and kind != only:
                collected.left_out.append(
                    LeftOut(owner.student, entry.shown, f"it is for {kind}", other=kind)
                )
            else:
                # a platform's number is one student's, whatever the name has become
                who = (owner.platform, owner.number) if owner.number else ("", owner.student)
                work[kind, *who].append((owner, entry))
    by_student = sorted(
        (kind, min(owner.student for owner, _ in mine), i)
        for i, ((kind, *_), mine) in enumerate(work.items())
    )
    every = list(work.values())
    for kind, _, i in by_student:
        mine = every[i]
        chosen, others = _latest(mine, kinds, stamps)
        collected.submissions.setdefault(kind, []).append(chosen)
        collected.left_out += others
    return collected


def _all_entries(places: Sequence[Path], asked: Asked, box: Path, skip: Path | None) -> list[Entry]:
    """The entries of all places; of several folders, each below its own name."""
    if len(places) == 1:
        return entries(places[0], box, skip)
    names = [readable(whole(place).name) for place in places]
    found = []
    for place, name in zip(places, names, strict=True):
        inside = entries(place, box, skip)
        if place.is_file() and not name.lower().endswith(".zip"):
            alone = names.count(name) == 1 and stem(name) not in asked
            own = () if alone else (readable(whole(place).parent.name),)
        else:
            own = (name if names.count(name) == 1 else place.as_posix(),)
            inside = inside or [Entry((), None, "an empty folder")]
        found += [replace(entry, parts=(*own, *entry.parts)) for entry in inside]
    return list(dict.fromkeys(found))


def _own_name(place: Path, asked: Asked) -> str:
    """The name of a place, or of the folder that it is in if it is named after an assignment."""
    at = whole(place)
    while at.name and (at.is_file() or stem(at.name) in asked):
        at = at.parent
    return readable(at.name)


def is_work(entry: Entry) -> bool:
    """Whether it is a notebook or a Python file, by its name or else by what is in it."""
    if entry.path is None or entry.is_hidden:
        return False
    if WORK.fullmatch(entry.name):
        return True
    suffix = Path(entry.name).suffix.lower()
    return suffix in ("", ".txt", ".json") and _notebook(entry) is not None


def _notebook(entry: Entry) -> dict[str, object] | None:
    """The notebook in a file, None if there is none."""
    try:
        if entry.path is None or entry.path.stat().st_size > MAX_FILE:
            return None
        text = text_of(entry.path.read_bytes(), "replace")
        document = json.loads(text) if text.lstrip().startswith("{") else None
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "cells" in document else None


def assignment_of(entry: Entry, asked: Asked) -> str | None:
    """Which assignment a file is for.

    By its notebook's metadata; else by whose questions its cells are marked for; else by its own
    name and those of its folders; else by whose functions and classes it defines.
    """
    text = _text(entry)
    document = _notebook(entry) or {}
    own = _metadata(document, "minires", "assignment")
    if isinstance(own, str) and own in asked:
        return own
    marked = set(re.findall(r'"grade_id": *"([^"]+)"|^# %%.*?question="([^"]+)"', text, re.M))
    by_cells = _most({name for pair in marked for name in pair}, asked)
    if by_cells is not None:
        return by_cells
    for part in reversed(entry.parts):
        inside = [name for name in asked if name in part]
        if inside:
            return max(inside, key=len)
    source = text.replace("\\n", "\n") if document else text
    defined = set(re.findall(r"(?:^|\n|\")[ \t]*(?:def|class) +(\w+)", source))
    return _most(defined, asked)


def _metadata(document: object, *keys: str) -> object:
    document = document.get("metadata") if isinstance(document, dict) else None
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _text(entry: Entry) -> str:
    try:
        if entry.path is not None and entry.path.stat().st_size <= MAX_FILE:
            return text_of(entry.path.read_bytes(), "replace")
    except OSError:
        pass
    return ""


def _most(names: set[str], asked: Asked) -> str | None:
    """The assignment that asks for most of these names, None where there is not one."""
    count = {name: len(names & set(questions)) for name, questions in asked.items()}
    most = max(count.values(), default=0)
    found = [name for name, n in count.items() if n == most and n > 0]
    return found[0] if len(found) == 1 else None


def _the_only(kinds: Iterable[str | None]) -> str | None:
    """The assignment that all files are for which say one."""
    found = {kind for kind in kinds if kind is not None}
    return found.pop() if len(found) == 1 else None


def _left_out(owner: Owner, entry: Entry, stamped: bool) -> LeftOut:
    """An entry that is no work; of nbgrader's folders some are `stamped`."""
    suffix = Path(entry.name).suffix.lower()
    if entry.is_hidden:
        return LeftOut(owner.student, entry.shown, entry.problem or "a hidden file", hidden=True)
    if entry.problem:
        return LeftOut(owner.student, entry.shown, entry.problem)
    if stamped and entry.name == TIMESTAMP:
        return LeftOut(owner.student, entry.shown, "only read: when it was handed in", hidden=True)
    if suffix in ARCHIVES:
        return LeftOut(owner.student, entry.shown, "minires opens only .zip: unpack it")
    return LeftOut(owner.student, entry.shown, "neither a notebook nor a Python file")


def _latest(
    mine: list[tuple[Owner, Entry]],
    kinds: Mapping[Entry, str | None],
    stamps: Mapping[tuple[str, ...], str],
) -> tuple[Submission, list[LeftOut]]:
    """Of what one student handed in for one assignment the file that counts; and the others.

    A file that says that it is for the assignment comes before one that does not, a later attempt
    before an earlier one, a notebook before a script.
    """

    def order(pair: tuple[Owner, Entry]) -> tuple[object, ...]:
        owner, entry = pair
        is_notebook = ".ipynb" in entry.name.lower()
        return (
            kinds[entry] is not None,
            owner.attempt if owner.platform in ("Canvas", "Blackboard", "Gradescope") else (),
            is_notebook,
            owner.attempt,
            str(kinds[entry]) in entry.name,
            entry.changed,
            entry.parts,
        )

    def reason(other: tuple[Owner, Entry]) -> str:
        """By what the chosen one comes before another."""
        pairs = zip(order((owner, entry)), order(other), REASONS, strict=True)
        why = next((text for one, two, text in pairs if one != two), REASONS[-1])
        if why == NUMBERED and owner.attempt[:1] != other[0].attempt[:1]:
            return "this is named as a copy"
        newer = other[1].changed > entry.changed + 60 and other[0].platform not in UNDATED
        return f"{why}, though this file is newer" if newer and why == NUMBERED else why

    *others, (owner, entry) = sorted(mine, key=order)
    assert entry.path is not None
    chosen = Submission(
        owner.student,
        entry.path,
        entry.shown,
        owner.name,
        owner.number,
        owner.platform,
        *came(owner, entry, stamps.get(entry.parts[:-1], "")),
    )
    return chosen, [
        LeftOut(owner.student, other[1].shown, f"{entry.shown} counts: {reason(other)}")
        for other in others
    ]


NUMBERED = "its name has the later number"
REASONS = (
    "it says which assignment it is for",
    "it is the later attempt",
    "a notebook comes before a script",
    NUMBERED,
    "it is named after the assignment",
    "it is the later file",
    "it comes last by name",
)
"""Why a file counts, in the order in which it is decided."""
