"""Gradient clipping: keep one bad batch from throwing the parameters far away."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from minires.backend import Array, xp_of
from minires.from_pytorch import pytorchs_keywords
from minires.optim.options import number
from minires.tensors import Tensor


@pytorchs_keywords
def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0
) -> Tensor:
    r"""Scale all gradients together, in place, so that their joint norm is at most `max_norm`.

    With all gradients' numbers in one vector :math:`g`:

    .. math::
        g \leftarrow g \cdot \min(1, \mathrm{max\_norm} / (\lVert g \rVert_p + 10^{-6}))

    Parameters
    ----------
    parameters : iterable of Tensor, or Tensor
        Those without a gradient are passed over.
    max_norm : float
        The norm allowed, > 0.
    norm_type : float
        :math:`p`, > 0: 2 for the length, 1 for the sum of sizes, `inf` for the largest.

    Returns
    -------
    Tensor
        The norm before clipping: of no axes, on the gradients' device, in their dtype or, for
        float16, in float32. On a GPU nothing waits for it until you print it or turn it into a
        `float`. If it is NaN or infinite, so is what becomes of the gradients (NaN, or 0 where they
        were finite).

    Raises
    ------
    TypeError, ValueError
        If `max_norm` or `norm_type` is no positive number.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of training recurrent neural networks*,
    ICML 2013, algorithm 1.
    """
    limit = number("max_norm", max_norm, "(0, inf]")
    p = number("norm_type", norm_type, "(0, inf]")
    grads = _gradients(parameters)
    xp = xp_of(*grads)
    if not grads:
        return Tensor(xp.zeros((), "float32"))
    wide = [g.astype(xp.float32) if g.dtype == xp.float16 else g for g in grads]  # 300 * 300
    # no dot product: BLAS may share a long one among its threads, and round as their number has it
    if p == 2:
        norm = xp.sqrt(sum(xp.square(grad).sum() for grad in wide))
    elif p == inf:
        norm = xp.stack([abs(grad).max(initial=0) for grad in wide]).max()
    else:
        norm = sum((abs(grad) ** p).sum() for grad in wide) ** (1 / p)
    # The minimum is taken on the device: `if norm > limit` would wait for a GPU to catch up.
    scale = xp.minimum(limit / (norm + 1e-6), 1)
    for grad in grads:
        grad *= scale
    return Tensor(xp.asarray(norm))


@pytorchs_keywords
def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Clip every number of every gradient, in place, to [-clip_value, clip_value].

    Parameters
    ----------
    parameters : iterable of Tensor, or Tensor
        Those without a gradient are passed over.
    clip_value : float
        The size allowed, > 0.

    Raises
    ------
    TypeError, ValueError
        If `clip_value` is no positive number.
    """
    limit = number("clip_value", clip_value, "(0, inf]")
    for grad in _gradients(parameters):
        xp_of(grad).clip(grad, -limit, limit, out=grad)


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Array]:
    tensors = [parameters] if isinstance(parameters, Tensor) else parameters
    return [tensor.grad.data for tensor in tensors if tensor.grad is not None]
