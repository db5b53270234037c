"""Which algorithm computes a convolution whose weights are constant, and the jobs that do it.

Weights are laid out once: Winograd's transforms, and panels that BLAS need not copy. So tiles pay
earlier than in `kernels.convolution.choose`, whose weights may change at each call. The choice
follows from shapes by a model of the work, never from timing: the same bits each time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minires.backend import Array, device_of, xp_of
from minires.kernels.convolution import winograd, winograd_1d
from minires.kernels.convolution.choose import ALGORITHMS, Choice, Problem, choose
from minires.kernels.convolution.geometry import ConvGeometry, windows
from minires.kernels.machinery import panels
from minires.kernels.machinery.blocks import Pair
from minires.kernels.machinery.epilogue import BiasResidualReLU
from minires.kernels.machinery.padding import zero_extended
from minires.kernels.machinery.workspace import scratch

Job = Callable[[], None]
Finish = Callable[[Array, slice], BiasResidualReLU]
"""``finish(part, rows)`` for a part of the output, of all images but some rows only."""

FEW_ROWS = 8
"""How many rows more a product seems to have, for what it takes with very few."""

PACKING = 120
"""The same where BLAS copies the weights into its own order first."""

WORTH_SHARING = 1 << 23
"""Fewer multiplications than this take less time than waking a thread."""


def choose_constant(x: Array, w: Array, out: Array, geometry: ConvGeometry) -> Choice:
    """The algorithm for a convolution with constant weights, and why."""
    kernel, size = (w.shape[0], w.shape[1]), (out.shape[1], out.shape[2])
    C, O = x.shape[3], w.shape[3]
    problem = Problem(len(x), size, C, O, kernel, geometry, x.dtype, device_of(x))
    usual = choose(problem, "forward")
    if x.dtype != np.float32 or problem.device != "cpu" or geometry.groups > 1:
        return usual
    positions = len(x) * size[0] * size[1]
    few = panels.lay_deep(np.empty((kernel[0] * kernel[1] * C, O), np.float32), positions)
    lowered = Choice("panels", "few positions: weights in panels, which BLAS does not copy")
    if kernel == (3, 3) and geometry.why_not_plain() is None:
        if usual.name == "winograd1d" and (C * O <= 64 * 64 or not panels.reads_in_place()):
            return usual
        takes = {m: _tiles_take(problem, m) for m in (2, 4)}
        m = min(takes, key=takes.__getitem__)
        if takes[m] < 9 * (positions * (1 + 4 / O) + (PACKING if few is None else FEW_ROWS)):
            saved = {2: "16 multiplications for 36", 4: "36 for 144"}[m]
            return Choice(f"winograd{m}", f"weights transformed once: {saved}")
        usual = Choice("im2col", "fewer positions than tiles would pay for")
    return usual if few is None else lowered


def _tiles_take(problem: Problem, m: int) -> float:
    """The time of Winograd's tiles, in rows of a product of C by O weights."""
    (height, width), C, O = problem.size, problem.channels, problem.filters
    tiles, places = problem.images * -(-height // m) * -(-width // m), (m + 2) ** 2
    laid = panels.lay(np.empty((C, O), np.float32), tiles).ndim == 3
    before = FEW_ROWS if laid else PACKING
    return places * (tiles + before) + tiles * places * (places / O + m * m / C)


def jobs(
    choice: Choice,
    x: Array,
    w: Array,
    out: Array,
    geometry: ConvGeometry,
    finish: Finish,
    shared: bool,
    laid: dict[Any, Any],
) -> list[Job]:
    """What computes `out`: one job, or two that may run at the same time, of half the rows each."""
    m = int(choice.name[-1]) if choice.name in ("winograd2", "winograd4") else 1
    cut = -(-out.shape[1] // (2 * m)) * m  # whole tiles
    work = out.size * w[..., 0].size
    if not shared or cut >= out.shape[1] or work < WORTH_SHARING or xp_of(x) is not np:
        return [_job(choice.name, x, w, out, geometry, finish(out, slice(None)), laid)]
    parts = []
    for first, last in ((0, cut), (cut, out.shape[1])):
        part, (top, left) = out[:, first:last], geometry.padding
        moved = geometry._replace(padding=(top - first * geometry.stride[0], left))
        epilogue = finish(part, slice(first, last))
        parts.append(_job(choice.name, x, w, part, moved, epilogue, laid))
    return parts


def _job(
    name: str,
    x: Array,
    w: Array,
    out: Array,
    geometry: ConvGeometry,
    epilogue: BiasResidualReLU,
    laid: dict[Any, Any],
) -> Job:
    """One job, whose weights are laid out here, once: `laid` knows those that are already."""

    def once(how: Any, make: Callable[[], Any]) -> Any:
        key = id(w), how
        return laid[key] if key in laid else laid.setdefault(key, make())

    if name in ("winograd2", "winograd4"):
        m = int(name[-1])
        tiles = len(x) * -(-out.shape[1] // m) * -(-out.shape[2] // m)
        kernels = once(m, lambda: winograd.prepare(w, m))
        kernels = once((m, tiles), lambda: panels.lay(kernels, tiles))
        return partial(winograd.correlate_prepared, x, kernels, out, geometry, epilogue, m)
    if name == "winograd1d":
        taps = once(name, lambda: winograd_1d.prepare(w))
        return partial(winograd_1d.correlate_prepared, x, taps, out, geometry, epilogue)
    if name == "panels":
        positions = out[..., 0].size
        deep = once(positions, lambda: panels.lay_deep(w.reshape(-1, w.shape[3]), positions))
        if deep is not None:
            return partial(_by_panels, x, deep, (w.shape[0], w.shape[1]), out, geometry, epilogue)
        name = "pointwise" if w.shape[:2] == (1, 1) else "im2col"
    return partial(ALGORITHMS[name].correlate, x, w, out, geometry, epilogue)


def _by_panels(
    x: Array,
    laid: Array,
    kernel: Pair,
    out: Array,
    geometry: ConvGeometry,
    epilogue: BiasResidualReLU,
) -> None:
    """im2col of all positions at once, by weights from `panels.lay_deep`."""
    Ho, Wo, O = out.shape[1:]
    rows, columns = geometry.rows(0, Ho, kernel[0]), geometry.columns(Wo, kernel[1])
    piece = zero_extended(x, np, slice(None), rows, columns)
    view = windows(piece, np, kernel, (Ho, Wo), geometry)
    lowered = view
    if not view.flags.c_contiguous:
        lowered = scratch(np, "columns", view.shape, x.dtype)
        lowered[...] = view
    flat = out if out.flags.c_contiguous else scratch(np, "product", out.shape, out.dtype)
    panels.matmul_deep(lowered.reshape(len(x) * Ho * Wo, -1), laid, flat.reshape(-1, O))
    if flat is not out:
        out[...] = flat
    epilogue(slice(None))
