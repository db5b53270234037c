"""Gradient checks that cannot be fooled: analytic gradients against finite differences.

    >>> report = gradcheck(layer, [x])  # raises GradcheckError if something is wrong
    >>> report = gradcheck(layer, [x], raise_exception=False)  # look at it instead

The numerical side runs on the host in NumPy, in float64 always; what is checked may be on a GPU.
`cases` and `command`, which check the library itself, stand above `nn` and are imported by the
command line only.
"""

from minires.gradcheck.check import GradcheckError, gradcheck, gradgradcheck
from minires.gradcheck.comparison import Comparison
from minires.gradcheck.report import Report

__all__ = ["Comparison", "GradcheckError", "Report", "gradcheck", "gradgradcheck"]
