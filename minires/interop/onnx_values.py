"""The two kinds of values in a loaded ONNX graph, and the order of their axes.

- A Tensor holds numbers that depend on the images' pixels, or a weight. ONNX has channels first.
  Here every Tensor of four axes is kept with its second axis last, and every other one in the
  graph's own order: a Tensor's rank says how it is kept.
- An array holds what is not differentiated: shapes and what is computed of them, whole numbers,
  masks. It is on the host and always in the graph's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.backend import to_host
from minires.tensors import Tensor

KEPT = (0, 2, 3, 1)  # the axes of the graph, in the order in which four are kept
GRAPHS = (0, 3, 1, 2)  # and back

Value = Tensor | NDArray[Any]


def kept(x: Tensor) -> Tensor:
    """A Tensor in the graph's order, as it is kept."""
    return x.transpose(*KEPT) if x.ndim == 4 else x


def graphs(x: Tensor) -> Tensor:
    """A Tensor as it is kept, in the graph's order."""
    return x.transpose(*GRAPHS) if x.ndim == 4 else x


def graphs_shape(x: Value) -> tuple[int, ...]:
    """The shape that a value has in the graph."""
    shape = tuple(x.shape)
    return tuple(shape[i] for i in GRAPHS) if isinstance(x, Tensor) and len(shape) == 4 else shape


def kept_axis(axis: int, ndim: int) -> int:
    """Where an axis of the graph's is found in a Tensor of `ndim` axes.

    Raises
    ------
    ValueError
        If there is no such axis.
    """
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} of a tensor of {ndim} axes")
    return KEPT.index(axis % ndim) if ndim == 4 else axis % ndim


def as_tensor(value: Value, like: Tensor) -> Tensor:
    """A value as a Tensor beside `like`: on its device, and kept as Tensors are."""
    if isinstance(value, Tensor):
        return value
    return kept(Tensor(widened(value)).to(like.device))


def as_array(value: Value) -> NDArray[Any]:
    """A value on the host, in the graph's order."""
    return to_host(graphs(value.detach()).data) if isinstance(value, Tensor) else value


def aligned(values: Sequence[Value]) -> list[Tensor]:
    """Tensors of one rank, so that they broadcast as they do in the graph.

    There shapes are compared from the last axis on, which a Tensor of four axes has elsewhere.
    """
    like = next(v for v in values if isinstance(v, Tensor))
    tensors = [as_tensor(v, like) for v in values]
    ndim = max(t.ndim for t in tensors)
    if all(t.ndim == ndim for t in tensors):
        return tensors
    same = [graphs(t) for t in tensors]
    same = [t.reshape((1,) * (ndim - t.ndim) + t.shape) for t in same]
    return [kept(t) for t in same]


def broadcast(function: Callable[..., Tensor], *values: Value) -> Tensor:
    """`function` of values that broadcast as in the graph."""
    return function(*aligned(values))


def along_channels(vector: Value, x: Tensor) -> Tensor:
    """One number a channel, to be broadcast with `x`: the channels are the graph's second axis."""
    vector = as_tensor(vector, x)
    if x.ndim in (2, 4):  # where it is the last one here
        return vector
    return vector.reshape(-1, *(1,) * (x.ndim - 2))


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers of half precision as float32, in which everything is computed here."""
    narrow = array.dtype == np.float16 or array.dtype.name == "bfloat16"
    return array.astype(np.float32) if narrow else array


def whole(value: Value | None) -> tuple[int, ...] | None:
    """The whole numbers of a shape or a list of axes."""
    return None if value is None else tuple(int(n) for n in np.ravel(as_array(value)))


def number(value: Any) -> float:
    """The one number of a value, or a Python number as it is."""
    return float(np.ravel(as_array(value))[0]) if hasattr(value, "shape") else float(value)
