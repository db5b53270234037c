"""Initialisation, in place, with PyTorch's names. Draws come from `minires.random`, on the host."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from minires import random
from minires.from_pytorch import all_with_pytorchs_keywords, module_getattr
from minires.tensors import Tensor


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan-in, fan-out): how many values feed one output, and how many outputs one value feeds.

    For linear weights (in, out) and convolution weights (KH, KW, C / groups, O).

    Raises
    ------
    ValueError
        If the tensor has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"fan-in and fan-out want weights of 2 or more axes, got {tensor.shape}")
    window = math.prod(tensor.shape[:-2])
    return window * tensor.shape[-2], window * tensor.shape[-1]


_calculate_fan_in_and_fan_out = fans  # so scripts take it from PyTorch


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """The factor that keeps a signal's variance through a nonlinearity (He et al. 2015, eq. 15)."""
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + param**2)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}: one of {', '.join(gains)}")
    return gains[nonlinearity]


_skipping = ContextVar("skipping", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Inside, nothing is drawn: weights stay unset, for a network whose weights come from a file.

    Memory that is never written to is not taken either, so that a file which describes a network
    larger than its weights is refused before that network costs anything.
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def _fill(tensor: Tensor, draw: Callable[[np.random.Generator], np.ndarray]) -> Tensor:
    if tensor.dtype.kind != "f":
        raise TypeError(f"random numbers want a floating-point tensor, not one of {tensor.dtype}")
    if not _skipping.get():
        values = draw(random.generator()).astype(tensor.dtype)
        _written(tensor).copy_(values)
    return tensor


def _written(tensor: Any) -> Tensor:
    """The tensor; or one around the array that `weight.data` is, of the same memory."""
    return tensor if isinstance(tensor, Tensor) else Tensor(tensor)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Draw from a normal distribution; in place, returns the tensor."""
    return _fill(tensor, lambda rng: rng.normal(mean, std, tensor.shape))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Draw uniformly from [a, b); in place, returns the tensor."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        values = rng.uniform(a, b, tensor.shape).astype(tensor.dtype)
        end = tensor.dtype.type(b)  # which float16 and float32 are rounded to
        below: np.ndarray = np.minimum(values, np.nextafter(end, tensor.dtype.type(a)))
        return below

    return _fill(tensor, draw)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to `val`; in place, returns the tensor."""
    _written(tensor).fill_(val)
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return constant_(tensor, 1)


def _he_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out", got {mode!r}')
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"] or 1)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """He initialisation, normal with mean 0 and standard deviation gain / sqrt(fan).

    What goes through a layer and its ReLU then keeps its size forwards (with "fan_in", equation 10
    of the paper) or backwards ("fan_out", equation 14).

    Parameters
    ----------
    tensor : Tensor
        Filled in place, and returned; weights as in `fans`.
    a : float
        The leaky ReLU's slope; with 0 it is the ReLU's.
    mode : {"fan_in", "fan_out"}
    nonlinearity : str
        What follows the layer, as in `calculate_gain`.

    Raises
    ------
    ValueError
        If mode or nonlinearity is unknown, or the tensor has fewer than two axes.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, *Delving deep into rectifiers*, ICCV 2015,
    arXiv:1502.01852, section 2.2.
    """
    return normal_(tensor, 0.0, _he_std(tensor, a, mode, nonlinearity))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """He initialisation, uniform with the standard deviation of `kaiming_normal_`."""
    bound = math.sqrt(3) * _he_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Glorot initialisation, normal with standard deviation gain sqrt(2 / (fan_in + fan_out)).

    A compromise between keeping the size of what goes forwards and of what comes back, for layers
    followed by something that is linear near 0, such as tanh. Returns the tensor.

    References
    ----------
    X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010, equation 12.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(sum(fans(tensor)), 1)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Glorot initialisation, uniform with that of `xavier_normal_` (equation 16 of the paper)."""
    bound = gain * math.sqrt(6 / max(sum(fans(tensor)), 1))
    return uniform_(tensor, -bound, bound)


all_with_pytorchs_keywords(globals(), __name__)
if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn.init", __name__)
