"""Whose a file is, by the names that learning platforms give what they export.

Moodle (mod/assign/classes/downloader.php): a folder or the beginning of a file's name,
`Full name_ID_assignsubmission_file`, `Participant_ID_...` where marking is blind, a group's name
and number where groups hand in; the text that students type is `..._assignsubmission_onlinetext`.

Canvas (lib/content_zipper.rb): `name_LATE_USER_FILE_their name`, the name in small letters without
signs, LATE only where it is; anonymous `LATE_anon_CODE_FILE_...`. File numbers grow with time.

Gradescope: a folder `submission_NUMBER` a submission; `submission_metadata.yml` beside them says
whose, and when. Of a group each member is named.

Blackboard: `Assignment_user_attempt_YYYY-MM-DD-HH-MM-SS_their name`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from minires.coursework.dates_and_times import read_moment
from minires.coursework.submissions.entries import Entry
from minires.files import FileError, read_small


@dataclass(frozen=True)
class Owner:
    """Who handed something in.

    Attributes
    ----------
    student : str
        A name that is the same for all that somebody hands in.
    name, number, platform : str
        As the learning platform has them, if there is one.
    attempt : tuple of str
        A later one is larger.
    time : str
        When it was handed in, as the platform writes it.
    late : bool
        Whether the platform says that this was late.
    own : tuple of str
        The names of the file inside the student's own folder.
    """

    student: str
    name: str = ""
    number: str = ""
    platform: str = ""
    attempt: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    time: str = ""
    late: bool = False


MOODLE = re.compile(
    r"(?P<name>.+?)(?:_(?P<id>\d+))?_assignsubmission_(?:file|onlinetext)(?:_(?P<rest>.*))?",
    re.DOTALL,
)
CANVAS = re.compile(
    r"(?P<name>.+?)_(?:(?P<late>LATE)_)?(?P<id>\d+)_(?P<file>\d+)_(?P<rest>.+)",
    re.DOTALL | re.IGNORECASE,
)
CANVAS_ANONYMOUS = re.compile(
    r"(?:LATE_)?anon_(?:LATE_)?(?P<id>[^_]+)_(?P<file>\d+)_(?P<rest>.+)", re.DOTALL | re.IGNORECASE
)
BLACKBOARD = re.compile(
    r"(?:.+_)?(?P<id>[^_]+)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+)|\.txt)", re.DOTALL
)
GRADESCOPE = re.compile(r"submission_(?P<id>\d+)")
METADATA = "submission_metadata.yml"
FILE_TIME = "the file"


def owners(entries: Sequence[Entry]) -> dict[Entry, list[Owner]]:
    """Whose each entry is that a platform has named; of a group's, each member."""
    gradescope = {
        entry.parts[:-1]: submitters(entry) for entry in entries if entry.name == METADATA
    }
    canvas = _are_canvas(entries)
    found = {}
    for entry in entries:
        named = _moodle(entry) or _gradescope(entry, gradescope) or _blackboard(entry)
        if not named and canvas:
            named = _canvas(entry)
        if named:
            found[entry] = named
    return found


def owner_of(name: str) -> Owner | None:
    """Whose a file or folder of this name is, if a platform gave it."""
    entry = Entry((name,), None)
    return next(iter(_moodle(entry) or _canvas(entry)), None)


def _moodle(entry: Entry) -> list[Owner]:
    for i, part in enumerate(entry.parts):
        match = MOODLE.fullmatch(part)
        if match:
            number = match["id"] or ""
            name = match["name"]
            student = f"{name}_{number}" if number else name
            own = (*((match["rest"],) if match["rest"] else ()), *entry.parts[i + 1 :])
            return [Owner(student, name, number, "Moodle", (), own)]
    return []


def _canvas(entry: Entry) -> list[Owner]:
    for i, part in enumerate(entry.parts):
        match = CANVAS_ANONYMOUS.fullmatch(part)
        if match:
            student = name = f"anon_{match['id']}"
        else:
            match = CANVAS.fullmatch(part)
            if not match:
                continue
            name = match["name"]
            student = f"{name}_{match['id']}"
        own = (match["rest"], *entry.parts[i + 1 :])
        order = (match["file"].zfill(20),)
        number = "" if student == name else match["id"]
        late = "_late_" in f"_{part[: match.start('file')]}".lower()
        return [Owner(student, name, number, "Canvas", order, own, late=late)]
    return []


