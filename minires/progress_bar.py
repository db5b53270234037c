"""Progress bars on a terminal, and lines that do not run into them."""

from __future__ import annotations

import os
import sys
from typing import Any


def bar(*iterable: Any, **options: Any) -> Any:
    """tqdm's, gone when it is done; none where standard error is a file, a pipe or closed.

    A service, and a program without a console on Windows, has no standard error at all.
    """
    tqdm = progress_bars()
    usual: dict[str, Any] = {"leave": False, "disable": None}  # None: tqdm looks at the stream
    if sys.stderr is None:
        options["disable"] = True
    return tqdm(*iterable, **{**usual, **options})


def progress_bars() -> Any:
    """The class tqdm, imported late: it reads its settings in the environment as it is imported.

    Raises
    ------
    ValueError
        If one of them is wrong; the message names them.
    """
    try:
        from tqdm import tqdm
    except ValueError as error:
        settings = ", ".join(f"{k}={v}" for k, v in os.environ.items() if k.startswith("TQDM_"))
        raise ValueError(f"a setting of progress bars is wrong ({settings}): {error}") from error
    if sys.platform == "emscripten":
        tqdm.monitor_interval = 0  # of a thread that watches slow bars, and cannot start there
    return tqdm


def write(line: str) -> None:
    """A line on standard output, above the bars; nothing where that is closed."""
    tqdm = progress_bars()
    if sys.stdout is not None:
        tqdm.write(line)
        sys.stdout.flush()  # where the output goes to a file, somebody may be watching it
