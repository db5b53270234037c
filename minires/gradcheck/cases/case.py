"""What a declaration is made of: cases, and arrays to put into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np  # host randomness

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """One point at which a function's gradients are checked.

    Attributes
    ----------
    function : callable
        Called as `function(*inputs, **options)` with inputs as Tensors or arrays; an operation,
        a function of operations, or a Module.
    inputs : tuple
        Floating arrays are checked, anything else is passed through.
    options : dict
        Keywords.
    order : int
        The highest derivative that exists (and is meant to be right).
    """

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    order: int = 2

    @property
    def subject(self) -> Callable[..., Any]:
        """The function with its options, as `gradcheck` takes it."""
        return partial(self.function, **self.options) if self.options else self.function

    @property
    def size(self) -> int:
        """How many elements its inputs have, which is what a check costs."""
        return sum(getattr(value, "size", 0) for value in self.inputs)

    def __str__(self) -> str:
        shapes = [str(v.shape) if hasattr(v, "shape") else repr(v) for v in self.inputs]
        options = [f"{name}={_short(value)}" for name, value in self.options.items()]
        name = getattr(self.function, "__name__", None) or repr(self.function)
        return f"{name}({', '.join(shapes + options)})"


def case(function: Callable[..., Any], *inputs: Any, order: int = 2, **options: Any) -> Case:
    """A case, in short."""
    return Case(function, inputs, options, order)


def _short(value: Any) -> str:
    return f"array{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def normal(*shape: int, seed: int = 0) -> HostArray:
    """Normal values, the same for the same shape and seed."""
    return np.asarray(np.random.default_rng([seed, *shape]).normal(size=shape))


def chance(*lengths: int, seed: int = 0) -> HostArray:
    """Probabilities, not too near 0 and 1."""
    return np.asarray(np.random.default_rng([seed, *lengths]).uniform(0.1, 0.9, size=lengths))


def positive(*shape: int, seed: int = 0) -> HostArray:
    """Values between 0.5 and 2.5, for logarithms, roots, divisors and scales."""
    return np.asarray(np.random.default_rng([seed, *shape]).uniform(0.5, 2.5, size=shape))


def nonzero(*shape: int, seed: int = 0) -> HostArray:
    """Values of both signs, none nearer to 0 than 0.1, where some functions have a kink."""
    signs = np.random.default_rng([seed, *shape, 1]).choice([-1.0, 1.0], shape)
    return np.asarray(signs * (positive(*shape, seed=seed) - 0.4))


def apart(*shape: int, seed: int = 0) -> HostArray:
    """Values no two of which are nearer than 0.1, for maxima."""
    rng = np.random.default_rng([seed, *shape])
    count = int(np.prod(shape))
    return np.asarray((rng.permutation(count) - count // 2 + 0.25).reshape(shape) * 0.1)
