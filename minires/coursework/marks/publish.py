"""From stored results to what is read: rules applied, tables and pages written, texts to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minires.coursework.bundle import Bundle
from minires.coursework.grading.store import Store
from minires.coursework.marks.adjusted_points import marked, undated
from minires.coursework.marks.identifiers import Identifiers
from minires.coursework.marks.outputs import write_class
from minires.coursework.marks.rules import Known, Rules, read_rules
from minires.coursework.marks.show import compared, failures, feedback, noted, table, terminal_width
from minires.coursework.marks.slips import above
from minires.coursework.result import Result
from minires.coursework.submissions.collect import LeftOut, Submission
from minires.coursework.submissions.people import People
from minires.coursework.submissions.roster import (
    Absent,
    Comparison,
    Named,
    Person,
    compare,
    recognised,
)
from minires.coursework.tables import read_table
from minires.files import whole

EMPTY = "an empty folder"
"""Why nothing is graded where nothing was handed in: see `entries`."""


def rules_of(
    out: Path,
    store: Store,
    identifiers: Identifiers | None = None,
    submissions: Mapping[str, Sequence[Submission]] | None = None,
    bundles: Mapping[str, Bundle] | None = None,
    roster: Sequence[Person] | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Rules:
    """The rules beside results, which may speak of all that is stored or is about to be graded.

    They may speak of who is on the roster too, by whatever stands there, and of those whose work
    was left out. With identifiers those are read too that are beside the seed, where nobody sees
    names.

    Raises
    ------
    FileError
        If something is wrong in a file of rules; the message names the file and the line.
    """
    submissions, bundles = submissions or {}, bundles or {}
    found = {}
    for name in dict.fromkeys((*store.assignments(), *submissions)):
        results = store.of(name)
        points = {q.name: q.points for result in results for q in result.questions}
        if name in bundles:
            points |= {q.name: q.points for q in bundles[name].questions}
        seen: list[Named] = [*results, *store.lost(name), *submissions.get(name, ())]
        named: list[tuple[str, Named]] = [(one.student, one) for one in seen]
        named += [(student, one) for student, one in store.former if one.assignment == name]
        for (assignment, identifier), who in identifiers.of.items() if identifiers else ():
            if assignment == name:
                named.append((identifier, who))
        people, beside = People(()), People(_tried(left_out))
        for student, one in named:
            people.add(student, one)
        _on_the_roster(roster or (), named, people, beside, hidden=identifiers is not None)
        found[name] = Known(points, people, beside)
    folders = [out]
    if identifiers is not None and whole(identifiers.folder) != whole(out):
        folders.append(identifiers.folder)
    return read_rules(folders, found)


def _tried(left_out: Sequence[LeftOut]) -> list[Result]:
    """Who handed in something that was not graded."""
    students = dict.fromkeys(one.student for one in left_out if one.why != EMPTY)
    return [Result(student, "", "", []) for student in students if student]


def _on_the_roster(
    roster: Sequence[Person],
    named: Sequence[tuple[str, Named]],
    people: People,
    beside: People,
    *,
    hidden: bool,
) -> None:
    """Let students be found by what a roster says, and those who handed nothing in too.

    They have no identifier, so what is published without names has no points of theirs.
    """
    present = set()
    matches = recognised(roster, (one for _, one in named))
    for (student, _), persons in zip(named, matches, strict=True):
        present |= set(persons)
        if len(persons) == 1:
            people.call(student, persons[0].texts)
    called = Counter(person.shown for person in roster)
    students = set(people.students)
    for person in roster:
        if person not in present:
            alone = called[person.shown] == 1 and person.shown not in students
            (people if alone and not hidden else beside).call(person.shown, person.texts)


def read_left_out(path: Path) -> list[LeftOut]:
    """What `not_graded.csv` of the last run says; nothing if there is none."""
    if not path.is_file():
        return []
    rows = read_table(path, ["student"], ["file"], ["why"])
    return [LeftOut(row.get("student"), row.get("file"), row.get("why")) for row in rows]


@dataclass(frozen=True)
class Published:
    """The class's results by the rules, and the roster beside them."""

    by_assignment: dict[str, list[Result]]
    rules: Rules
    comparison: Comparison | None
    identifiers: Identifiers | None

    @property
    def everything(self) -> list[Result]:
        """All assignments' results."""
        return [result for results in self.by_assignment.values() for result in results]

    def write(self, out: Path) -> None:
        """Write tables and pages below a folder."""
        has_row = {(result.student, result.assignment) for result in self.everything}
        absent = [
            (one.person.shown, one.assignment, one.why)
            for one in (self.comparison.absent if self.comparison else ())
            if (one.person.shown, one.assignment) not in has_row
        ]
        if self.identifiers is None:
            write_class(out, self.by_assignment, absent)
            return
        self.identifiers.write()
        named, private = self.identifiers.named, self.identifiers.folder
        write_class(out, self.by_assignment, [], named, private)

    def written(self, out: Path) -> str:
        """What `write` wrote."""
        pages, tables = "gradescope/, pages/", "moodle.csv, canvas.csv"
        forms = pages if self.identifiers else f"{tables}, {pages}"
        if len(self.by_assignment) > 1:
            forms = f"and for each assignment a folder with {forms}"
        text = f"written: {out}/grades.csv, grades.json, {forms}"
        if self.identifiers:
            text += f"\nwith names: {self.identifiers.folder}/identifiers.csv, "
            text += ", ".join(f"{name}/{{moodle,canvas}}.csv" for name in self.by_assignment)
        return text

    def texts(self) -> Iterator[str]:
        """What is printed of them."""
        everything = self.everything
        if len(everything) == 1:
            yield feedback(everything[0])
        else:
            width = terminal_width()
            yield "\n\n".join(table(results, width) for results in self.by_assignment.values())
        yield "" if self.comparison is None else compared(self.comparison)
        yield failures(everything)
        yield noted([*self.rules.notes, *undated(everything), *above(everything)])


def published(
    store: Store,
    rules: Rules,
    roster: Sequence[Person] | None = None,
    identifiers: Identifiers | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Published:
    """Everything that is stored, by the rules, and what they give to who handed nothing in."""
    by_assignment = {
        name: [*(marked(result, rules) for result in store.of(name)), *store.lost(name)]
        for name in store.assignments()
    }
    everything = [result for results in by_assignment.values() for result in results]
    if identifiers is not None:
        everything = list(map(identifiers.named, everything))
    comparison = None if roster is None else compare(roster, everything, _tried(left_out))
    for absent in comparison.absent if comparison and identifiers is None else ():
        whose = absent.assignment, absent.person.shown
        if rules.adjustments.get(whose) and store.get(*whose) is None:
            by_assignment[absent.assignment].append(_by_hand(absent, store, rules))
    return Published(by_assignment, rules, comparison, identifiers)


def _by_hand(absent: Absent, store: Store, rules: Rules) -> Result:
    """A result of somebody without any, whose points are all given by hand."""
    results = store.of(absent.assignment)
    questions = {q.name: q for result in reversed(results) for q in result.questions}
    none = [
        replace(
            question,
            earned=0.0,
            cases=[replace(c, earned=0.0, text=absent.why, outputs=[]) for c in question.cases],
            hints=[],
            printed="",
        )
        for question in questions.values()
    ]
    person, title = absent.person, results[0].title
    name = person.texts[0] if person.texts else ""
    result = Result(person.shown, absent.assignment, title, none, absent.why, name=name)
    result = marked(result, rules)
    return result if result.submitted else replace(result, due="", clock="")
