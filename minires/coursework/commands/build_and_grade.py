"""`minires coursework build`, `minires coursework mutants`, `minires grade` and `minires check`."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from minires.coursework.assignment import (
    AssignmentError,
    find_assignments,
    load_assignment,
    load_assignments,
    question_names,
)
from minires.coursework.build import CHECKS, build, course_seed, written
from minires.coursework.bundle import SUFFIX, Bundle, load_bundle, make_bundle
from minires.coursework.cells import Cell
from minires.coursework.commands.marks import AnonymousOption, RosterOption
from minires.coursework.grading.grade import grade_file
from minires.coursework.grading.run import brought_up, grade_all, not_given
from minires.coursework.grading.same_tests import of_seed_0, require_same_course
from minires.coursework.grading.store import Store
from minires.coursework.marks.identifiers import Identifiers, require_known, require_one_kind
from minires.coursework.marks.outputs import remove_pages
from minires.coursework.marks.publish import published, rules_of
from minires.coursework.marks.rules import Rules
from minires.coursework.marks.show import (
    changes,
    checked,
    not_graded,
    noted,
    renamed,
)
from minires.coursework.mutation.mechanical import judge_mechanical
from minires.coursework.sandbox.parent import isolation_problem
from minires.coursework.sources import unpacked
from minires.coursework.submissions.collect import UNDECIDED, Collected, collect
from minires.coursework.submissions.missed import not_elsewhere, write_not_graded
from minires.coursework.submissions.roster import read_roster
from minires.coursework.temporary import TemporaryFolder
from minires.coursework.trials import kill_matrix, run_trials, summary
from minires.files import whole
from minires.kernels.machinery.threads import processors
from minires.locks import hold
from minires.progress_bar import bar

SourceOption = Annotated[
    Path | None,
    typer.Option(
        "--source",
        metavar="PLACE",
        help="Where the assignments are: a clone of minires, its source archive (.tar.gz), or a "
        "folder of your own.",
        show_default="the clone that minires runs from",
        callback=unpacked,
    ),
]
AssignmentOption = Annotated[
    str | None,
    typer.Option(
        "--assignment",
        metavar="NAME|FILE.bundle",
        help="Which assignment it is; by default what each notebook says.",
        show_default=False,
    ),
]
UnsafeOption = Annotated[
    bool,
    typer.Option(
        "--unsafe-no-sandbox",
        help="Run students' code with your own rights. Only for code that you trust.",
    ),
]
JobsOption = Annotated[
    int, typer.Option(metavar="N", min=1, help="Children at a time.", show_default="processors")
]
PROCESSORS = processors()


def require_isolation(unsafe: bool) -> bool:
    """Whether to lock children in.

    Raises
    ------
    ValueError
        If they are to be, and this system cannot.
    """
    if unsafe:
        return False
    problem = isolation_problem()
    if problem is not None:
        raise ValueError(
            f"students' code cannot be locked in on this system ({problem}), so nothing is run. "
            "Grade on Linux, as root or where user namespaces are allowed; or, for code that you "
            "trust, add --unsafe-no-sandbox"
        )
    return True


def build_command(
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    source: SourceOption = None,
    assignment: Annotated[str | None, typer.Option(metavar="NAME", help="Only this one.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="The course's secret, of which hidden inputs are drawn; kept in "
            "FOLDER/instructor.",
            show_default="the one kept there, else a random one",
        ),
    ] = None,
) -> None:
    """Write the students' notebooks, the instructor's, and the bundles for grading."""
    wanted = load_assignments(source, assignment)
    seed = course_seed(folder, seed)
    for one in wanted:
        bundle = build(one, folder, seed)
        count = len(bundle.questions)
        cases = sum(len(question.cases) for question in bundle.questions)
        print(f"{one.name}: {count} questions, {bundle.points:g} points, {cases} tests")
    print(f"written: {folder}/student, {folder}/instructor, {folder}/bundle")


MECHANICAL = "Mechanical mutants"


def mutants_command(
    source: SourceOption = None,
    assignment: Annotated[str | None, typer.Option(metavar="NAME", help="Only this one.")] = None,
    jobs: JobsOption = PROCESSORS,
    unsafe_no_sandbox: UnsafeOption = False,
    mechanical: Annotated[
        bool,
        typer.Option(
            "--mechanical",
            help="Judge every small change of the solutions instead, and print a table; exit code "
            "1 if less than 99% of those lose points that are not equivalent.",
            rich_help_panel=MECHANICAL,
        ),
    ] = False,
    question: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this question.", rich_help_panel=MECHANICAL),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Only so many, drawn by the seed.",
            rich_help_panel=MECHANICAL,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Of the course whose hidden tests are tried.",
            show_default="0",
            rich_help_panel=MECHANICAL,
        ),
    ] = None,
    inputs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="On so many drawn inputs an equivalent mutant must agree with the solution.",
            show_default="10000",
            rich_help_panel=MECHANICAL,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Keep what was found here, and judge only what is not there.",
            rich_help_panel=MECHANICAL,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md",
            help="Write the table and the survivors as a page too.",
            rich_help_panel=MECHANICAL,
        ),
    ] = None,
) -> int:
    """Grade every known mistake and print which test catches it; exit code 1 if one survives.

    Blanks, solutions and other right ways are graded too: none may get what it should not.
    """
    if mechanical:
        return judge_mechanical(
            source,
            assignment,
            question,
            jobs=jobs,
            sample=sample,
            seed=seed or 0,
            inputs=inputs or 10_000,
            results=results,
            page=page,
        )
    if any(value is not None for value in (question, sample, seed, inputs, results, page)):
        raise ValueError(
            "--question, --sample, --seed, --inputs, --results and --page go with --mechanical"
        )
    sandboxed = require_isolation(unsafe_no_sandbox)
    with bar(unit="form") as shown:

        def progress(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        outcomes = run_trials(
            load_assignments(source, assignment), sandboxed=sandboxed, jobs=jobs, progress=progress
        )
    print(kill_matrix(outcomes))
    print(summary(outcomes))
    return 0 if all(outcome.as_wanted for outcome in outcomes) else 1


class Asked:
    """What may be graded: one assignment that was named, or all that there are.

    Attributes
    ----------
    only : str or None
        The one that was named.
    questions : dict
        The names of each assignment's questions.
    """

    def __init__(self, name: str | None, source: Path | None) -> None:
        self._places: dict[str, Path] = {}
        self._bundles: dict[str, Bundle] = {}
        if name is not None and name.endswith(SUFFIX):
            bundle = load_bundle(Path(name))
            self.only: str | None = bundle.assignment
            self._bundles[bundle.assignment] = bundle
            with suppress(ValueError):  # then no other assignment is recognised
                self._places = find_assignments(source)
        else:
            self._places = find_assignments(source)
            self.only = name
            if name is not None and name not in self._places and Path(name).exists():
                raise ValueError(f"{name} is no bundle: name the file that ends in {SUFFIX}")
            if name is not None and name not in self._places:
                raise ValueError(f"no assignment {name!r}, only {', '.join(self._places)}")
        self._named = set(self._bundles)
        self.questions = {one: question_names(place) for one, place in self._places.items()}
        for one, bundle in self._bundles.items():
            self.questions[one] = [question.name for question in bundle.questions]

    def bundle(self, name: str) -> Bundle:
        """An assignment's, made when it is first wanted."""
        if name not in self._bundles:
            self._bundles[name] = make_bundle(load_assignment(self._places[name]))
        return self._bundles[name]

    def made(self) -> list[Bundle]:
        """The bundles of which no file was named."""
        return [bundle for name, bundle in self._bundles.items() if name not in self._named]

    def written(self, name: str) -> list[Cell]:
        """The cells of an assignment, with solutions where its sources are at hand; none is run."""
        if name in self._places:
            return written(self._places[name])
        given = self._bundles[name].given.items()
        return [Cell("code", source, "given", part) for part, source in given]

    def undecided(self) -> ValueError:
        """That nothing says which assignment it is."""
        return ValueError(
            "neither names nor contents say which assignment this is: add --assignment, one of "
            f"{', '.join(self._places)}, or a .bundle file"
        )


