"""Group normalisation: over groups of each sample's channels."""

from __future__ import annotations

import math

from minires.nn.functions.standardised import check_floating, scaled, standardised
from minires.tensors import Tensor


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Group normalisation: each sample's channels in groups, each with its mean and variance.

    With one group it normalises a whole sample; with as many as channels each channel of each
    sample, which is instance normalisation. Nothing depends on the batch.

    Parameters
    ----------
    input : (N, ..., C)
        Channels last.
    num_groups : int
        A divisor of C; a group is C / num_groups neighbouring channels, in all places.
    weight, bias : (C,), optional
        The paper's gamma and beta; 1 and 0 where they are left out.
    eps : float
        Keeps the root away from 0.

    Returns
    -------
    Tensor (N, ..., C)
        Of the input's dtype; float16 is computed in float32 and rounded at the end.

    Raises
    ------
    ValueError
        If the channels cannot be divided, or do not fit weight and bias.
    TypeError
        If the input is not floating.

    References
    ----------
    Y. Wu and K. He, *Group normalization*, ECCV 2018, arXiv:1803.08494, equations 1, 2 and 7.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(f"group_norm wants (N, ..., C), got {shape}")
    channels = shape[-1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide {channels} channels")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tuple(tensor.shape) != (channels,):
            raise ValueError(
                f"group_norm wants a {name} of {(channels,)}, got {tuple(tensor.shape)}"
            )
    check_floating("group_norm", input)
    places = math.prod(shape[1:-1])
    grouped = input.reshape(shape[0], places, num_groups, channels // num_groups)
    out = standardised(grouped, (1, 3), eps).reshape(shape)
    return scaled(out, weight, bias, input)
