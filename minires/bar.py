"""Progress bars on a terminal, and lines that do not run into them."""

from __future__ import annotations

import sys
from typing import Any


def bar(*iterable: Any, **options: Any) -> Any:
    """tqdm's, gone when it is done; none where standard error is a file, a pipe or closed.

    A service, and a program without a console on Windows, has no standard error at all.
    """
    from tqdm import tqdm  # which reads its settings in the environment as it is imported

    usual: dict[str, Any] = {"leave": False, "disable": None}  # None: tqdm looks at the stream
    if sys.stderr is None:
        options["disable"] = True
    return tqdm(*iterable, **{**usual, **options})


def write(line: str) -> None:
    """A line on standard output, above the bars; nothing where that is closed."""
    from tqdm import tqdm

    if sys.stdout is not None:
        tqdm.write(line)
        sys.stdout.flush()  # where the output goes to a file, somebody may be watching it