def handed_in(places: list[Path], asked: Asked, box: Path, out: Path | None) -> Collected:
    """What was handed in.

    Raises
    ------
    ValueError
        If there is nothing to grade.
    """
    found = collect(places, asked.questions, box, only=asked.only, skip=out)
    if found.submissions:
        return found
    missed = [one for one in found.left_out if not one.hidden]
    if missed and all(one.why == UNDECIDED for one in missed):
        raise asked.undecided()
    named = "; ".join(f"{one.file}: {one.why}" for one in missed[:3])
    more = f"; and {len(missed) - 3} more" if len(missed) > 3 else ""
    where = ", ".join(map(str, places[:3])) + (" ..." if len(places) > 3 else "")
    raise ValueError(
        f"{where} holds no notebook and no Python file to grade" + (named and f" ({named}{more})")
    )


def grade_command(
    submissions: Annotated[
        list[Path],
        typer.Argument(
            help="Notebooks, Python files, .zip archives, folders of them, or what Moodle, "
            "Canvas, Gradescope or Blackboard exports."
        ),
    ],
    assignment: AssignmentOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the class's results here. What is there and unchanged is not graded again; "
            "rules there are followed: see `minires coursework marks --help`.",
        ),
    ] = None,
    roster: RosterOption = None,
    anonymous: AnonymousOption = None,
    regrade: Annotated[
        str | None,
        typer.Option(
            metavar="QUESTION", help="Grade this question anew; show whose points change."
        ),
    ] = None,
    jobs: JobsOption = PROCESSORS,
    source: SourceOption = None,
    unsafe_no_sandbox: UnsafeOption = False,
) -> int:
    """Grade submissions, each question in a sandboxed child process.

    The exit code is 1 if a stored result is damaged, of somebody who was not graded now.
    """
    sandboxed = require_isolation(unsafe_no_sandbox)
    asked = Asked(assignment, source)
    people = None if roster is None else read_roster(roster)
    identifiers = None if anonymous is None else Identifiers(anonymous)
    if regrade is not None and out is None:
        raise ValueError("--regrade changes earlier results: say where they are with --out")
    with TemporaryFolder() as box:
        found = handed_in(submissions, asked, box, out)
        bundles = {name: asked.bundle(name) for name in found.submissions}
        if regrade is not None:
            check_question(regrade, list(bundles.values()))
        with nullcontext() if out is None else hold(out):
            store = Store(out)
            require_one_kind(store, identifiers)
            if identifiers is not None:
                for name, mine in found.submissions.items():
                    found.submissions[name] = identifiers.hidden(name, mine)
                require_known(store, identifiers)
            if out is not None:
                require_same_course(out, bundles)
            if identifiers is not None and out is not None:
                identifiers.write()  # before anything is graded, so that no result is nobody's
            if note := of_seed_0(asked.made()):
                print(note, flush=True)
            for name, mine in found.submissions.items():
                store.rename(name, mine)
            rules = Rules()
            if out is not None:
                rules = rules_of(
                    out, store, identifiers, found.submissions, bundles, people, found.left_out
                )
            pairs = []
            count = sum(map(len, found.submissions.values()))
            with bar(total=count, unit="submission") as shown:
                for name, mine in found.submissions.items():
                    for pair in grade_all(
                        mine,
                        bundles[name],
                        store,
                        regrade=regrade,
                        sandboxed=sandboxed,
                        jobs=jobs,
                    ):
                        pairs.append(pair)
                        shown.update()
            notes = [brought_up(store, bundle) for bundle in bundles.values()]
            notes += (
                noted(not_given(store, name, mine)) for name, mine in found.submissions.items()
            )
            done = identifiers.students() if identifiers else store.files()
            every = published(store, rules, people, identifiers, found.left_out)
            if out is not None:
                every.write(out)
                for _, result in store.former:
                    remove_pages(out, result)
                private = out if identifiers is None else identifiers.folder
                write_not_graded(private / "not_graded.csv", found, submissions, done)
    shown_first, *others = every.texts()
    texts = [
        shown_first,
        not_graded(not_elsewhere(found.left_out, done)),
        *others,
        *notes,
        noted(renamed(store.former)),
        *(f"{path} is damaged and was not read" for path in store.damaged),
        changes(pairs) if regrade is not None else "",
    ]
    print("\n\n".join(text for text in texts if text))
    if out is not None:
        print(f"{every.written(out)}; {private}/not_graded.csv")
    return 1 if store.damaged else 0


