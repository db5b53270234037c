"""What a gradient check found: as a truth value, as text, as a table with pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minires.gradcheck import pictures
from minires.gradcheck.comparison import Comparison
from minires.gradcheck.progress import shorter_way

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 5000
"""From how many evaluations a report names the mode that takes few."""


@dataclass(frozen=True)
class Report:
    """The outcome of a check; true if everything is right.

    Attributes
    ----------
    name : str
        Of what was checked.
    comparisons : tuple of Comparison
    problems : tuple of str
        What is wrong beside the values: not repeatable, inputs modified, an error in the backward.
    mode : str
    seed : int
    evaluations : int
        Calls of the function for numerical derivatives.
    seconds : float
    late : tuple of str
        Those of the problems that wrong values, if there are any, may explain.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...]
    mode: str
    seed: int
    evaluations: int
    seconds: float
    late: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.problems and all(c.passed for c in self.comparisons)

    def order_passed(self, order: int) -> bool | None:
        """Whether all of one order is right; None if nothing of it was compared."""
        passed = [c.passed for c in self.comparisons if c.order == order]
        problems = any(p.startswith(f"order {order}:") for p in self.problems)
        return None if not passed and not problems else all(passed) and not problems

    @property
    def worst_error(self) -> float:
        """The largest relative error of all comparisons."""
        return max((c.relative_error for c in self.comparisons), default=0.0)

    @property
    def hints(self) -> tuple[str, ...]:
        """What the errors look like."""
        return tuple(c.hint for c in self.comparisons if c.hint)

    @property
    def _early(self) -> list[str]:
        return [text for text in self.problems if text not in self.late]

    @property
    def summary(self) -> str:
        """The first line of the text."""
        outcome = "passed" if self else "FAILED"
        return (
            f"gradcheck of {self.name}: {outcome} ({self.mode}, {self.evaluations} evaluations, "
            f"{self.seconds:.2f} s, seed {self.seed})"
        )

    def __str__(self) -> str:
        lines = [self.summary]
        lines += [f"  WRONG {text}" for text in self._early]
        ordered = sorted(self.comparisons, key=lambda c: (c.order, c.passed))
        lines += [str(c) for c in ordered if not c.passed]
        lines += [f"  WRONG {text}" for text in self.late]
        lines += [str(c) for c in ordered if c.passed]
        if self.mode == "full" and self.evaluations >= MANY:
            lines.append(shorter_way(self.name, self.evaluations))
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A table with heat maps, for notebooks."""
        return pictures.as_html(self.summary, self.comparisons, self._early, self.late)

    def plot(self) -> Figure:
        """Heat maps of each comparison, analytic beside numeric and error: a matplotlib figure.

        The failed ones if there are any, eight at most.
        """
        return pictures.as_figure(self.summary, self.comparisons)
