"""One gradient held against its numerical twin: which entries are wrong, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np  # host arithmetic in float64

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Comparison:
    """One output's gradient with respect to one input, for the cotangent where it came out worst.

    Attributes
    ----------
    order : int
        Of the derivative.
    output, input : str
    analytic, numeric : array
        Of the input's shape; in directional mode the slopes along a few directions.
    tolerance : float
        The largest error allowed, the same for all entries.
    wrong : array of bool
        Entries with a larger error, those excused as kinks left out.
    excused : array of bool
        Entries at a kink where the analytic value lies between the one-sided slopes.
    too_many_kinks : bool
        Whether so many are excused that it proves nothing.
    directional : bool
        Whether entries are directions.
    hint : str or None
        The mistake that the error looks like.
    """

    order: int
    output: str
    input: str
    analytic: HostArray
    numeric: HostArray
    tolerance: float
    wrong: HostArray
    excused: HostArray
    too_many_kinks: bool
    directional: bool
    hint: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every entry is right, or excused and that rarely."""
        return not self.wrong.any() and not self.too_many_kinks

    @property
    def error(self) -> HostArray:
        """`|analytic - numeric|`, infinite where either is NaN."""
        with np.errstate(invalid="ignore"):
            difference = abs(self.analytic - self.numeric)
        return np.asarray(np.nan_to_num(difference, nan=np.inf))

    @property
    def worst(self) -> tuple[int, ...]:
        """The index of the largest error, excused entries left out; () if there are no entries."""
        if not self.error.size:
            return ()
        error = np.where(self.excused & ~self.excused.all(), -1, self.error)
        return tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))

    @property
    def relative_error(self) -> float:
        """The largest error that is not excused, over the largest numeric value.

        Of a gradient that is 0 up to the tolerance, the error itself.
        """
        if not self.error.size:
            return 0.0
        scale = np.where(np.isfinite(self.numeric), abs(self.numeric), 0).max()
        error = float(np.where(self.excused, 0, self.error).max())
        return error / float(scale) if scale > self.tolerance else error

    def with_hint(self, hint: str | None) -> Self:
        """The same with a hint."""
        return replace(self, hint=hint)

    def __str__(self) -> str:
        name = f"order {self.order}: {self.output} by {self.input}"
        kinks = int(self.excused.sum())
        excused = f", {kinks} of {self.excused.size} entries at kinks" if kinks else ""
        if self.passed:
            largest = float(np.where(self.excused, 0, self.error).max(initial=0))
            return f"  ok    {name}: error {largest:.1e}, tolerance {self.tolerance:.1e}{excused}"
        entries = "directions" if self.directional else "entries"
        lines = [f"  WRONG {name}" + ("" if self.directional else f", {list(self.wrong.shape)}")]
        if self.wrong.any():
            at = self.worst
            lines += [
                f"        {int(self.wrong.sum())} of {self.wrong.size} {entries} wrong{excused}; "
                f"worst at {list(at)}:",
                f"        analytic {self.analytic[at]: .10g}",
                f"        numeric  {self.numeric[at]: .10g}",
                f"        error    {self.error[at]: .3g}, tolerance {self.tolerance:.3g}",
            ]
        else:
            lines += [f"        too many{excused[1:]}: that proves nothing; check at another point"]
        if self.hint:
            lines.append(f"        hint: {self.hint}")
        return "\n".join(lines)
