"""From stored results to what is read: rules applied, tables and pages written, texts to print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minires.coursework.bundle import Bundle
from minires.coursework.collect import Submission
from minires.coursework.identifiers import Identifiers
from minires.coursework.marks import marked, undated
from minires.coursework.outputs import write_class
from minires.coursework.people import People
from minires.coursework.result import Result
from minires.coursework.roster import Comparison, Person, compare
from minires.coursework.rules import Known, Rules, read_rules
from minires.coursework.show import compared, failures, feedback, noted, table
from minires.coursework.store import Store
from minires.files import whole


def rules_of(
    out: Path,
    store: Store,
    identifiers: Identifiers | None = None,
    submissions: Mapping[str, Sequence[Submission]] | None = None,
    bundles: Mapping[str, Bundle] | None = None,
) -> Rules:
    """The rules beside results, which may speak of all that is stored or is about to be graded.

    With identifiers those are read too that are beside the seed, where nobody sees names.

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
        people = People([*results, *store.lost(name), *submissions.get(name, ())])
        for student, result in store.former:
            if result.assignment == name:
                people.add(student, result)
        for (assignment, identifier), who in identifiers.of.items() if identifiers else ():
            if assignment == name:
                people.add(identifier, who)
        found[name] = Known(points, people)
    folders = [out]
    if identifiers is not None and whole(identifiers.folder) != whole(out):
        folders.append(identifiers.folder)
    return read_rules(folders, found)


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
        absent = [] if self.comparison is None else self.comparison.missing
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
            yield "\n\n".join(map(table, self.by_assignment.values()))
        yield "" if self.comparison is None else compared(self.comparison)
        yield failures(everything)
        yield noted([*self.rules.notes, *undated(everything)])


def published(
    store: Store,
    rules: Rules,
    roster: Sequence[Person] | None = None,
    identifiers: Identifiers | None = None,
) -> Published:
    """Everything that is stored, by the rules."""
    by_assignment = {
        name: [*(marked(result, rules) for result in store.of(name)), *store.lost(name)]
        for name in store.assignments()
    }
    everything = [result for results in by_assignment.values() for result in results]
    if identifiers is not None:
        everything = list(map(identifiers.named, everything))
    comparison = None if roster is None else compare(roster, everything)
    return Published(by_assignment, rules, comparison, identifiers)
