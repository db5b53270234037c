"""One launch for a whole expression on a GPU, where operators would take one each.

CuPy compiles the expression, a line of CUDA C++, for the dtypes that it meets. Arrays broadcast as
usual. What stands beside each use, written with operators, is the definition: it runs on NumPy, and
the tests hold the kernel against it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

Kernel = Callable[..., Any]


@cache
def fused(xp: ModuleType, inputs: str, outputs: str, body: str) -> Kernel | None:
    """A function of arrays and numbers, or None where `xp` compiles nothing.

    Parameters
    ----------
    xp : module
    inputs, outputs : str
        Parameters as in `cupy.ElementwiseKernel`: ``"T x, T y"``; equal letters are equal dtypes.
        An output is allocated, or passed after the inputs to be written in place.
    body : str
        Statements on one element of each.
    """
    compiler = getattr(xp, "ElementwiseKernel", None)
    return None if compiler is None else compiler(inputs, outputs, body, "minires_fused")
