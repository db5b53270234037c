"""Nonlinearities: ReLU and its relatives, sigmoid, tanh, and the softmax family."""

from __future__ import annotations

from minires import kernels
from minires.backend import Array, xp_of
from minires.dtypes import as_floating
from minires.engine import op, raw
from minires.kernels.machinery.half_precision import computed_in_float32
from minires.ops.arithmetic import exp, where


@op
def relu(x: Array) -> Array:
    """`max(x, 0)`; the derivative at 0 is 0 (Nair and Hinton 2010)."""
    return kernels.relu(x)


@relu.vjp
def relu_vjp(g: Array, out: Array) -> tuple[Array]:
    # out is 0 exactly where x <= 0, so x need not be kept; no derivative goes through the mask
    return (relu_gradient(g, raw(out)),)


@op
def relu_gradient(dy: Array, y: Array) -> Array:
    """`dy` where ReLU's output `y` is not 0, else 0."""
    return kernels.relu_gradient(dy, y)


@relu_gradient.vjp
def relu_gradient_vjp(g: Array, y: Array) -> tuple[Array, None]:
    return relu_gradient(g, y), None


@op
def leaky_relu(x: Array, *, negative_slope: float = 0.01) -> Array:
    """`x` where positive, else `negative_slope * x`, at 0 too (Maas et al. 2013)."""
    return xp_of(x).where(x > 0, x, x * negative_slope)


@leaky_relu.vjp
def leaky_relu_vjp(g: Array, x: Array, negative_slope: float) -> tuple[Array]:
    return (where(x > 0, g, g * negative_slope),)


@op
def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`; of a negative x `exp(x) / (1 + exp(x))`, which keeps its digits."""
    xp, x = xp_of(x), as_floating(x)
    e = xp.exp(-abs(x))
    return xp.where(x < 0, e, 1) / (1 + e)


@sigmoid.vjp
def sigmoid_vjp(g: Array, out: Array) -> tuple[Array]:
    return (g * out * (1 - out),)


@op
def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return xp_of(x).tanh(as_floating(x))


@tanh.vjp
def tanh_vjp(g: Array, out: Array) -> tuple[Array]:
    return (g * (1 - out * out),)


@op
@computed_in_float32(on="cpu and gpu")
def softmax(x: Array, *, axis: int = -1) -> Array:
    """`exp(x) / sum(exp(x))` along `axis`; the maximum is subtracted first, against overflow."""
    x = as_floating(x)
    if not x.size:  # nothing has no largest
        return xp_of(x).empty_like(x)
    e = xp_of(x).exp(x - x.max(axis=axis, keepdims=True))
    return e / kernels.total(e, axis, keepdims=True)


@softmax.vjp
def softmax_vjp(g: Array, out: Array, axis: int) -> tuple[Array]:
    weighted = g * out
    return (weighted - out * weighted.sum(axis=axis, keepdims=True),)


@op
@computed_in_float32(on="cpu and gpu")
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """`log(softmax(x))` along `axis`, without the underflow of taking the two in turn."""
    xp, x = xp_of(x), as_floating(x)
    if not x.size:
        return xp.empty_like(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(kernels.total(xp.exp(shifted), axis, keepdims=True))


@log_softmax.vjp
def log_softmax_vjp(g: Array, out: Array, axis: int) -> tuple[Array]:
    return (g - exp(out) * g.sum(axis=axis, keepdims=True),)
