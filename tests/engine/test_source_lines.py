"""Errors and steppers name the line of the user's program, whatever the library calls inside."""

import numpy as np
import pytest

import minires
from minires import Tensor, nn, ops
from minires.nn import functional as F

CALLS = {
    "operator": lambda x: x * 2,
    "operation": lambda x: ops.exp(x),
    "method": lambda x: x.sum(axis=1),
    "PyTorch's method": lambda x: x.view(2, -1),
    "PyTorch's keyword": lambda x: x.sum(dim=1),
    "PyTorch's function": lambda x: minires.exp(x),
    "several tensors": lambda x: minires.cat([x, x]),
    "functional": lambda x: F.relu(x),
    "in a module of functional's own": lambda x: F.layer_norm(x, 3),
    "in another": lambda x: F.interpolate(x, scale_factor=2),
    "layer": lambda x: nn.BatchNorm2d(3)(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_line_is_the_callers(name):
    call = CALLS[name]
    y = call(Tensor(np.ones((2, 4, 4, 3)), requires_grad=True))
    assert y.node.line() == f"{__file__}:{call.__code__.co_firstlineno}"
