"""`minires coursework statistics` and `minires coursework similarity`: what a class's work says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minires.coursework.build import handed_out
from minires.coursework.cells import SubmissionError, read_submission
from minires.coursework.commands.build_and_grade import (
    Asked,
    AssignmentOption,
    SourceOption,
    handed_in,
)
from minires.coursework.csv_output import write_csv
from minires.coursework.grading.store import FOLDER, Store
from minires.coursework.marks.show import not_graded
from minires.coursework.result import file_name
from minires.coursework.similarity.fingerprints import HandedOut, Work
from minires.coursework.similarity.outputs import (
    HINT,
    SOLUTION,
    identical_text,
    pairs_csv,
    pairs_text,
    unread_text,
    usual_table,
)
from minires.coursework.similarity.pairs import Answered, identical, similar
from minires.coursework.statistics.outputs import (
    MEANING,
    mistakes_csv,
    questions_csv,
    table,
    write_picture,
)
from minires.coursework.statistics.questions import readable, statistics
from minires.coursework.submissions.collect import Submission
from minires.coursework.temporary import TemporaryFolder
from minires.progress_bar import bar


def statistics_command(
    folder: Annotated[Path, typer.Argument(help="What `minires grade --out` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write.", show_default="FOLDER/statistics"),
    ] = None,
) -> None:
    """Say how hard each question was, whom it tells apart, and what went wrong most.

    Points count as graded. Written are questions.csv, mistakes.csv and pictures.
    """
    if not (folder / FOLDER).is_dir():
        raise ValueError(
            f"{folder} holds no graded work: name the folder that minires grade --out wrote"
        )
    store = Store(folder)
    out = folder / "statistics" if out is None else out
    everything, shown = [], []
    for name in store.assignments():
        results = store.of(name)
        if not readable(results):
            shown.append(f"{name}: nothing that was handed in could be read")
            continue
        found = statistics(results)
        if not found:
            shown.append(f"{name}: the grader failed on all of it: grade it again")
            continue
        everything += found
        shown.append(table(results, found))
        title = f"{results[0].title}: {len(readable(results))} graded"
        write_picture(out / f"{file_name(name)}.png", title, found)
    shown += [f"{path} is damaged and was not read" for path in store.damaged]
    if not everything:
        raise ValueError("; ".join(shown) or f"{folder} holds no results")
    write_csv(out / "questions.csv", questions_csv(everything))
    write_csv(out / "mistakes.csv", mistakes_csv(everything))
    print("\n\n".join([*shown, MEANING]))
    names = dict.fromkeys(one.assignment for one in everything)
    pictures = ", ".join(f"{file_name(name)}.png" for name in names)
    print(f"written: {out}/questions.csv, mistakes.csv, {pictures}")


def similarity_command(
    submissions: Annotated[
        list[Path], typer.Argument(help="What the class handed in, as for minires grade.")
    ],
    assignment: AssignmentOption = None,
    most: Annotated[
        int, typer.Option(metavar="N", min=0, help="Show so many pairs of an assignment.")
    ] = 20,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write all pairs here too.")
    ] = None,
    source: SourceOption = None,
) -> None:
    """Show whose answers are more alike than usual in the class: a hint, never a verdict.

    Compared is how code is built, whatever its names, numbers and comments. None of it is run.
    """
    asked = Asked(assignment, source)
    texts, by_assignment = [HINT], {}
    with TemporaryFolder() as box:
        found = handed_in(submissions, asked, box, None)
        with bar(total=sum(map(len, found.submissions.values())), unit="submission") as shown:
            for name, mine in found.submissions.items():
                questions, cells = asked.questions[name], asked.written(name)
                given = HandedOut(handed_out(cells), questions)
                answered, unread = [], {}
                for submission in mine:
                    one, unread[submission.student] = _answered(submission, given, questions)
                    answered.append(one)
                    shown.update()
                solution = Work(cells, given).answers(questions)
                plural = "" if len(mine) == 1 else "s"
                head = f"{name}: {len(mine)} submission{plural} compared"
                if any(solution.values()):
                    head += f", and {SOLUTION}"
                    answered.append(Answered(SOLUTION, Path(), solution))
                usual, pairs = similar(answered, questions)
                by_assignment[name] = pairs
                texts.append(usual_table(head, usual))
                same = identical_text(identical(answered))
                texts += [same, pairs_text(pairs, most, same), unread_text(unread)]
    if out is not None:
        write_csv(out, pairs_csv(by_assignment))
    texts.append(not_graded(found.left_out).replace("not graded:", "left out:", 1))
    print("\n\n".join(text for text in texts if text))
    if out is not None:
        print(f"written: {out}")


def _answered(
    submission: Submission, given: HandedOut, questions: list[str]
) -> tuple[Answered, list[str]]:
    """A student's answers, and what of the submission cannot be read."""
    try:
        work = Work(read_submission(submission.path), given)
        answers = work.answers(questions)
    except (SubmissionError, OSError) as error:
        return Answered(submission.student, submission.path, {}), [str(error)]
    except Exception as error:  # of the report's own: the others are compared
        why = f"the report failed here: {type(error).__name__}: {error}"
        return Answered(submission.student, submission.path, {}), [why]
    return Answered(submission.student, submission.path, answers, work.text), work.unread
