"""Who of a class a table speaks of: by a whole name, a number, a login or an e-mail address."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches

from minires.coursework.submissions.roster import FIRST, LAST, NAME, OTHER, PARTICIPANT, Named
from minires.coursework.tables import Row, plain_name
from minires.text import shown

ALONE = ("student", *sorted((NAME | OTHER) - {"student"}))
HEADINGS = (*ALONE, *sorted(LAST))
"""Plain headings of columns that say who somebody is, the last ones beside a first name."""


class People:
    """A class, in which people are looked for.

    Parameters
    ----------
    named : iterable of Named
        Who is found by what they are called there; `student` is what is found.
    """

    def __init__(self, named: Iterable[Named]) -> None:
        self.students: set[str] = set()
        self._owners: dict[str, set[str]] = defaultdict(set)
        self._texts: dict[str, str] = {}
        for person in named:
            self.add(person.student, person)

    def add(self, student: str, person: Named) -> None:
        """Let a student be found by what somebody is called."""
        last = person.student.rpartition("/")[2]
        texts = (person.student, last, re.sub(r"_\d+$", "", last), person.name, person.number)
        self.call(student, texts)

    def call(self, student: str, texts: Iterable[str]) -> None:
        """Let a student be found by names, numbers and addresses."""
        self.students.add(student)
        for text in texts:
            for name in _called(text):
                self._owners[name].add(student)
                self._texts.setdefault(name, text)

    def find(self, row: Row) -> str:
        """The student that a row is of.

        Raises
        ------
        LookupError
            If nobody is called so; the message says it.
        FileError
            If more than one is, or the row names nobody.
        """
        texts = _texts_of(row)
        if not texts:
            raise row.wrong("no student is named: write who it is, or remove the line")
        several: set[str] = set()
        for text in texts:
            if text in self.students:
                return text
            found = set().union(*(self._owners.get(name, ()) for name in _called(text)))
            if len(found) == 1:
                return found.pop()
            several |= found
        who = repr(shown(texts[0]))
        if several:
            raise row.wrong(f"{who} may be {' or '.join(map(shown, sorted(several)[:4]))}")
        raise LookupError(f"no student {who} has handed this in")

    def near(self, row: Row) -> str:
        """A question whether somebody is meant whose name is nearly the same; empty if nobody is.

        Numbers are near to other people's, so none is proposed.
        """
        found: dict[frozenset[str], str] = {}
        for text in _texts_of(row):
            name = plain_name(text)
            for one in get_close_matches(name, self._texts, 6, cutoff=0.8):
                if not name.isdigit() and not one.isdigit():
                    found.setdefault(frozenset(self._owners[one]), self._texts[one])
        names = dict.fromkeys(found.values())
        return f"; is it {' or '.join(map(shown, [*names][:3]))}?" if names else ""


def _texts_of(row: Row) -> list[str]:
    """What a row says of who it is of."""
    texts = [PARTICIPANT.sub("", row.get(h).lstrip("'")) for h in ALONE]
    texts.append(f"{row.get(*sorted(FIRST))} {row.get(*sorted(LAST))}".strip())
    return [text for text in dict.fromkeys(texts) if text]


def _called(text: str) -> set[str]:
    """A whole name as people and platforms write it: `Ada Lovelace`, `Lovelace, Ada`."""
    before, comma, after = text.partition(",")
    words = f"{after} {before}".split() if comma else text.split()
    turned = [[*words[i:], *words[:i]] for i in range(max(1, len(words)))]
    names = {plain_name(text), *(plain_name(" ".join(order)) for order in turned)}
    if "@" in text:
        names.add(plain_name(text.partition("@")[0]))
    return names - {""}
