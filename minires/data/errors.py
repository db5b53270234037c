"""The one error of this package, and names in its text."""

from __future__ import annotations

from collections.abc import Iterable

from minires.files import FileError


class DataError(FileError):
    """Data is missing, damaged or not of the form asked for.

    The message names the file (or the argument), what was found there and what was wanted, on one
    line wherever possible, so that a command line can print it as it is.
    """


def listed(names: Iterable[str], most: int = 5) -> str:
    """Some names for a message: not more than it can hold, and no control characters of theirs."""
    everything = [name if name.isprintable() else repr(name) for name in names]
    more = f", and {len(everything) - most:,} more" if len(everything) > most else ""
    return ", ".join(everything[:most]) + more
