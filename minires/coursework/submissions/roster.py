"""Who is in a class, from a table as learning platforms and spreadsheets export it.

A student is recognised by a number, a login, an e-mail address or a name: whichever columns there
are. A name that several have tells nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from minires.coursework.result import Result
from minires.coursework.tables import Row, named_rows, plain_name, read_rows
from minires.files import FileError
from minires.text import shown

FIRST = {"firstname", "first", "givenname", "givennames", "vorname", "prenom", "nombre", "nombres"}
LAST = {"lastname", "last", "surname", "familyname", "nachname", "nom", "apellidos"}
NAME = {
    *("name", "fullname", "student", "studentname", "sortablename", "displayname"),
    *("names", "students", "vollstandigername", "nomcomplet", "nombrecompleto"),
}
OTHER = {
    *("id", "sid", "studentid", "userid", "idnumber", "identifier", "number", "studentnumber"),
    *("username", "user", "login", "loginid", "sisloginid", "sisuserid", "netid", "uid"),
    *("email", "emailaddress", "mail", "matrikelnummer", "matriculationnumber"),
    *("emailadresse", "adressedecourriel", "direcciondecorreo", "identifiant", "identificador"),
}
PARTICIPANT = re.compile(r"(?:Participante?|Teilnehmer(?:/in)?)\s*(?=\d+$)")
"""What Moodle writes before its numbers."""

BESIDE = {
    *("section", "group", "groups", "course", "role", "roles", "class", "team", "grade", "status"),
    *("institution", "department", "comment", "gruppe", "kurs", "klasse", "rolle", "studiengang"),
}
"""Headings that say nothing of who somebody is."""

USABLE = "name, first name and last name, student ID, login, e-mail address"


@dataclass(frozen=True)
class Person:
    """A row of a roster.

    Attributes
    ----------
    shown : str
        How it is shown.
    names : frozenset of str
        All that the person may be called and nobody else, parts of the name too, as plain names.
    texts : tuple of str
        The whole names, numbers and addresses, as they stand there.
    lines : tuple of int
        Where, several if rows say the same: a table may be pasted together of groups.
    """

    shown: str
    names: frozenset[str]
    texts: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()


def read_roster(path: Path) -> list[Person]:
    """The people in a table with commas, semicolons or tabs, with a row of headings or without.

    Raises
    ------
    FileError
        If it cannot be read or names nobody, if its headings do not say who somebody is, or if
        a row is longer than the headings.
    """
    rows = read_rows(path)
    if not rows:
        raise FileError(f"{path} names nobody")
    cells = [row for _, row in rows]
    lines = [line for line, _ in rows]
    headings = [plain_name(cell) for cell in cells[0]]
    if (FIRST | LAST | NAME | OTHER) & {*headings}:
        found = [_by_headings(row) for row in named_rows(path, rows)]
        lines = lines[1:]
    elif _has_headings(cells):
        raise FileError(
            f"{path} has no column that says who somebody is ({shown(', '.join(cells[0]))}); "
            f"usable are {USABLE}"
        )
    else:
        found = _unnamed(cells)
    at = zip(found, lines, strict=True)
    people = _each_once(replace(one, lines=(line,)) for one, line in at if one and one.names)
    people = [person for person in people if person.shown != "Points Possible"]  # of Canvas
    if not people:
        raise FileError(f"{path} names nobody")
    shared = Counter(name for person in people for name in person.names)
    unique = (frozenset(n for n in p.names if shared[n] == 1) for p in people)
    return [replace(p, names=names) for p, names in zip(people, unique, strict=True)]


def _each_once(people: Iterable[Person]) -> list[Person]:
    """Rows in which the same names, numbers and addresses stand are one person."""
    found: dict[frozenset[str], Person] = {}
    for person in people:
        first = found.setdefault(person.names, person)
        if first is not person:
            found[person.names] = replace(first, lines=first.lines + person.lines)
    return list(found.values())


def _has_headings(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row, of which no heading is known, names columns and no person.

    It does where it has a usual heading, or a word above nothing but numbers or addresses.
    """
    if BESIDE & set(map(plain_name, rows[0])):
        return True
    columns = (
        (cell, [row[i] for row in rows[1:] if i < len(row) and row[i]])
        for i, cell in enumerate(rows[0])
    )
    return any(
        cell and not re.search(r"[\d@]", cell) and below and all(map(_is_number, below))
        for cell, below in columns
    )


