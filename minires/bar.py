"""Progress bars: on a terminal, and nowhere else."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def bar(*iterable: Any, **options: Any) -> Any:
    """tqdm's, gone when it is done; none where standard error is a file, a pipe or closed.

    A service, and a program without a console on Windows, has no standard error at all.
    """
    usual: dict[str, Any] = {"leave": False, "disable": None}  # None: tqdm looks at the stream
    if sys.stderr is None:
        options["disable"] = True
    return tqdm(*iterable, **{**usual, **options})
