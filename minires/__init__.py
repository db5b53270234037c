"""minires: residual networks from scratch, on NumPy or CuPy."""

import sys
from typing import TYPE_CHECKING

from minires import keyboard_interrupt  # noqa: F401

# isort: split
from numpy import dtype as _dtype

from minires import cuda, data, models, nn, ops, optim, training
from minires.backend import device, use
from minires.checks import Setup, checkup, watch
from minires.compile import compile
from minires.creation import (
    arange,
    as_tensor,
    cat,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    hstack,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    stack,
    tensor,
    vstack,
    zeros,
    zeros_like,
)
from minires.from_pytorch import module_getattr
from minires.from_pytorch.imports import find_pytorchs_modules
from minires.grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from minires.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minires.gradients import grad
from minires.kernels import get_num_threads, set_num_threads
from minires.nn.functional import relu, sigmoid, softmax, tanh
from minires.nonfinite import detect_nonfinite
from minires.ops import (
    concatenate,
    exp,
    log,
    matmul,
    maximum,
    minimum,
    sqrt,
    where,
)
from minires.overwrites import detect_overwrites
from minires.profiler import profile
from minires.random import manual_seed
from minires.tensors import Tensor
from minires.torch_functions import *  # noqa: F403
from minires.training import fit, load, save

__version__ = "0.1.0"

inference_mode = no_grad
float16, float32, float64 = map(_dtype, ("float16", "float32", "float64"))
uint8, int16, int32, int64, bool_ = map(_dtype, ("uint8", "int16", "int32", "int64", "bool"))
half, float, double = float16, float32, float64  # PyTorch's names
short, int, long, bool = int16, int32, int64, bool_

find_pytorchs_modules()
sys.modules["minires.tensor"] = sys.modules["minires.tensors"]  # where Tensor was in 0.1

if TYPE_CHECKING:  # a type checker knows that an unknown name is wrong
    from minires import interop, utils, viz
else:
    __getattr__ = module_getattr("torch", __name__, later=("interop", "utils", "viz"))


def __dir__() -> list[str]:
    return sorted({*globals(), "interop", "utils", "viz"})


__all__ = [
    "GradcheckError",
    "Setup",
    "Tensor",
    "__version__",
    "arange",
    "as_tensor",
    "cat",
    "checkup",
    "compile",
    "concatenate",
    "cuda",
    "data",
    "detect_nonfinite",
    "detect_overwrites",
    "device",
    "empty",
    "empty_like",
    "enable_grad",
    "exp",
    "eye",
    "fit",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "full_like",
    "get_num_threads",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hstack",
    "inference_mode",
    "int32",
    "int64",
    "interop",
    "is_grad_enabled",
    "linspace",
    "load",
    "log",
    "manual_seed",
    "matmul",
    "maximum",
    "minimum",
    "models",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "ops",
    "optim",
    "profile",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "relu",
    "save",
    "set_grad_enabled",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "sqrt",
    "stack",
    "tanh",
    "tensor",
    "training",
    "uint8",
    "use",
    "utils",
    "viz",
    "vstack",
    "watch",
    "where",
    "zeros",
    "zeros_like",
]
