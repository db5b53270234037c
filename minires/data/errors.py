"""The one error of this package."""

from __future__ import annotations


class DataError(ValueError):
    """Data is missing, damaged or not of the form asked for.

    The message names the file (or the argument), what was found there and what was wanted, on one
    line wherever possible, so that a command line can print it as it is.
    """
