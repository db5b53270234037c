"""Are the tests any good? Every known mistake must lose points, every right way must keep them all.

Each is graded as a student's submission would be, in a child. The same is asked of the blank
notebook, which must get nothing, and of the solutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from minires.coursework.assignment import Assignment
from minires.coursework.build import student_notebook
from minires.coursework.bundle import Bundle, make_bundle
from minires.coursework.cells import Cell, parse_notebook
from minires.coursework.grading.grade import grade_question
from minires.coursework.question import Variant
from minires.coursework.result import QuestionResult

BLANK, SOLUTION, RIGHT, MISTAKE = "blank", "solution", "right way", "mistake"


@dataclass(frozen=True)
class Trial:
    """A form of a question's solution, to be graded.

    Attributes
    ----------
    assignment, question : str
    kind : str
        `"blank"`, `"solution"`, `"right way"` or `"mistake"`.
    name : str
    number : int
        Of a mistake, else 0.
    cells : list of Cell
    """

    assignment: str
    question: str
    kind: str
    name: str
    number: int
    cells: list[Cell]


@dataclass(frozen=True)
class Outcome:
    """What a trial got."""

    trial: Trial
    result: QuestionResult

    @property
    def as_wanted(self) -> bool:
        """A mistake loses points, a right form keeps all, a blank gets none."""
        if self.trial.kind == MISTAKE:
            return not self.result.passed
        if self.trial.kind == BLANK:
            return all(case.earned == 0 for case in self.result.cases)
        return self.result.passed

    @property
    def caught(self) -> list[bool]:
        """Which tests it fails."""
        return [not case.passed for case in self.result.cases]


def trials(assignment: Assignment) -> Iterator[Trial]:
    """Every form of every question's solution."""
    blank = parse_notebook(student_notebook(assignment))
    for question in assignment.questions.values():

        def trial(kind: str, cells: list[Cell], name: str, number: int = 0) -> Trial:
            return Trial(assignment.name, question.name, kind, name, number, cells)  # noqa: B023

        def varied(variant: Variant) -> list[Cell]:
            source = assignment.with_variant(question, variant)  # noqa: B023
            return [Cell("code", source, "question", question.name, 1)]  # noqa: B023

        yield trial(BLANK, blank, "blank")
        yield trial(SOLUTION, assignment.cells, "solution")
        for way in question.correct_ways:
            yield trial(RIGHT, varied(way), way.name)
        for mistake in question.mistakes:
            yield trial(MISTAKE, varied(mistake), mistake.name, mistake.number)


def run_trials(
    assignments: Sequence[Assignment],
    *,
    sandboxed: bool = True,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Outcome]:
    """Grade every trial of every assignment."""
    bundles: dict[str, Bundle] = {a.name: make_bundle(a) for a in assignments}
    all_trials = [trial for assignment in assignments for trial in trials(assignment)]

    def run(trial: Trial) -> Outcome:
        bundle = bundles[trial.assignment]
        question = bundle.question(trial.question)
        result = grade_question(question, bundle.given, trial.cells, sandboxed=sandboxed)
        return Outcome(trial, result)

    outcomes = []
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(run, all_trials):
            outcomes.append(outcome)
            progress(len(outcomes), len(all_trials))
    return outcomes


def kill_matrix(outcomes: Sequence[Outcome]) -> str:
    """Mistakes against tests: x where a test catches a mistake, a dot where not."""
    lines = []
    for name in dict.fromkeys((o.trial.assignment, o.trial.question) for o in outcomes):
        mine = [o for o in outcomes if (o.trial.assignment, o.trial.question) == name]
        lines += [f"{name[0]}: {name[1]}"]
        cases = mine[0].result.cases
        lines += [f"  {i}  {case.name}" for i, case in enumerate(cases, 1)]
        head = " ".join(f"{i:2}" for i in range(1, len(cases) + 1))
        lines += ["", f"  {head}  points"]
        for outcome in mine:
            if outcome.trial.kind == MISTAKE:
                lines.append(_row(outcome))
        lines.append("")
    return "\n".join(lines)


def _row(outcome: Outcome) -> str:
    marks = " ".join(" x" if caught else " ." for caught in outcome.caught)
    result, trial = outcome.result, outcome.trial
    verdict = "" if outcome.as_wanted else "  SURVIVES"
    share = f"{result.earned:.1f}/{result.points:g}"
    return f"  {marks}  {share:>6}  {trial.number:3} {trial.name}{verdict}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """The counts, and what is not as it should be."""
    lines = []
    for kind, verb in (
        (MISTAKE, "lose points"),
        (RIGHT, "get full points"),
        (SOLUTION, "get full points"),
        (BLANK, "get nothing"),
    ):
        mine = [o for o in outcomes if o.trial.kind == kind]
        good = sum(o.as_wanted for o in mine)
        plural = f"{kind}s"
        lines.append(f"{good} of {len(mine)} {plural} {verb}")
    numbers = {o.trial.number for o in outcomes if o.trial.kind == MISTAKE}
    listed = {n for n in numbers if 0 < n <= 74}
    lines.append(f"{len(listed)} of the 74 listed mistakes are among them")
    for o in outcomes:
        if not o.as_wanted:
            t = o.trial
            lines.append(f"NOT AS WANTED: {t.assignment}, {t.question}, {t.kind}: {t.name}")
            lines += [f"    {c.name}: {_why(c)}" for c in o.result.cases if not c.passed]
    return "\n".join(lines)


def _why(case: object) -> str:
    text = getattr(case, "text", "") or "; ".join(
        f"{o.name}: {o.text}" for o in getattr(case, "outputs", []) if o.text
    )
    return text.replace("\n", " ")
