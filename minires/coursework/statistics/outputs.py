"""Statistics of questions as a table in the terminal, as CSV and as a picture."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minires.coursework.csv_output import as_csv
from minires.coursework.result import Result
from minires.coursework.statistics.questions import QuestionStatistics, readable
from minires.files import atomic_write
from minires.markup import aligned
from minires.text import bounded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Sequence[QuestionStatistics]

MEANING = (
    "difficulty: the mean share of the points, 1 where everybody has all of them.\n"
    "discrimination: the correlation with the rest of the total; near 0 or below, look at the\n"
    "question: who does well elsewhere does no better here."
)
MOST_MISTAKES = 3


def table(results: Sequence[Result], found: Found) -> str:
    """What an instructor reads: a line a question, then what went wrong most."""
    left_out = len(results) - len(readable(results))
    head = f"{results[0].title}: {_students(len(results) - left_out)}"
    if left_out:
        head += f"; {left_out} more handed in what could not be read, and does not count"
    rows = [
        ["question", "points", "graded", "mean", "median", "difficulty", "discrimination"],
        *(
            [
                one.question,
                f"{one.points:g}",
                str(one.graded),
                f"{one.mean:.2f}",
                f"{one.median:.2f}",
                f"{one.difficulty:.2f}",
                "undefined" if one.discrimination is None else f"{one.discrimination:.2f}",
            ]
            for one in found
        ),
    ]
    lines = aligned(rows)
    lines.insert(1, "-" * max(map(len, lines)))
    why: dict[str, list[str]] = {}
    for one in found:
        if one.undefined:
            why.setdefault(one.undefined, []).append(one.question)
    for reason, names in why.items():
        whose = "all questions" if len(names) == len(found) > 1 else ", ".join(names)
        lines.append(f"undefined for {whose}: {reason}")
    lines += ["", "most frequent mistakes:"]
    for one in found:
        said = "; ".join(
            f"{bounded(text, 70)} ({count})" for text, count in one.mistakes[:MOST_MISTAKES]
        )
        lines.append(f"  {one.question}: {said or 'none'}")
    return "\n".join([head, "", *lines])


def _students(count: int) -> str:
    return "1 student" if count == 1 else f"{count} students"


def questions_csv(found: Found) -> str:
    """A row a question."""
    head = ["assignment", "question", "points", "graded", "all points", "no points", "mean"]
    rows: list[list[object]] = [
        [*head, "median", "difficulty", "discrimination", "why undefined", "most frequent mistake"]
    ]
    for one in found:
        counts = [one.points, one.graded, one.full, one.none]
        numbers = [round(n, 4) for n in (one.mean, one.median, one.difficulty)]
        discrimination = "" if one.discrimination is None else round(one.discrimination, 4)
        mistake = one.mistakes[0][0] if one.mistakes else ""
        row = [one.assignment, one.question, *counts, *numbers]
        rows.append([*row, discrimination, one.undefined, mistake])
    return as_csv(rows)


def mistakes_csv(found: Found) -> str:
    """A row a question and mistake, with how many students made it."""
    rows: list[list[object]] = [["assignment", "question", "mistake", "students", "share"]]
    for one in found:
        for text, count in one.mistakes:
            share = round(count / one.graded, 4)
            rows.append([one.assignment, one.question, text, count, share])
    return as_csv(rows)


ALL, PART, NONE = "#2a9d8f", "#e9c46a", "#d1495b"


def picture(title: str, found: Found) -> Figure:
    """Bars by question, the first on top: points, discrimination, and the commonest mistake."""
    from matplotlib.figure import Figure  # takes half a second, so only when it is drawn

    figure = Figure(figsize=(12.5, 2.3 + 0.55 * len(found)), layout="constrained")
    points, telling, wrong = figure.subplots(1, 3, sharey=True, width_ratios=[5, 3.2, 4.3])
    at = range(len(found))
    full, none = ([getattr(one, kind) / one.graded for one in found] for kind in ("full", "none"))
    part = [1 - f - n for f, n in zip(full, none, strict=True)]
    left = [0.0] * len(found)
    for shares, colour, label in (
        (full, ALL, "all points"),
        (part, PART, "a part of them"),
        (none, NONE, "none"),
    ):
        points.barh(at, shares, left=left, color=colour, label=label, height=0.62)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    mean = [one.difficulty for one in found]
    points.plot(mean, at, "D", color="black", markersize=5, label="mean share (difficulty)")
    points.set(xlim=(0, 1), xlabel="share of students; of points", title="points")
    points.set_yticks(at, [_label(one) for one in found])
    points.invert_yaxis()
    values = [one.discrimination or 0.0 for one in found]
    telling.barh(at, values, color=[NONE if v < 0 else "#457b9d" for v in values], height=0.62)
    for i, one in enumerate(found):
        if one.discrimination is None:
            telling.text(0.03, i, "undefined", va="center", fontsize=9, color="dimgray")
    low = min(0.0, *values, -0.1)
    telling.axvline(0, color="black", linewidth=0.8)
    telling.set(xlim=(low, 1), xlabel="correlation with the rest", title="discrimination")
    for axes in (points, telling):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    for i, one in enumerate(found):
        wrong.text(0, i, _mistake(one), va="center", fontsize=9, parse_math=False)
    wrong.set(xlim=(0, 1))
    wrong.set_title("most frequent mistake", loc="left")
    wrong.axis("off")
    figure.legend(*points.get_legend_handles_labels(), loc="outside lower left", ncols=4)
    style: dict[str, Any] = {"fontsize": 12, "weight": "bold", "parse_math": False}
    figure.suptitle(bounded(title, 100), **style)
    return figure


def _label(one: QuestionStatistics) -> str:
    """A question's name, in two lines where it is long."""
    name = bounded(one.question, 56)
    middle = len(name) // 2
    if len(name) > 26:
        cuts = [i + 1 for i, sign in enumerate(name) if sign == "_"] or [middle]
        cut = min(cuts, key=lambda i: abs(i - middle))
        name = f"{name[:cut]}\n{name[cut:]}"
    return f"{name} ({one.points:g})"


def _mistake(one: QuestionStatistics) -> str:
    if not one.mistakes:
        return "none"
    text, count = one.mistakes[0]
    lines = textwrap.wrap(f"{bounded(text, 66)}: {_students(count)}", 42)
    return "\n".join(lines[:2])


def write_picture(path: Path, title: str, found: Found) -> None:
    """Write the picture as PNG."""
    with warnings.catch_warnings(), atomic_write(path) as file:
        warnings.simplefilter("ignore")  # signs that the font does not have are boxes
        picture(title, found).savefig(file, format="png", dpi=110)
