"""minires: residual networks from scratch, on NumPy or CuPy."""

import sys

from minires import starting  # noqa: F401

# isort: split
from minires import data, models, nn, ops, optim, training, viz
from minires.backend import use
from minires.compile import compile
from minires.engine import enable_grad, no_grad
from minires.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minires.gradients import grad
from minires.nonfinite import detect_nonfinite
from minires.ops import concatenate, exp, log, matmul, maximum, minimum, sqrt, stack, where
from minires.overwrites import detect_overwrites
from minires.profiler import profile
from minires.random import manual_seed
from minires.tensors import Tensor
from minires.training import fit, load, save

__version__ = "0.1.0"

sys.modules["minires.tensor"] = sys.modules["minires.tensors"]  # where Tensor was in 0.1

__all__ = [
    "GradcheckError",
    "Tensor",
    "__version__",
    "compile",
    "concatenate",
    "data",
    "detect_nonfinite",
    "detect_overwrites",
    "enable_grad",
    "exp",
    "fit",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "load",
    "log",
    "manual_seed",
    "matmul",
    "maximum",
    "minimum",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "profile",
    "save",
    "sqrt",
    "stack",
    "training",
    "use",
    "viz",
    "where",
]
