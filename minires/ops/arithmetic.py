"""Arithmetic with broadcasting. The engine sums gradients over the axes that were stretched."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minires import kernels
from minires.backend import Array, xp_of
from minires.dtypes import as_floating, unpromoted
from minires.engine import arithmetic_op, op
from minires.kernels.machinery.half_precision import computed_in_float32


@arithmetic_op
def add(x: Array, y: Array) -> Array:
    """`x + y`."""
    return kernels.add(x, y)


@add.vjp
def add_vjp(g: Array) -> tuple[Array, Array]:
    return g, g


@arithmetic_op
def subtract(x: Array, y: Array) -> Array:
    """`x - y`."""
    return x - y


@subtract.vjp
def subtract_vjp(g: Array, needs: Sequence[bool]) -> tuple[Array, Array | None]:
    return g, -g if needs[1] else None


@arithmetic_op
def multiply(x: Array, y: Array) -> Array:
    """`x * y`, element by element."""
    return x * y


@multiply.vjp
def multiply_vjp(
    g: Array, x: Array, y: Array, needs: Sequence[bool]
) -> tuple[Array | None, Array | None]:
    return g * y if needs[0] else None, g * x if needs[1] else None


multiply.bilinear = True


@arithmetic_op
def divide(x: Array, y: Array) -> Array:
    """`x / y`."""
    return x / y


@divide.vjp
def divide_vjp(g: Array, y: Array, out: Array, needs: Sequence[bool]) -> tuple[Array, Array | None]:
    dx = g / y
    return dx, -dx * out if needs[1] else None


@arithmetic_op
def negative(x: Array) -> Array:
    """`-x`."""
    return -x


@negative.vjp
def negative_vjp(g: Array) -> tuple[Array]:
    return (-g,)


@op
def power(x: Array, y: Array) -> Array:
    """`x ** y`."""
    return x**y


@power.vjp
def power_vjp(
    g: Array, x: Array, y: Array, out: Array, needs: Sequence[bool]
) -> tuple[Array | None, Array | None]:
    dx = dy = None
    if getattr(y, "dtype", g.dtype).kind == "u":
        y = y.astype("float32")  # 0 - 1 is 255
    if needs[0]:  # x ** 0 is constant, and 0 * 0 ** -1 would be NaN
        at_zero = y == 0 if isinstance(y, int | float) else (x == 0) & (y == 0)
        dx = g * y * x ** (y - 1 + at_zero)
    if needs[1]:  # the derivative at 0 ** y is taken as 0, where 0 * log(0) would be NaN
        dy = g * out * log(where(x == 0, 1.0, x))
    return dx, dy


@op
def maximum(x: Array, y: Array) -> Array:
    """The larger of `x` and `y`, element by element; in a tie each gets half of the gradient."""
    return xp_of(x, y).maximum(x, y)


@maximum.vjp
def maximum_vjp(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    return _share(g, x > y, x == y), _share(g, y > x, x == y)


@op
def minimum(x: Array, y: Array) -> Array:
    """The smaller of `x` and `y`, element by element; in a tie each gets half of the gradient."""
    return xp_of(x, y).minimum(x, y)


@minimum.vjp
def minimum_vjp(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    return _share(g, x < y, x == y), _share(g, y < x, x == y)


def _share(g: Array, own: Array, tied: Array) -> Array:
    """The gradient where the value is one's own, half of it where it is the other's too."""
    share: Array = where(own, g, where(tied, g * 0.5, 0.0))
    return share


@op
def where(condition: Array, x: Array, y: Array) -> Array:
    """`x` where `condition` holds, else `y`. The condition gets no gradient."""
    out: Array = xp_of(condition, x, y).where(condition, x, y)
    return unpromoted(out, (x, y)) if out.ndim else out  # numbers may be what a rule computed


@where.vjp
def where_vjp(
    g: Array, condition: Array, needs: Sequence[bool]
) -> tuple[None, Array | None, Array | None]:
    return (
        None,
        where(condition, g, 0.0) if needs[1] else None,
        where(condition, 0.0, g) if needs[2] else None,
    )


@op
def exp(x: Array) -> Array:
    """`e ** x`."""
    return xp_of(x).exp(as_floating(x))


@exp.vjp
def exp_vjp(g: Array, out: Array) -> tuple[Array]:
    return (g * out,)


@op
def log(x: Array) -> Array:
    """The natural logarithm."""
    return xp_of(x).log(as_floating(x))


@log.vjp
def log_vjp(g: Array, x: Array) -> tuple[Array]:
    return (g / x,)


@op
def sqrt(x: Array) -> Array:
    """The square root."""
    return xp_of(x).sqrt(as_floating(x))


@sqrt.vjp
def sqrt_vjp(g: Array, out: Array) -> tuple[Array]:
    return (g * 0.5 / out,)


@op
@computed_in_float32(on="cpu and gpu")
def erf(x: Array) -> Array:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to `x`."""
    return kernels.erf(as_floating(x))


@erf.vjp
def erf_vjp(g: Array, x: Array) -> tuple[Array]:
    return (g * exp(-(x * x)) * (2 / math.sqrt(math.pi)),)


@op
def absolute(x: Array) -> Array:
    """`|x|`; the derivative at 0 is 0."""
    return abs(x)


@absolute.vjp
def absolute_vjp(g: Array, x: Array) -> tuple[Array]:
    return (g * sign(x),)


@op
def sign(x: Array) -> Array:
    """-1, 0 or 1; its derivative is 0 everywhere."""
    return xp_of(x).sign(x)


@sign.vjp
def sign_vjp(g: Array) -> tuple[None]:
    return (None,)


@op
def clip(x: Array, *, low: float | None = None, high: float | None = None) -> Array:
    """`x` held between `low` and `high`; the bounds themselves still pass the gradient."""
    if low is None and high is None:
        raise ValueError("clip wants low, high or both")
    return xp_of(x).clip(x, low, high)


@clip.vjp
def clip_vjp(g: Array, x: Array, out: Array) -> tuple[Array]:
    return (where(x == out, g, 0.0),)


@op
def astype(x: Array, *, dtype: object) -> Array:
    """`x` in another dtype; the gradient comes back in `x`'s."""
    return x.astype(dtype)


@astype.vjp
def astype_vjp(g: Array) -> tuple[Array]:
    return (g,)  # the engine gives a gradient its argument's dtype