def _is_number(cell: str) -> bool:
    """Whether it is a number or an address."""
    return "@" in cell or bool(re.fullmatch(r"\d[\d\s.,/-]*", cell))


def _by_headings(row: Row) -> Person | None:
    cells = row.cells
    first = next((cell for h, cell in cells.items() if h in FIRST), "")
    last = next((cell for h, cell in cells.items() if h in LAST), "")
    full = next((cell for h, cell in cells.items() if h in NAME), "")
    others = [PARTICIPANT.sub("", cell) for h, cell in cells.items() if h in OTHER]
    composed = f"{first} {last}" if first and last else last or first
    names = _names(full) | _names(composed)
    for other in others:
        names |= _names(other)
        if "@" in other:
            names.add(plain_name(other.partition("@")[0]))
    title = ", ".join(dict.fromkeys(part for part in (full or composed, *others[:1]) if part))
    whole = f"{first} {last}" if first and last else ""
    texts = tuple(text for text in (full, whole, *others) if text)
    return Person(title, frozenset(names - {""}), texts) if title else None


def _unnamed(rows: Sequence[Sequence[str]]) -> list[Person | None]:
    """People of a table without headings: each by what only it has."""
    shared = Counter(cell for row in set(map(tuple, rows)) for cell in set(row))
    people: list[Person | None] = []
    for row in rows:
        own = [cell for cell in row if cell and shared[cell] == 1]
        names = {name for cell in own for name in _names(cell)}
        names |= {plain_name(cell.partition("@")[0]) for cell in own if "@" in cell}
        title = ", ".join(own[:2])
        people.append(Person(title, frozenset(names - {""}), tuple(own)) if own else None)
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


NOTHING = "nothing was handed in"
UNGRADABLE = "handed in, but nothing that can be graded"


class Named(Protocol):
    """A submission, or its result."""

    @property
    def student(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def number(self) -> str: ...


@dataclass(frozen=True)
class Absent:
    """Somebody of a roster without a result in an assignment, and why; perhaps in none."""

    person: Person
    assignment: str
    why: str
    everywhere: bool


@dataclass(frozen=True)
class Comparison:
    """A roster beside what was handed in."""

    absent: list[Absent]
    unknown: list[str]
    repeated: list[Person] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Who is absent, a line for each: in all assignments, or in which."""
        lines: dict[tuple[int, str], str] = {}
        for one in self.absent:
            where = "" if one.everywhere else f" ({one.assignment})"
            why = f" ({one.why})" if one.why != NOTHING else ""
            lines[id(one.person), where] = one.person.shown + where + why
        return list(lines.values())


def recognised(roster: Sequence[Person], named: Iterable[Named]) -> list[list[Person]]:
    """For each submission or result the people of a roster that it may be of."""
    owner = {name: person for person in roster for name in person.names}
    every = []
    for one in named:
        last = one.student.rpartition("/")[2]
        called = [one.name, one.number, one.student, last, *re.split(r"[_@]", last)[:1]]
        names = dict.fromkeys(map(plain_name, called))
        every.append(list({id(owner[n]): owner[n] for n in names if n in owner}.values()))
    return every


def compare(
    roster: Sequence[Person], results: Sequence[Result], left_out: Iterable[Named] = ()
) -> Comparison:
    """Who of a roster has no result in an assignment, and who has one but is not on it.

    Parameters
    ----------
    roster : sequence of Person
    results : sequence of Result
        Of one assignment or more.
    left_out : iterable
        Who handed in something that was not graded.
    """
    people = recognised(roster, results)
    unknown = [one.student for one, found in zip(results, people, strict=True) if not found]
    present = {
        (one.assignment, person)
        for one, found in zip(results, people, strict=True)
        for person in found
    }
    somewhere = {person for _, person in present}
    tried = {person for found in recognised(roster, left_out) for person in found} - somewhere
    assignments = dict.fromkeys(one.assignment for one in results)
    absent = [
        Absent(person, name, UNGRADABLE if person in tried else NOTHING, person not in somewhere)
        for person in roster
        for name in assignments
        if (name, person) not in present
    ]
    repeated = [person for person in roster if len(person.lines) > 1]
    return Comparison(absent, list(dict.fromkeys(unknown)), repeated)
