"""Broadcasting undone: a gradient in the shape of the operand that was stretched."""

from __future__ import annotations

from typing import Any

from minires.engine import Variable
from minires.errors import BackwardError
from minires.kernels import total


def unbroadcast(grad: Any, like: Any) -> Any:
    """A gradient in the shape and dtype of the argument that it belongs to; None stays None.

    It is summed over the axes that broadcasting stretched.
    """
    if grad is None or (grad.shape == like.shape and grad.dtype is like.dtype):
        return grad
    if grad.shape != like.shape:
        lead = grad.ndim - len(like.shape)
        stretched = tuple(
            i for i in range(grad.ndim) if i < lead or like.shape[i - lead] != grad.shape[i]
        )
        if lead < 0 or any(i >= lead and like.shape[i - lead] != 1 for i in stretched):
            raise BackwardError(
                f"its rule gave a gradient of shape {grad.shape}, its argument has {like.shape}"
            )
        boxed = isinstance(grad, Variable)  # whose sums are an operation
        grad = grad.sum(axis=stretched) if boxed else total(grad, stretched)
        grad = grad.reshape(like.shape)
    return grad if grad.dtype == like.dtype else grad.astype(like.dtype)
