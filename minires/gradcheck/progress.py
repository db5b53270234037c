"""A long check shows how far it is, on a terminal, and which mode is the shorter way."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from minires.progress_bar import bar

DELAY = 1.5
"""After how many seconds a bar is shown: most checks are done before."""

LONG = 5.0
"""From how many seconds to come a full check is said to have a shorter way."""


class Progress:
    """Counts evaluations of the function; the bar vanishes when the check is done.

    Parameters
    ----------
    name : str
        Of what is checked.
    full : bool
        Whether every element is checked by itself.
    """

    def __init__(self, name: str, full: bool) -> None:
        self._name, self._full = name, full
        self._begin = time.perf_counter()
        self._done = self._expected = 0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def expect(self, evaluations: int) -> None:
        """So many more are to come."""
        self._expected = self._done + evaluations
        if self._bar is not None:
            self._bar.total = self._expected
            self._bar.refresh()

    def step(self) -> None:
        """One evaluation is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.total = max(self._bar.total, self._done)  # other steps are tried in between
            self._bar.update()
        elif time.perf_counter() - self._begin > DELAY:
            self._show()

    def _show(self) -> None:
        total = max(self._expected, self._done)
        self._bar = bar(
            total=total, initial=self._done, desc=f"gradcheck of {self._name}", unit=" evaluations"
        )
        passed = time.perf_counter() - self._begin
        if self._bar.disable or not self._full or passed / self._done * (total - self._done) < LONG:
            return
        self._bar.write(shorter_way(self._name, total), file=sys.stderr)


def shorter_way(name: str, evaluations: int) -> str:
    """What to do about a check that takes so many evaluations."""
    return (
        f"gradcheck of {name}: {evaluations:,} evaluations, two for every element; "
        'mode="directional" takes a few dozen, along random directions'
    )
