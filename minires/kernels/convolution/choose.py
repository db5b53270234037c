"""Which algorithm computes a convolution: decided by its shape, never by timing.

The rules come from measurements on two-core machines with AVX2, against the other algorithms here;
`tests` and notebooks can force an algorithm with `use_algorithm`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np

from minires.backend import Array
from minires.kernels.convolution import (
    depthwise,
    gpu_rows,
    im2col,
    pointwise,
    winograd,
    winograd_1d,
)
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.cuda import convolution as cuda_convolution
from minires.kernels.machinery.blocks import Pair
from minires.kernels.machinery.epilogue import Epilogue

DEFAULT = ConvGeometry()

PACKING = 120
"""How many rows more a product seems to have, for the time that copying its weights takes."""

TRANSFORMS = 1.1
"""How much longer Winograd's products take with the transforms of the data."""

Pass = Literal["forward", "dx", "dw"]
"""The convolution or one of its gradients, as in `conv2d`, `conv2d_dx` and `conv2d_dw`."""


class Algorithm(NamedTuple):
    """The functions of one algorithm.

    Attributes
    ----------
    correlate : callable
        ``correlate(x, w, out, geometry, epilogue)``: the forward pass, and dx with swapped weights.
    weight_gradient : callable
        ``weight_gradient(x, g, kernel_size, geometry)``.
    why_not : callable
        ``why_not(problem)``: what keeps it from doing a convolution, or None.
    """

    correlate: Callable[[Array, Array, Array, ConvGeometry, Epilogue], None]
    weight_gradient: Callable[[Array, Array, Pair, ConvGeometry], Array]
    why_not: Callable[[Problem], str | None]


class Problem(NamedTuple):
    """A convolution, as far as the choice of an algorithm depends on it.

    Attributes
    ----------
    images : int
    size : (int, int)
        Height and width of the output.
    channels, filters : int
        Over all groups.
    kernel : (int, int)
    geometry : ConvGeometry
    dtype : numpy dtype
    device : str
        A GPU wants few launches.
    """

    images: int
    size: Pair
    channels: int
    filters: int
    kernel: Pair
    geometry: ConvGeometry
    dtype: Any
    device: str = "cpu"


class Choice(NamedTuple):
    """The name of an algorithm, and why it was chosen."""

    name: str
    reason: str


def _of_kernel(
    why_not: Callable[[Pair, ConvGeometry], str | None],
) -> Callable[[Problem], str | None]:
    return lambda problem: why_not(problem.kernel, problem.geometry)


def _winograd(m: int) -> Algorithm:
    def weight_gradient(x: Array, g: Array, kernel_size: Pair, geometry: ConvGeometry) -> Array:
        return winograd.weight_gradient(x, g, geometry, m)

    return Algorithm(
        partial(winograd.correlate, m=m), weight_gradient, _of_kernel(winograd.why_not)
    )


ARRAY_CODE: dict[str, Algorithm] = {
    "im2col": Algorithm(im2col.correlate, im2col.weight_gradient, lambda problem: None),
    "rows": Algorithm(gpu_rows.correlate, gpu_rows.weight_gradient, _of_kernel(gpu_rows.why_not)),
    "pointwise": Algorithm(
        pointwise.correlate, pointwise.weight_gradient, _of_kernel(pointwise.why_not)
    ),
    "depthwise": Algorithm(
        depthwise.correlate,
        depthwise.weight_gradient,
        lambda problem: depthwise.why_not(problem.channels, problem.filters, problem.geometry),
    ),
    "winograd1d": Algorithm(
        winograd_1d.correlate, winograd_1d.weight_gradient, _of_kernel(winograd_1d.why_not)
    ),
    "winograd2": _winograd(2),
    "winograd4": _winograd(4),
}
"""On NumPy and CuPy alike."""

ALGORITHMS = {
    **ARRAY_CODE,
    "cuda": Algorithm(
        cuda_convolution.correlate, cuda_convolution.weight_gradient, cuda_convolution.why_not
    ),
}
"""And the one for a GPU."""

_forced: ContextVar[str | None] = ContextVar("forced", default=None)


