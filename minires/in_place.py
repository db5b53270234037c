"""`inplace=True`: a tensor that becomes a result, without a write into memory."""

from __future__ import annotations

from typing import Any

from minires.tensors import Tensor


def becomes(x: Any, out: Any) -> Any:
    """`x`, which is `out` from now on: what `inplace=True` does, `x`'s place in the graph included.

    No array is overwritten, so no gradient is lost: views of `x`, and what shares its array, keep
    the old values.

    Raises
    ------
    ValueError
        If `x` is a leaf that requires a gradient, while operations are recorded.
    TypeError
        If `out` is of another dtype.
    """
    if out is x or not isinstance(x, Tensor):
        return out
    if x.dtype != out.dtype:
        raise TypeError(f"inplace: a result of {out.dtype} does not fit a tensor of {x.dtype}")
    if x.node is not None and out.node is None:  # under no_grad: the graph stays as it is
        return x.copy_(out)
    if x.node is not None and x.is_leaf:
        raise ValueError(
            "inplace=True: a leaf that requires a gradient is not changed in place while "
            "operations are recorded: leave inplace out, or use no_grad"
        )
    x.array, x.node = out.array, out.node
    return x
