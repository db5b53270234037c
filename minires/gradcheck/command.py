"""`minires gradcheck`: every operation and layer, or a function in somebody's own file."""

from __future__ import annotations

import difflib
import html as html_text
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from minires.files import atomic_write
from minires.gradcheck.cases import LAYERS, OPERATIONS, Case
from minires.gradcheck.check import Mode, gradcheck
from minires.gradcheck.own_file import OwnCheck, load_checks, told
from minires.gradcheck.report import Report
from minires.markup import aligned
from minires.progress_bar import bar


@dataclass(frozen=True)
class Row:
    """One operation or layer in the table.

    Attributes
    ----------
    name : str
    cases : int
    reports : tuple of Report
        One per case.
    seconds : float
    """

    name: str
    cases: int
    reports: tuple[Report, ...]
    seconds: float

    def __bool__(self) -> bool:
        return all(self.reports)

    @property
    def worst_error(self) -> float:
        """The largest error over the largest numeric value, of all cases."""
        return max((r.worst_error for r in self.reports), default=0.0)

    def verdict(self, order: int) -> str:
        """`ok`, `WRONG` or `-` where nothing of this order was compared."""
        marks = [r.order_passed(order) for r in self.reports]
        known = [mark for mark in marks if mark is not None]
        if not known:
            return "-"
        return "ok" if all(known) else "WRONG"

    def cells(self) -> tuple[str, ...]:
        """What the table shows."""
        worst = f"{self.worst_error:.1e}"
        verdicts = (self.verdict(1), self.verdict(2))
        return (self.name, str(self.cases), worst, *verdicts, f"{self.seconds:.2f} s")


HEAD = ("operation", "cases", "worst error", "order 1", "order 2", "time")


def check_declared(names: Sequence[str] = (), seed: int = 0) -> list[Row]:
    """Check every declared operation and layer, or only those named, with a progress bar.

    Raises
    ------
    ValueError
        If a name is not declared.
    """
    declared = OPERATIONS | LAYERS
    for name in names:
        if name not in declared:
            close = difflib.get_close_matches(name, declared, n=3, cutoff=0.5)
            raise ValueError(
                f"no operation or layer {name!r}; {' or '.join(close) or 'conv2d'} is one, "
                "`minires gradcheck` without a name shows all, and layer.py::function is your own"
            )
    chosen = {name: cases for name, cases in declared.items() if not names or name in names}
    rows = []
    total = sum(map(len, chosen.values()))
    with bar(total=total, unit="case") as shown:
        for name, cases in chosen.items():
            shown.set_description(f"{name:20.20}")
            begin = time.perf_counter()
            reports = []
            for case in cases:
                reports.append(_check(case, seed))
                shown.update()
            rows.append(Row(name, len(cases), tuple(reports), time.perf_counter() - begin))
    return rows


def _check(case: Case, seed: int) -> Report:
    """A case's report; whatever its forward raises is reported too."""
    try:
        return gradcheck(
            case.subject, case.inputs, order=case.order, seed=seed, raise_exception=False
        )
    except Exception as error:
        problem = f"the forward of {case} failed: {type(error).__name__}: {error}"
        return Report(str(case), (), (problem,), "full", seed, 0, 0.0)


def _check_own(check: OwnCheck, path: Path, order: int, mode: Mode, seed: int) -> Report:
    """A report of somebody's function; what the function itself raises is in it."""
    function = check.function
    try:
        return gradcheck(
            function, check.inputs, order=order, mode=mode, seed=seed, raise_exception=False
        )
    except (Exception, SystemExit) as error:
        text = told(error, path)
        if text is None:
            raise
        name = getattr(function, "__name__", None) or type(function).__name__
        return Report(name, (), (f"the forward failed: {text}",), mode, seed, 0, 0.0)


def table(rows: Sequence[Row]) -> str:
    """The rows as text, with a summary, and the reports of failed cases below."""
    head, *body = aligned([HEAD, *(row.cells() for row in rows)])
    rule = "-" * len(head)
    failed = [str(report) for row in rows for report in row.reports if not report]
    return "\n".join([head, rule, *body, rule, summary(rows), *failed])


def summary(rows: Sequence[Row]) -> str:
    """How many, how long, how well."""
    wrong = [row.name for row in rows if not row]
    cases = sum(row.cases for row in rows)
    outcome = f"WRONG: {', '.join(wrong)}" if wrong else "all right"
    seconds = sum(row.seconds for row in rows)
    return f"{len(rows)} operations and layers, {cases} cases, {seconds:.1f} s: {outcome}"


def table_page(rows: Sequence[Row]) -> str:
    """The table as a page, with the failed reports in full."""
    head = "".join(f"<th>{cell}</th>" for cell in HEAD)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{html_text.escape(cell)}</td>" for cell in row.cells())
        lines.append(f"<tr class='{'right' if row else 'wrong'}'>{cells}</tr>")
    body = f"<p>{html_text.escape(summary(rows))}</p>"
    body += f"<table class='gradcheck'><tr>{head}</tr>{''.join(lines)}</table>"
    return page([r for row in rows for r in row.reports if not r], body)


def page(reports: Sequence[Report], body: str = "") -> str:
    """A page that needs nothing else: no script, no style sheet, every picture inside."""
    parts = "".join(report._repr_html_() for report in reports)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Gradient check</title>"
        "<style>:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; "
        "margin: 2rem auto; max-width: 70rem; padding: 0 1rem; } table.gradcheck { border-collapse:"
        " collapse; } .gradcheck th, .gradcheck td { text-align: left; padding: 2px 12px 2px 0; } "
        "tr.wrong td { color: #e0453a; font-weight: 600; }</style></head><body>"
        f"<h1>Gradient check</h1>{body}{parts}</body></html>\n"
    )


def gradcheck_command(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE.py[::FUNCTION]]",
            help="An operation or layer, or a function in a file of yours, whose code is run. Its "
            "inputs are FUNCTION.inputs, or FUNCTION_inputs or inputs in the file, or its "
            "parameters' defaults.",
            show_default="every operation and layer",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures.")] = None,
    order: Annotated[
        int, typer.Option(min=1, max=3, help="The highest derivative, of your own function.")
    ] = 1,
    mode: Annotated[
        Literal["full", "directional"],
        typer.Option(help="Of your own function: every element, or random directions."),
    ] = "full",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> int:
    """Hold gradients against finite differences; exit code 1 if one is wrong."""
    if target is not None and ".py" in target:
        path = Path(target.partition("::")[0])
        reports = [_check_own(check, path, order, mode, seed) for check in load_checks(target)]
        print("\n".join(map(str, reports)))
        passed, text = all(reports), page(reports)
    else:
        rows = check_declared([] if target is None else [target], seed)
        print(table(rows))
        passed, text = all(rows), table_page(rows)
    if html is not None:
        with atomic_write(html) as file:
            file.write(text.encode())
        print(f"written: {html}")
    return 0 if passed else 1
