"""minires: residual networks from scratch, on NumPy or CuPy."""

from minires import nn, ops
from minires.backend import use
from minires.backward import grad
from minires.engine import detect_nonfinite, enable_grad, no_grad
from minires.ops import concatenate, exp, log, matmul, maximum, minimum, sqrt, stack, where
from minires.random import manual_seed
from minires.tensor import Tensor

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "__version__",
    "concatenate",
    "detect_nonfinite",
    "enable_grad",
    "exp",
    "grad",
    "log",
    "manual_seed",
    "matmul",
    "maximum",
    "minimum",
    "nn",
    "no_grad",
    "ops",
    "sqrt",
    "stack",
    "use",
    "where",
]
