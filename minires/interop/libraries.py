"""Libraries that only some conversions need."""

from __future__ import annotations

import importlib
from typing import Any


class MissingLibrary(ImportError):
    """A conversion needs a library that is not installed; the message says which."""


EXTRAS = {"h5py": "keras"}  # the extra of pyproject.toml that has it, where it is not interop


def optional(name: str) -> Any:
    """A module of a library that may not be installed.

    Raises
    ------
    MissingLibrary
        Naming the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise MissingLibrary(
            f"this needs the library {library}, which is not installed: "
            f"pip install 'minires[{EXTRAS.get(library, 'interop')}]'"
        ) from error