def _are_canvas(entries: Iterable[Entry]) -> bool:
    """Whether names that look like Canvas's are: a file's number is never another one's.

    `hw_2026_11_ada.py` and `hw_2026_11_bob.py` are somebody's own idea.
    """
    files: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for part in entry.parts:
            match = CANVAS_ANONYMOUS.fullmatch(part) or CANVAS.fullmatch(part)
            if match:
                files[match["file"]].add(part)
                break
    return all(len(names) == 1 for names in files.values())


def _blackboard(entry: Entry) -> list[Owner]:
    for i, part in enumerate(entry.parts):
        match = BLACKBOARD.fullmatch(part)
        if match:
            own = (match["rest"] or part, *entry.parts[i + 1 :])
            number = match["id"]
            time = match["time"]
            return [Owner(number, "", number, "Blackboard", (time,), own, time)]
    return []


def _gradescope(entry: Entry, known: dict[tuple[str, ...], dict[str, list[Owner]]]) -> list[Owner]:
    for i, part in enumerate(entry.parts):
        match = GRADESCOPE.fullmatch(part)
        if match and (i + 1 < len(entry.parts) or entry.path is None):
            own = entry.parts[i + 1 :]
            named = known.get(entry.parts[:i], {}).get(part)
            if not named:
                named = [Owner(part, attempt=(match["id"].zfill(20),))]
            return [replace(owner, platform="Gradescope", own=own) for owner in named]
    return []


FOLDER = re.compile(r"(['\"]?)(submission_\d+)\1:\s*")
FIELD = re.compile(r"(\s+)(- )?:(\w+):\s*(.*)")


def submitters(entry: Entry) -> dict[str, list[Owner]]:
    """Who handed in what by Gradescope's file, of which only these lines are read:

    submission_123:
      :submitters:
      - :name: Ada Lovelace
        :sid: '4711'
        :email: ada@example.org
      :created_at: 2026-11-30 07:10:49.123 Z
    """
    if entry.path is None:
        return {}
    try:
        lines = read_small(entry.path, 64 << 20).decode("utf-8", "replace").splitlines()
    except (OSError, FileError):
        return {}
    people: dict[str, list[dict[str, str]]] = {}
    times: dict[str, str] = {}
    folder = section = ""
    for line in lines:
        if match := FOLDER.fullmatch(line):
            folder, section = match[2], ""
            people[folder] = []
        elif folder and (match := FIELD.fullmatch(line)):
            indent, first, key, text = match.groups()
            if len(indent) == 2 and not first:
                section = key
                if key == "created_at":
                    times[folder] = _unquoted(text)
            elif section == "submitters":
                if first:
                    people[folder].append({})
                if people[folder]:
                    people[folder][-1][key] = _unquoted(text)
    return {
        folder: [_submitter(person, times.get(folder, ""), folder) for person in persons]
        for folder, persons in people.items()
    }


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _submitter(person: dict[str, str], time: str, folder: str) -> Owner:
    name = person.get("name", "")
    number = person.get("sid", "") or person.get("email", "")
    student = "_".join(part for part in (name, number) if part) or folder
    return Owner(student, name, number, "Gradescope", (time, folder), time=time)


UNDATED = ("Moodle", "Canvas")
"""Platforms in whose archives files have the time of the download."""


def came(owner: Owner, entry: Entry, stamp: str = "") -> tuple[str, str]:
    """When something was handed in, in ISO 8601, and who says so: two empty texts if nobody does.

    A platform's own word counts; where there is no platform nbgrader's stamp, then the file's time.
    """
    text, clock = (owner.time, owner.platform) if owner.platform else (stamp, "nbgrader")
    with suppress(ValueError):
        return read_moment(text).isoformat(), clock
    if owner.platform in UNDATED:
        return "", f"{owner.platform} says LATE" if owner.late else ""
    with suppress(ValueError, OverflowError, OSError):
        changed = datetime.fromtimestamp(round(entry.changed), UTC)
        return read_moment(changed).isoformat(), FILE_TIME
    return "", ""
