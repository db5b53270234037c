"""Layer normalisation: over each sample's last axes."""

from __future__ import annotations

from minires.nn.functions.standardised import check_floating, scaled, standardised
from minires.tensors import Tensor


def layer_norm(
    input: Tensor,
    normalized_shape: int | tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation over the last axes: ``weight * (x - mean) / sqrt(var + eps) + bias``.

    Each sample, and each place in it, has a mean and a biased variance of its own, in training and
    in evaluation alike: nothing depends on the batch.

    Parameters
    ----------
    input : (..., normalized_shape)
    normalized_shape : int or tuple of int
        The axes that are normalised together; an integer means the last one alone.
    weight, bias : normalized_shape, optional
        Gain and bias; 1 and 0 where they are left out.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    Tensor
        Of the input's shape and dtype; float16 is computed in float32 and rounded at the end.

    Raises
    ------
    ValueError
        If a shape does not fit.
    TypeError
        If the input is not floating.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, *Layer normalization*, 2016, arXiv:1607.06450,
    equations 3 and 4.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"layer_norm wants (..., {wanted}), got {tuple(input.shape)}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"layer_norm wants a {name} of {shape}, got {tuple(tensor.shape)}")
    check_floating("layer_norm", input)
    out = standardised(input, tuple(range(-len(shape), 0)), eps)
    return scaled(out, weight, bias, input)
