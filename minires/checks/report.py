"""What a checkup found: as a truth value, as text, as a table, as a page, as JSON."""

from __future__ import annotations

import html as html_text
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from minires import markup
from minires.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Verdict: TypeAlias = Literal["holds", "broken", "not checked"]

ORDER: tuple[Verdict, ...] = ("broken", "not checked", "holds")


@dataclass(frozen=True)
class Finding:
    """What one check observed.

    Attributes
    ----------
    check : str
        Its name, such as "parameters in optimizer".
    verdict : {"holds", "broken", "not checked"}
    message : str
        What was observed, with its numbers; for "not checked" why nothing could be.
    numbers : dict of str to number, str or list
        The same for programs.
    line : str
        The line of code concerned, as `file:line`, where one is known.
    advice : str
        What to do about what is broken.
    """

    check: str
    verdict: Verdict
    message: str
    numbers: dict[str, Any] = field(default_factory=dict)
    line: str = ""
    advice: str = ""

    def __str__(self) -> str:
        mark = {"broken": "BROKEN", "holds": "holds", "not checked": "not checked"}[self.verdict]
        first = f"{mark}: {self.check}"
        said = self.message if self.verdict != "not checked" else f"because {self.message}"
        lines = textwrap.wrap(said, 92, initial_indent="    ", subsequent_indent="    ")
        if self.line:
            lines.append(f"    at {self.line}")
        if self.advice and self.verdict == "broken":
            lines += textwrap.wrap(
                f"-> {self.advice}", 92, initial_indent="    ", subsequent_indent="       "
            )
        return "\n".join([first, *lines])


def holds(check: str, message: str, numbers: dict[str, Any] | None = None) -> Finding:
    """What was looked at, and is as it should be."""
    return Finding(check, "holds", message, numbers or {})


def broken(
    check: str, message: str, advice: str, line: str = "", numbers: dict[str, Any] | None = None
) -> Finding:
    """A fact that is not as it should be, where it is in the code, and what to do."""
    return Finding(check, "broken", message, numbers or {}, line, advice)


def not_checked(check: str, reason: str) -> Finding:
    """Why nothing can be said."""
    return Finding(check, "not checked", reason)


@dataclass(frozen=True)
class Rates:
    """The learning-rate range test: the loss at rates that rise step by step, a symptom only.

    Attributes
    ----------
    factors : list of float
        The rate of each step, as a multiple of one's own.
    losses : list of float
        The loss before that step.
    own : float
        One's own rate.
    """

    factors: list[float]
    losses: list[float]
    own: float


@dataclass(frozen=True)
class Report:
    """The findings of a checkup; true if nothing is broken.

    Attributes
    ----------
    findings : list of Finding
        In the order in which they were checked.
    seconds : float
        What the checkup took.
    rates : Rates or None
        The learning-rate range test, for `figure`.
    """

    findings: list[Finding]
    seconds: float = 0.0
    rates: Rates | None = None

    @property
    def broken(self) -> list[Finding]:
        """The findings whose verdict is "broken"."""
        return [f for f in self.findings if f.verdict == "broken"]

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.broken

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, check: str) -> Finding:
        """The finding of a check by its name.

        Raises
        ------
        KeyError
            If no check has this name.
        """
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    @property
    def summary(self) -> str:
        """The first line of the text."""
        counts = dict.fromkeys(ORDER, 0)
        for finding in self.findings:
            counts[finding.verdict] += 1
        parts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        return f"checkup: {parts} ({self.seconds:.1f} s)"

    def _sorted(self) -> list[Finding]:
        return sorted(self.findings, key=lambda f: ORDER.index(f.verdict))

    def __str__(self) -> str:
        return "\n".join([self.summary, *map(str, self._sorted())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A table, for notebooks: what is broken first."""
        rows = [(f.verdict, f.check, f.message, f.line, _advice(f)) for f in self._sorted()]
        head = ("verdict", "check", "observed", "line", "what to do")
        return markup.line("checkup", self.summary.partition(": ")[2]) + markup.table(
            head, rows, left=len(head)
        )

    def to_json(self) -> str:
        """The findings as JSON text: a dict with `ok`, `seconds`, `findings` and `rates`."""
        rates = None if self.rates is None else asdict(self.rates)
        found = [asdict(finding) for finding in self.findings]
        value = {"ok": self.ok, "seconds": self.seconds, "findings": found, "rates": rates}
        return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)

    def to_html(self) -> str:
        """A page that needs nothing else: no script, no style sheet, the picture inside."""
        picture = "" if self.rates is None else _rates_picture(self.rates)
        return (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Checkup</title>"
            "<style>:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, "
            "sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }</style></head>"
            f"<body><h1>Checkup</h1>{self._repr_html_()}{picture}</body></html>\n"
        )

    def html(self, path: str | Path) -> None:
        """Write the page of `to_html` to a file."""
        with atomic_write(path) as file:
            file.write(self.to_html().encode())

    def figure(self) -> Figure:
        """The learning-rate range test as a matplotlib figure: a symptom, not a cause.

        Raises
        ------
        ValueError
            If there was no time for the test, or the set-up could not be run.
        """
        if self.rates is None:
            raise ValueError("there is no learning-rate range test in this report")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([f * self.rates.own for f in self.rates.factors], self.rates.losses, marker=".")
        axes.axvline(self.rates.own, linestyle="--", label=f"yours, {self.rates.own:g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="A symptom, no cause")
        axes.legend()
        return figure


def _advice(finding: Finding) -> str:
    return finding.advice if finding.verdict == "broken" else ""


def _rates_picture(rates: Rates) -> str:
    """The range test as a drawing in the page."""
    known = [
        (math.log10(f), loss)
        for f, loss in zip(rates.factors, rates.losses, strict=True)
        if math.isfinite(loss)
    ]
    if len(known) < 2:
        return ""
    low, high = known[0][0], known[-1][0]
    least, most = min(loss for _, loss in known), max(loss for _, loss in known)
    most = min(most, least + 3 * max(known[0][1] - least, 0.1))

    def place(factor: float, loss: float) -> str:
        x = 40 + 520 * (factor - low) / (high - low or 1)
        y = 180 - 160 * (min(loss, most) - least) / (most - least or 1)
        return f"{x:.1f},{y:.1f}"

    points = " ".join(place(*point) for point in known)
    own = 40 + 520 * (0 - low) / (high - low or 1)
    caption = (
        f"Learning-rate range test: the loss ({least:.3g} to {most:.3g}) at {10**low:g} to "
        f"{10**high:g} times your rate (dashed, {rates.own:g}). It shows a symptom, not a cause."
    )
    return (
        "<figure><svg viewBox='0 0 600 200' role='img' style='max-width:40rem'>"
        f"<polyline points='{points}' fill='none' stroke='currentColor' stroke-width='2'/>"
        f"<line x1='{own:.1f}' x2='{own:.1f}' y1='10' y2='190' stroke='currentColor' "
        f"stroke-dasharray='4'/></svg><figcaption>{html_text.escape(caption)}</figcaption></figure>"
    )


def _plain(value: Any) -> Any:
    """As JSON has it: NumPy's numbers as Python's, what is not finite as text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, Sequence):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
