"""ONNX nodes that move numbers and change none: functions of inputs, see `onnx_import_functions`.

What a shape, a list of axes or of places is may be a constant, or computed from the images' shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minires import ops
from minires.backend import to_device
from minires.interop.onnx_import_functions import Reader, Run
from minires.interop.onnx_nodes import Node
from minires.interop.onnx_values import (
    Value,
    as_array,
    as_tensor,
    graphs,
    graphs_shape,
    kept,
    kept_axis,
    number,
    whole,
)
from minires.interop.size_limits import check_size
from minires.tensors import Tensor


def _wanted(value: Value | None) -> tuple[int, ...]:
    found = whole(value)
    if found is None:
        raise ValueError("a list of numbers is missing")
    return found


def _places(axes: Sequence[int], ndim: int) -> list[int]:
    """Axes counted from the first on, each once."""
    if any(not -ndim <= axis < ndim for axis in axes) or len({a % ndim for a in axes}) < len(axes):
        raise ValueError(f"axes {tuple(axes)} of a tensor of {ndim} axes")
    return [axis % ndim for axis in axes]


# ---------------------------------------------------------------------- other shapes


def _reshape(x: Tensor, shape: Value, *, allowzero: bool = False) -> Tensor:
    wanted, own = list(_wanted(shape)), graphs_shape(x)
    if not allowzero:
        for i, n in enumerate(wanted):
            if n == 0:
                if i >= len(own):
                    raise ValueError(f"shape {tuple(wanted)} keeps axis {i} of {own}")
                wanted[i] = own[i]
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise ValueError(f"a shape of {tuple(wanted)}")
    if -1 in wanted:
        rest = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = x.size // rest if rest else 0
    return kept(graphs(x).reshape(*wanted))


def _flatten(x: Tensor, *, axis: int) -> Tensor:
    shape = graphs_shape(x)
    if not -x.ndim <= axis <= x.ndim:
        raise ValueError(f"axis {axis} of a tensor of {x.ndim} axes")
    first = axis if axis >= 0 else axis + x.ndim
    return graphs(x).reshape(math.prod(shape[:first]), math.prod(shape[first:]))


def _squeeze(x: Tensor, axes: Value | None = None) -> Tensor:
    shape, given = graphs_shape(x), whole(axes)
    ones = [i for i, n in enumerate(shape) if n == 1]
    gone = ones if given is None else _places(given, x.ndim)
    if not set(gone) <= set(ones):
        raise ValueError(f"axes {given} of shape {shape}")
    return kept(graphs(x).reshape([n for i, n in enumerate(shape) if i not in gone]))


def _unsqueeze(x: Tensor, axes: Value) -> Tensor:
    given = _wanted(axes)
    new = _places(given, x.ndim + len(given))
    rest = iter(graphs_shape(x))
    shape = [1 if i in new else next(rest) for i in range(x.ndim + len(new))]
    return kept(graphs(x).reshape(shape))


def _axes_of(run: Callable[..., Tensor]) -> Reader:
    """`run` with axes that older opsets have as an attribute, newer ones as an input."""

    def read(node: Node) -> Run:
        axes = node.numbers("axes")
        return run if axes is None else partial(run, axes=axes)

    return read


def _transpose(x: Tensor, *, perm: Any) -> Tensor:
    order = _places(range(x.ndim)[::-1] if perm is None else perm, x.ndim)
    if len(order) != x.ndim:
        raise ValueError(f"an order of {len(order)} axes for a tensor of {x.ndim}")
    return kept(graphs(x).transpose(*order)) if order else x


# ---------------------------------------------------------------------- several tensors


def _concat(*values: Value, axis: int) -> Tensor:
    like = next(v for v in values if isinstance(v, Tensor))
    tensors = [as_tensor(v, like) for v in values]
    place = kept_axis(axis, like.ndim)
    check_size((sum(t.size for t in tensors),))
    y: Tensor = ops.concatenate(tensors, axis=place)
    return y


def _split(x: Tensor, sizes: Value | None = None, *, axis: int, parts: int) -> tuple[Tensor, ...]:
    place = kept_axis(axis, x.ndim)
    length, given = x.shape[place], whole(sizes)
    if given is None:
        each = -(-length // parts)
        given = tuple(max(min(each, length - i * each), 0) for i in range(parts))
    if sum(given) != length or min(given) < 0:
        raise ValueError(f"parts of {given} of an axis of {length}")
    ends = np.cumsum(given)
    lead = (slice(None),) * place
    return tuple(x[(*lead, slice(int(e) - n, int(e)))] for n, e in zip(given, ends, strict=True))


def _read_split(node: Node) -> Run:
    parts, sizes = len(node.outputs), node.numbers("split")
    if node.get("num_outputs", parts) != parts:
        raise ValueError(f"num_outputs {node.get('num_outputs', parts)}, it has {parts}")
    run = partial(_split, axis=node.get("axis", 0), parts=parts)
    return run if sizes is None else partial(run, sizes=sizes)


# ---------------------------------------------------------------------- parts and copies


def _slice(
    x: Tensor, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None
) -> Tensor:
    first, last = _wanted(starts), _wanted(ends)
    along = _places(whole(axes) or range(len(first)), x.ndim)
    step = whole(steps) or (1,) * len(first)
    key, shape = [slice(None)] * x.ndim, graphs_shape(x)
    for start, end, axis, by in zip(first, last, along, step, strict=True):
        length = shape[axis]
        begin, stop = (n + length if n < 0 else n for n in (start, end))
        if by > 0:
            part = slice(min(max(begin, 0), length), min(max(stop, 0), length), by)
        else:
            begin, stop = min(max(begin, 0), length - 1), min(max(stop, -1), length - 1)
            part = slice(begin, None if stop < 0 else stop, by)
        key[kept_axis(axis, x.ndim)] = part
    return x[tuple(key)]


def _read_slice(node: Node) -> Run:
    starts, ends, axes = (node.numbers(name) for name in ("starts", "ends", "axes"))
    if starts is None or ends is None:
        return _slice
    return partial(_slice, starts=starts, ends=ends, axes=axes)


def _gather(x: Value, indices: Value, *, axis: int) -> Tensor:
    if not isinstance(x, Tensor):
        raise ValueError("places that are computed from pixels")
    places, shape = as_array(indices), graphs_shape(x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis {axis} of a tensor of {x.ndim} axes")
    axis %= x.ndim
    check_size((*shape[:axis], *places.shape, *shape[axis + 1 :]))
    places = to_device(places, x.device)
    return kept(ops.getitem(graphs(x), (*(slice(None),) * axis, places)))


def _expand(x: Tensor, shape: Value) -> Tensor:
    full = check_size(np.broadcast_shapes(graphs_shape(x), _wanted(shape)))
    return kept(ops.broadcast_to(graphs(x), shape=full))


def _along(x: Tensor, axis: int, places: Any) -> Tensor:
    """`x` at places, an array or a slice, along one of the graph's axes."""
    if not isinstance(places, slice):
        places = to_device(places, x.device)
    found: Tensor = ops.getitem(x, (*(slice(None),) * kept_axis(axis, x.ndim), places))
    return found