@contextmanager
def use_algorithm(name: str) -> Iterator[None]:
    """Have every convolution in a `with` block computed by one algorithm.

    Parameters
    ----------
    name : str
        A key of `ALGORITHMS`. A convolution that it cannot do raises a ValueError.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {name!r}: there are {', '.join(ALGORITHMS)}")
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def choose(problem: Problem, task: Pass) -> Choice:
    """The algorithm for a convolution, and why.

    Parameters
    ----------
    problem : Problem
        In the terms of the forward pass, also for its gradients.
    task : "forward", "dx" or "dw"

    Raises
    ------
    ValueError
        If `use_algorithm` forces one that cannot do it.
    """
    name = _forced.get()
    if name is None:
        if cuda_convolution.why_not(problem) is None and not _is_depthwise(problem):
            return Choice("cuda", "on a GPU in float32: one launch, nothing is laid out in memory")
        return _best(problem, task)
    if task != "dx":  # dx may be several convolutions, each of which is checked
        check(problem, name)
    return Choice(name, "use_algorithm asked for it")


def explain(
    x_shape: tuple[int, int, int, int],
    w_shape: tuple[int, int, int, int],
    *,
    geometry: ConvGeometry = DEFAULT,
    dtype: Any = np.float32,
    device: str = "cpu",
) -> dict[Pass, Choice]:
    """Which algorithms compute a convolution and its gradients, and why.

    Parameters
    ----------
    x_shape : (N, H, W, C)
    w_shape : (KH, KW, C/groups, O)
    geometry : ConvGeometry
    dtype : dtype
    device : str

    Returns
    -------
    dict
        A `Choice` for each of "forward", "dx" and "dw".

    Examples
    --------
    >>> same = ConvGeometry(padding=(1, 1))
    >>> explain((8, 56, 56, 64), (3, 3, 64, 64), geometry=same)["forward"].name
    'winograd1d'
    """
    kernel = w_shape[0], w_shape[1]
    size = geometry.output_size((x_shape[1], x_shape[2]), kernel)
    problem = Problem(x_shape[0], size, x_shape[3], w_shape[3], kernel, geometry, dtype, device)
    tasks: tuple[Pass, ...] = ("forward", "dx", "dw")
    return {task: choose(problem, task) for task in tasks}


def check(problem: Problem, name: str) -> None:
    """Raise a ValueError if the algorithm of that name cannot do a convolution."""
    obstacle = ALGORITHMS[name].why_not(problem)
    if obstacle is not None:
        raise ValueError(f"the {name} algorithm cannot do this convolution: {obstacle}")


@lru_cache(maxsize=1024)
def _best(problem: Problem, task: Pass) -> Choice:
    if np.dtype(problem.dtype) == np.float16:  # on a GPU: on the CPU it is computed in float32
        single = problem.kernel == (1, 1) and problem.geometry.groups == 1
        name = "pointwise" if single else "im2col"
        return Choice(name, "one product, whose sums are float32: nothing is added up in float16")
    if _is_depthwise(problem):
        return Choice("depthwise", "each group has one channel: there is no sum for a product")
    if problem.geometry.groups > 1:
        return Choice("im2col", "the only one that does groups")
    if problem.kernel == (1, 1):
        return Choice("pointwise", "a 1x1 kernel needs no lowering")
    if _winograd_1d_pays(problem, task):
        return Choice("winograd1d", "3 rows in float32, few channels: half the products, no copies")
    if (m := _winograd_tile(problem)) is not None:
        share = {2: "four ninths", 4: "a quarter"}[m]
        return Choice(f"winograd{m}", f"3x3 in float32, many channels: {share} of the products")
    inner = problem.filters if task == "dx" else problem.channels
    on_gpu = problem.device != "cpu"
    if on_gpu and gpu_rows.why_not(problem.kernel, problem.geometry) is None and 8 <= inner <= 32:
        return Choice("rows", "on a GPU, few large launches; lowering as little as they allow")
    return Choice("im2col", "one product with long rows, whatever the stride")


def _is_depthwise(problem: Problem) -> bool:
    return depthwise.why_not(problem.channels, problem.filters, problem.geometry) is None


def _winograd_1d_pays(problem: Problem, task: Pass) -> bool:
    if winograd_1d.why_not(problem.kernel, problem.geometry) is not None or problem.device != "cpu":
        return False
    fewest, product = min(problem.channels, problem.filters), problem.channels * problem.filters
    most = 64 if task == "dw" else 128  # or the matrices would be low, or copied; see `turns`
    few = fewest <= 32 or product <= most * most
    return few and problem.size[0] > 2 and np.dtype(problem.dtype) == np.float32


def _winograd_tile(problem: Problem) -> int | None:
    """For tiles of how many outputs each way Winograd's products take the least; None: it is more.

    By each place's matrix of weights a product multiplies all tiles; before, the matrix is
    transformed and copied into BLAS's order, which takes as long as multiplying `PACKING` more.
    """
    fewest = min(problem.channels, problem.filters)
    if winograd.why_not(problem.kernel, problem.geometry) is not None or fewest < 48:
        return None
    if np.dtype(problem.dtype) != np.float32:
        return None
    (height, width), images = problem.size, problem.images
    tiles = {m: images * -(-height // m) * -(-width // m) for m in (2, 4)}
    takes = {m: TRANSFORMS * (m + 2) ** 2 * (PACKING + count) for m, count in tiles.items()}
    best = min(takes, key=lambda m: takes[m])
    return best if takes[best] < 9 * (PACKING + images * height * width) else None
