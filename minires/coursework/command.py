"""`minires coursework build`, `minires coursework mutants`, `minires grade` and `minires check`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from minires.bar import bar
from minires.coursework.assignment import find_assignments, load_assignment, load_assignments
from minires.coursework.build import CHECKS, build
from minires.coursework.bundle import SUFFIX, Bundle, load_bundle, make_bundle
from minires.coursework.collect import assignment_of, find_submissions
from minires.coursework.grade import grade_file
from minires.coursework.mutants import kill_matrix, run_trials, summary
from minires.coursework.outputs import write_all
from minires.coursework.run import grade_all
from minires.coursework.sandbox import isolation_problem
from minires.coursework.show import changes, feedback, table
from minires.files import whole
from minires.locks import hold

SourceOption = Annotated[
    Path | None,
    typer.Option(
        "--source",
        metavar="FOLDER",
        help="Where the assignments are. [default: notebooks/assignments]",
        show_default=False,
    ),
]
AssignmentOption = Annotated[
    str | None,
    typer.Option("--assignment", metavar="NAME|FILE.bundle", help="Which assignment it is."),
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
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


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
) -> None:
    """Write the students' notebooks, the instructor's, and the bundles for grading."""
    for one in load_assignments(source, assignment):
        bundle = build(one, folder)
        count = len(bundle.questions)
        cases = sum(len(question.cases) for question in bundle.questions)
        print(f"{one.name}: {count} questions, {bundle.points:g} points, {cases} tests")
    print(f"written: {folder}/student, {folder}/instructor, {folder}/bundle")


def mutants_command(
    source: SourceOption = None,
    assignment: Annotated[str | None, typer.Option(metavar="NAME", help="Only this one.")] = None,
    jobs: JobsOption = PROCESSORS,
    unsafe_no_sandbox: UnsafeOption = False,
) -> int:
    """Grade every known mistake and print which test catches it; exit code 1 if one survives.

    Blanks, solutions and other right ways are graded too: none may get what it should not.
    """
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


def _bundle(name: str | None, places: list[Path], source: Path | None) -> Bundle:
    """The bundle that was named, or the one that the submissions are for."""
    if name is not None and name.endswith(SUFFIX):
        return load_bundle(Path(name))
    if name is not None:
        return make_bundle(load_assignments(source, name)[0])
    places_of = find_assignments(source)
    for submission in find_submissions(places):
        own = assignment_of(submission.path, list(places_of))
        if own is not None:
            return make_bundle(load_assignment(places_of[own]))
    raise ValueError(
        "neither names nor contents say which assignment this is: add --assignment, one of "
        f"{', '.join(places_of)}, or a .bundle file"
    )


def grade_command(
    submissions: Annotated[
        list[Path], typer.Argument(help="Notebooks or Python files, or folders of them.")
    ],
    assignment: AssignmentOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write results here, and resume from here.")
    ] = None,
    regrade: Annotated[
        str | None,
        typer.Option(
            metavar="QUESTION", help="Grade this question anew; show whose points change."
        ),
    ] = None,
    jobs: JobsOption = PROCESSORS,
    source: SourceOption = None,
    unsafe_no_sandbox: UnsafeOption = False,
) -> None:
    """Grade submissions, each question in a locked-in child process."""
    sandboxed = require_isolation(unsafe_no_sandbox)
    bundle = _bundle(assignment, submissions, source)
    if regrade is not None:
        bundle.question(regrade)
        if out is None:
            raise ValueError("--regrade changes earlier results: say where they are with --out")
    found = find_submissions(submissions, bundle.assignment)
    with nullcontext() if out is None else hold(out):
        runs = grade_all(found, bundle, out=out, regrade=regrade, sandboxed=sandboxed, jobs=jobs)
        pairs = list(bar(runs, total=len(found), unit="submission"))
        results = [result for result, _ in pairs]
        if out is not None:
            write_all(out, list(zip(found, results, strict=True)))
    print(feedback(results[0]) if len(results) == 1 else table(results))
    if regrade is not None:
        print("\n" + changes(pairs))
    if out is not None:
        print(
            f"written: {out}/grades.csv, grades.json, moodle.csv, canvas.csv, gradescope/, pages/"
        )


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
    bundle = load_bundle(own[0]) if len(own) == 1 else _bundle(None, [notebook], None)
    if question is not None:
        bundle.question(question)
    result = grade_file(
        notebook,
        notebook.stem,
        bundle.visible_only(),
        questions=None if question is None else [question],
        sandboxed=isolation_problem() is None,
    )
    print(feedback(result))
    passed = not result.problem and all(q.passed for q in result.questions)
    if passed:
        print("\nAll visible tests pass. Grading has hidden ones too: other inputs, same rules.")
    return 0 if passed else 1
