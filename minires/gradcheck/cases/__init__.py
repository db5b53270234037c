"""Declarations: for every operation and layer the cases in which its gradients are checked.

A test fails when an operation of `minires.ops` or a layer of `minires.nn` has none.
"""

from minires.gradcheck.cases.case import Case
from minires.gradcheck.cases.layers import LAYERS
from minires.gradcheck.cases.operations import OPERATIONS

__all__ = ["LAYERS", "OPERATIONS", "Case"]
