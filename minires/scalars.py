"""0-d arrays as NumPy's scalars, for which Python's operators take a tenth of the time.

An `arithmetic_op` does nothing but arithmetic with Python's operators, and so does its rule: both
are given scalars instead of 0-d arrays of floating-point numbers on the host. Nobody else gets to
see these: results become arrays again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_LISTS = {list, tuple}


def safe_as_scalars(args: Sequence[Any]) -> bool:
    """Whether arrays of no axes among an operation's arguments may go as scalars.

    With a GPU about, a scalar would hide that its array was on the host; a list would mean
    something else by `*`. (An array without a gradient stays one in any case: a scalar integer
    would warn if it overflowed.)
    """
    return "cupy" not in sys.modules and _LISTS.isdisjoint(map(type, args))


def as_array(value: Any) -> Any:
    """A NumPy scalar as the array of no axes that it was; anything else as it is."""
    return np.asarray(value) if isinstance(value, np.generic) else value