def _tile(x: Tensor, repeats: Value) -> Tensor:
    times, shape = _wanted(repeats), graphs_shape(x)
    if len(times) != x.ndim or min(times, default=0) < 0:
        raise ValueError(f"{times} copies of shape {shape}")
    check_size(n * t for n, t in zip(shape, times, strict=True))
    for axis, (n, t) in enumerate(zip(shape, times, strict=True)):
        if t != 1:
            x = _along(x, axis, np.tile(np.arange(n), t))
    return x


def _pad(x: Tensor, pads: Value, value: Any = None, axes: Value | None = None, *, mode: str) -> Any:
    widths, shape = _wanted(pads), graphs_shape(x)
    along = _places(range(x.ndim) if axes is None else _wanted(axes), x.ndim)
    if len(widths) != 2 * len(along):
        raise ValueError(f"{len(widths)} pads for {len(along)} axes")
    ends = dict(zip(along, zip(widths, widths[len(along) :], strict=False), strict=True))
    check_size(n + sum(ends.get(i, (0, 0))) for i, n in enumerate(shape))
    if mode != "constant":
        for axis, (before, after) in ends.items():
            if before or after:
                x = _along(x, axis, _reflected(shape[axis], before, after, mode))
        return x
    for axis, (before, after) in ends.items():  # a negative width cuts off
        if min(before, after) < 0:
            x = _along(x, axis, slice(max(-before, 0), shape[axis] + min(after, 0)))
    grown = [(0, 0)] * x.ndim
    for axis, pair in ends.items():
        grown[kept_axis(axis, x.ndim)] = (max(pair[0], 0), max(pair[1], 0))
    return ops.pad(x, width=tuple(grown), value=0.0 if value is None else number(value))


def _reflected(length: int, before: int, after: int, mode: str) -> Any:
    """Which places a padded axis shows."""
    if mode == "reflect" and max(before, after) >= length:
        raise ValueError(f"pads of {before} and {after} reflect an axis of {length}")
    places = np.pad(np.arange(length), (max(before, 0), max(after, 0)), mode)  # type: ignore[call-overload]
    return places[max(-before, 0) : len(places) + min(after, 0)]


def _read_pad(node: Node) -> Run:
    mode = node.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise node.refuse(f"padding of mode {mode!r}")
    run = partial(_pad, mode=mode)
    pads = node.numbers("pads")
    return run if pads is None else partial(run, pads=pads, value=node.get("value", 0.0))


# ---------------------------------------------------------------------- channels and pixels


def _depth_to_space(x: Tensor, *, size: int, by_column: bool) -> Tensor:
    n, c, h, w = graphs_shape(x)
    blocks = (c // size**2, size, size) if by_column else (size, size, c // size**2)
    y = graphs(x).reshape(n, *blocks, h, w)
    order = (0, 1, 4, 2, 5, 3) if by_column else (0, 3, 4, 1, 5, 2)
    return kept(y.transpose(*order).reshape(n, c // size**2, h * size, w * size))


def _read_depth_to_space(node: Node) -> Run:
    by_column = node.get("mode", "DCR") == "CRD"
    return partial(_depth_to_space, size=node.get("blocksize", 1), by_column=by_column)


SHAPES: dict[str, Reader] = {
    "Concat": lambda node: partial(_concat, axis=node.get("axis", 1)),
    "DepthToSpace": _read_depth_to_space,
    "Expand": lambda node: _expand,
    "Flatten": lambda node: partial(_flatten, axis=node.get("axis", 1)),
    "Gather": lambda node: partial(_gather, axis=node.get("axis", 0)),
    "Pad": _read_pad,
    "Reshape": lambda node: partial(_reshape, allowzero=bool(node.get("allowzero", 0))),
    "Slice": _read_slice,
    "Split": _read_split,
    "Squeeze": _axes_of(_squeeze),
    "Tile": lambda node: _tile,
    "Transpose": lambda node: partial(_transpose, perm=node.get("perm", None)),
    "Unsqueeze": _axes_of(_unsqueeze),
}
"""What makes a function that moves numbers out of a node."""