def check_question(name: str, bundles: list[Bundle]) -> None:
    """See that an assignment has a question of this name.

    Raises
    ------
    ValueError
        If none has.
    """
    if not any(name in bundle.question_digests for bundle in bundles):
        bundles[0].question(name)


def check_command(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, or Python file.")],
    question: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this question.")
    ] = None,
) -> int:
    """Try the visible tests on your own work, with the feedback that grading gives."""
    if notebook.is_dir():
        raise ValueError(f"{notebook} is a folder: name your notebook in it")
    nearby = sorted(whole(notebook).parent.glob(f"*{CHECKS}"))
    own = [path for path in nearby if path.stem in notebook.stem] or nearby
    bundle = load_bundle(own[0]) if len(own) == 1 else _bundle_for(notebook)
    if question is not None:
        bundle.question(question)
    result = grade_file(
        notebook,
        notebook.stem,
        bundle.visible_only(),
        questions=None if question is None else [question],
        sandboxed=isolation_problem() is None,
    )
    print(checked(result))
    return 0 if not result.problem and all(q.passed for q in result.questions) else 1


def _bundle_for(notebook: Path) -> Bundle:
    """The bundle of the assignment that a notebook is for."""
    try:
        asked = Asked(None, None)
    except AssignmentError as error:
        raise ValueError(
            f"no {CHECKS} file lies beside {notebook}: put the one there that came with it"
        ) from error
    with TemporaryFolder() as box:
        return asked.bundle(next(iter(handed_in([notebook], asked, box, None).submissions)))
