"""Who is in a class, from a table as learning platforms and spreadsheets export it.

A student is recognised by a number, a login, an e-mail address or a name: whichever columns there
are. A name that several have tells nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minires.coursework.result import Result
from minires.coursework.tables import plain_name, read_rows
from minires.files import FileError

FIRST = {"firstname", "first", "givenname", "givennames", "vorname", "prenom", "nombre"}
LAST = {"lastname", "last", "surname", "familyname", "nachname", "nom", "apellidos"}
NAME = {"name", "fullname", "student", "studentname", "sortablename", "displayname"}
OTHER = {
    *("id", "sid", "studentid", "userid", "idnumber", "identifier", "number", "studentnumber"),
    *("username", "user", "login", "loginid", "sisloginid", "sisuserid", "netid", "uid"),
    *("email", "emailaddress", "mail", "matrikelnummer", "matriculationnumber"),
}


@dataclass(frozen=True)
class Person:
    """A row of a roster: how it is shown, and all that the person may be called."""

    shown: str
    names: frozenset[str]


def read_roster(path: Path) -> list[Person]:
    """The people in a table with commas, semicolons or tabs, with a row of headings or without.

    Raises
    ------
    FileError
        If it cannot be read or names nobody.
    """
    rows = [cells for _, cells in read_rows(path)]
    if not rows:
        raise FileError(f"{path} names nobody")
    headings = [plain_name(cell) for cell in rows[0]]
    known = [h in FIRST | LAST | NAME | OTHER for h in headings]
    found = [_by_headings(row, headings) for row in rows[1:]] if any(known) else _unnamed(rows)
    people = [person for person in found if person is not None and person.names]
    if not people:
        raise FileError(f"{path} names nobody")
    shared = Counter(name for person in people for name in person.names)
    return [Person(p.shown, frozenset(n for n in p.names if shared[n] == 1)) for p in people]


def _by_headings(row: Sequence[str], headings: Sequence[str]) -> Person | None:
    cells: dict[str, str] = {}
    for heading, cell in zip(headings, row, strict=False):
        if cell and heading not in cells:
            cells[heading] = cell
    first = next((cells[h] for h in headings if h in FIRST and h in cells), "")
    last = next((cells[h] for h in headings if h in LAST and h in cells), "")
    full = next((cells[h] for h in headings if h in NAME and h in cells), "")
    others = [cells[h] for h in dict.fromkeys(headings) if h in OTHER and h in cells]
    names = set()
    for name in (full, f"{first} {last}" if first and last else last or first):
        names |= _names(name)
    for other in others:
        names |= _names(other.removeprefix("Participant "))
        if "@" in other:
            names.add(plain_name(other.partition("@")[0]))
    shown = full or " ".join(part for part in (first, last) if part)
    shown = ", ".join(dict.fromkeys(part for part in (shown, *others[:1]) if part))
    return Person(shown, frozenset(names - {""})) if shown else None


def _unnamed(rows: Sequence[Sequence[str]]) -> list[Person | None]:
    """People of a table without headings: each by what only it has."""
    shared = Counter(cell for row in rows for cell in set(row))
    people: list[Person | None] = []
    for row in rows:
        own = [cell for cell in row if cell and shared[cell] == 1]
        names = {name for cell in own for name in _names(cell)}
        names |= {plain_name(cell.partition("@")[0]) for cell in own if "@" in cell}
        people.append(Person(", ".join(own[:2]), frozenset(names - {""})) if own else None)
    return people


def _names(name: str) -> set[str]:
    """A name as people and platforms write it: `Ada Lovelace`, `Lovelace, Ada`, `lovelaceada`."""
    before, comma, after = name.partition(",")
    if comma:
        return {plain_name(name)} | _names(f"{after} {before}")
    words = name.split()
    parts = {plain_name(word) for word in words if len(word) > 2}
    turned = [f"{' '.join(words[i:])} {' '.join(words[:i])}" for i in range(1, len(words))]
    return {plain_name(name), *map(plain_name, turned)} | parts


@dataclass(frozen=True)
class Comparison:
    """A roster beside what was handed in."""

    missing: list[str]
    unknown: list[str]


def compare(roster: Sequence[Person], results: Sequence[Result]) -> Comparison:
    """Who of a roster handed nothing in, and who handed in but is not on it."""
    owner = {name: person for person in roster for name in person.names}
    present: set[Person] = set()
    unknown = []
    for result in results:
        called = {plain_name(result.name), plain_name(result.number), plain_name(result.student)}
        last = result.student.rpartition("/")[2]
        called |= {plain_name(last), *map(plain_name, re.split(r"[_@]", last)[:1])}
        found = {id(owner[name]): owner[name] for name in called if name in owner}
        present |= set(found.values())
        if not found:
            unknown.append(result.student)
    missing = [person.shown for person in roster if person not in present]
    return Comparison(missing, unknown)
